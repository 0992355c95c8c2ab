given pool h1 h2
when repo_new name=r1 source=relative
then INVALID field source
when repo_new name=r1 source=/srv/r1
then repo r1 state=new root=off
then count repos=1
when repo_new name=r1 source=/srv/r2
then EXISTS repository r1 already exists
when repo_root name=r1
then STATE repository r1 is new: only a ready repository can be the root
when repo_init name=r1
then repo r1 state=ready
then event repo.ready r1
when repo_root name=r1
then repo r1 root=on
then pool - root=r1
when repo_report name=r1 host=h2 ready=on
when repo_report name=r1 host=h1 ready=on
then repo r1 ready_on=h1,h2
when repo_report name=r1 host=h1 ready=on
then no event repo.changed
when repo_report name=r1 host=h1 detail=stale_handle
then repo r1 ready_on=h2 detail=stale_handle
then event repo.trouble r1 host=h1
when repo_report name=r1 host=h9 ready=on
then NOT_FOUND
when repo_new name=r2 source=/srv/r2
when repo_init name=r2
when repo_root name=r2
then repo r1 root=off
then repo r2 root=on
when guest_create name=a start=off disk=r1:a.img
when repo_delete name=r1
then IN_USE repository r1 is in use by guest a
when repo_delete name=r2
then IN_USE root repository r2 is in use by 1 guests
when guest_delete name=a
when repo_delete name=r1
then ok
then no repo r1
when repo_delete name=r2
then pool - root=-
then count repos=0
when repo_delete name=r2
then NOT_FOUND repository r2
# A host that is removed has nothing at hand any more.
when repo_new name=r3 source=/srv/r3
when repo_report name=r3 host=h2 ready=on
when host_remove name=h2
then repo r3 ready_on=-
