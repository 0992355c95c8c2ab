/* Room on the disk for the store, taken before it is needed.
 *
 * Entries that were committed must be applied: by then nobody can be told any more that there is no
 * room. So a part of the disk behind what the file uses is always its own already. A host whose
 * disk fills up notices by the ballast of its log, within a second, and takes no entries any more;
 * what it took until then is applied in this room. */

#include <fcntl.h>

#include "fsm/kv_impl.h"

/* Taken in steps of so much, when less than three quarters are left. */
#define ROOM ((uint64_t)32 * 1024 * 1024)

void kv_room_keep(struct kv *kv)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_filehandle_t fd;
    if (mdb_env_info(kv->env, &info) != 0 || mdb_env_stat(kv->env, &stat) != 0 ||
        mdb_env_get_fd(kv->env, &fd) != 0) {
        return;
    }
    uint64_t used = (info.me_last_pgno + 1) * stat.ms_psize;
    if (kv->room != 0 && kv->room >= used + ROOM / 4 * 3) {
        return;
    }
    /* The file does not become longer: LMDB and the check of the file see nothing of it. Where it
     * is refused (a full disk, a file system that cannot) the store does without until the next
     * time. */
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)used, (off_t)ROOM) == 0) {
        kv->room = used + ROOM;
    }
}
