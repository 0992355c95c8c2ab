#include "cli/quorated/reach.h"

#include <stdio.h>
#include <string.h>

/* The disk as people know it: by its device, else by its place in the list. */
static const char *disk_name(const struct disk *d, uint32_t i, char *buf, size_t size)
{
    if (d->device[0] != '\0') {
        (void)snprintf(buf, size, "disk %s", d->device);
    } else {
        (void)snprintf(buf, size, "disk %u", i + 1);
    }
    return buf;
}

static int check_repo(struct fsm_view *v,
                      const struct guest *g,
                      const char *disk,
                      const char *name,
                      struct err *e)
{
    static struct repo repo; /* Several KiB; the loop has one thread. */
    if (fsm_get_repo(v, name, &repo) != 0 || repo.ready_on_n > 1) {
        return 0; /* One that is not there is refused by the state machine. */
    }
    return err_set(
        e, ERR_STATE,
        "%s of guest %s is in repository %s, which %s%s has at hand: it could run nowhere "
        "else when its host is lost (--force turns HA on all the same)",
        disk, g->name, name, repo.ready_on_n == 0 ? "no host" : "only ",
        repo.ready_on_n == 0 ? "" : repo.ready_on[0]);
}

int reach_check(struct fsm_view *v, const struct guest *g, struct err *e)
{
    struct fsm_counts counts;
    char disk[64];
    fsm_count(v, &counts);
    for (uint32_t i = 0; i < g->config.disks_n && counts.hosts > 1; i++) {
        const struct disk *d = &g->config.disks[i];
        char repo[LIMIT_NAME + 1] = "";
        size_t n = strcspn(d->path, ":");
        (void)disk_name(d, i, disk, sizeof disk);
        if (d->path[0] == '/') {
            return err_set(
                e, ERR_STATE,
                "%s of guest %s, %s, is a path of one host: put it into a repository, or "
                "the guest could run nowhere else when its host is lost (--force turns "
                "HA on all the same)",
                disk, g->name, d->path);
        }
        if (d->path[n] == ':' && n <= LIMIT_NAME) {
            memcpy(repo, d->path, n);
            int rc = check_repo(v, g, disk, repo, e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

int reach_check_all(struct fsm_view *v, struct err *e)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    int found = 0;
    for (int rc = fsm_next_guest(v, "", &g); rc == 0 && found == 0;
         rc = fsm_next_guest(v, g.name, &g)) {
        found = g.ha ? reach_check(v, &g, e) : 0;
    }
    return found;
}
