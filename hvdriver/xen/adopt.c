/* What is here when the program starts: domains that bear the marks of this run directory, and
 * files of copies whose domain is no more. What was being made or received is ended: nobody waits
 * for it, and nobody knows how complete it is. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/xen/worker.h"

struct adoption {
    struct worker *w;
    json_t *lost;
    uint32_t to_end; /* Domains that are being destroyed. */
};

static void
tell_lost(struct adoption *a, const struct hv_key *key, enum hv_exit why, const char *detail)
{
    json_t *one = json_object();
    xen_key_pack(one, key);
    (void)json_object_set_new(one, "exit", json_string(hv_exit_name(why)));
    (void)json_object_set_new(one, "detail", json_string(detail));
    (void)json_array_append_new(a->lost, one);
}

/* Whether the domain must not go on; with the reason. */
static bool is_over(const libxl_dominfo *info,
                    const char *state,
                    enum hv_exit *ret_why,
                    const char **ret_detail)
{
    *ret_why = HV_EXIT_UNKNOWN;
    *ret_detail = "it ended while no daemon watched";
    if (strcmp(state, "starting") == 0) {
        *ret_detail = "the daemon died while it was started";
        return true;
    }
    if (strcmp(state, "incoming") == 0) {
        *ret_why = HV_EXIT_INCOMING;
        *ret_detail = "the daemon died while it was received";
        return true;
    }
    if (info->shutdown && info->shutdown_reason == LIBXL_SHUTDOWN_REASON_POWEROFF) {
        *ret_why = HV_EXIT_POWEROFF;
        return true;
    }
    if (info->shutdown && info->shutdown_reason == LIBXL_SHUTDOWN_REASON_REBOOT) {
        *ret_why = HV_EXIT_REBOOT;
        return true;
    }
    return info->dying;
}

static enum hv_state state_now(const libxl_dominfo *info, const char *state)
{
    if (info->shutdown) {
        return info->shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND ? HV_DEPARTED : HV_PANICKED;
    }
    if (info->paused) {
        return strcmp(state, "arrived") == 0 ? HV_ARRIVED : HV_PAUSED;
    }
    return HV_RUNNING;
}

/* Its file is lost: what Xen knows of it. */
static void spec_of_domain(struct worker *w,
                           const libxl_dominfo *info,
                           const struct hv_key *key,
                           struct hv_spec *ret)
{
    CLEANUP(cleanup_free) char *name = libxl_domid_to_name(w->ctx, info->domid);
    memset(ret, 0, sizeof *ret);
    ret->uuid = key->uuid;
    ret->epoch = key->epoch;
    (void)str_copy(ret->name, sizeof ret->name, name == NULL ? "unknown" : name);
    ret->memory_mib = (uint32_t)(info->max_memkb / 1024);
    ret->vcpus = info->vcpu_online;
}

static void ended(struct dom *d, uint64_t id, int rc)
{
    (void)id;
    (void)rc;
    store_remove(d->w, &d->info.key);
    d->gone = true;
}

static void end_domain(struct dom *d)
{
    struct call *c = NULL;
    libxl_asyncop_how how = call_begin(d, 0, ended, &c);
    call_begun(c, libxl_domain_destroy(d->w->ctx, d->domid, &how));
}

static void adopt_domain(struct adoption *a, const libxl_dominfo *info)
{
    struct worker *w = a->w;
    char stamp[HV_STAMP_SIZE];
    char dir[LIMIT_PATH + 1];
    char state[16];
    struct hv_key key;
    struct hv_spec spec;
    struct err e;
    enum hv_exit why;
    const char *detail = "";
    if (!store_read(w, info->domid, "dir", dir, sizeof dir) || strcmp(dir, w->run_dir) != 0 ||
        !store_read(w, info->domid, "stamp", stamp, sizeof stamp) ||
        hv_stamp_parse(stamp, &key) != 0) {
        return; /* Not ours. */
    }
    (void)store_read(w, info->domid, "state", state, sizeof state);
    if (store_load(w, &key, &spec, &e) != 0) {
        spec_of_domain(w, info, &key, &spec);
    }
    struct dom *d = dom_new(w, &spec);
    d->domid = info->domid;
    if (is_over(info, state, &why, &detail)) {
        tell_lost(a, &key, why, detail);
        end_domain(d);
        return;
    }
    d->info.state = state_now(info, state);
    dom_look(d);
}

static int adopt_domains(struct adoption *a, struct err *e)
{
    int n = 0;
    libxl_dominfo *list = libxl_list_domain(a->w->ctx, &n);
    if (list == NULL) {
        return complain(a->w, ERROR_FAIL, "list the domains of this host", e);
    }
    for (int i = 0; i < n; i++) {
        if (list[i].domid != 0) {
            adopt_domain(a, &list[i]);
        }
    }
    libxl_dominfo_list_free(list, n);
    return 0;
}

static void clean_up(struct adoption *a)
{
    DIR *dir = opendir(a->w->run_dir);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        char stamp[HV_STAMP_SIZE];
        struct hv_key key;
        size_t len = strlen(entry->d_name);
        if (len < 5 || len >= HV_STAMP_SIZE + 4 || strcmp(entry->d_name + len - 4, ".xen") != 0) {
            continue;
        }
        (void)snprintf(stamp, sizeof stamp, "%.*s", (int)(len - 4), entry->d_name);
        if (hv_stamp_parse(stamp, &key) == 0 && dom_find(a->w, &key) == NULL) {
            store_remove(a->w, &key);
            tell_lost(a, &key, HV_EXIT_UNKNOWN, "it ended while no daemon watched");
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static bool is_ending(const struct worker *w)
{
    for (const struct dom *d = w->doms; d != NULL; d = d->next) {
        if (d->calls > 0) {
            return true;
        }
    }
    return false;
}

int adopt(struct worker *w, json_t *lost, struct err *e)
{
    struct adoption a = {.w = w, .lost = lost};
    int rc = adopt_domains(&a, e);
    while (rc == 0 && is_ending(w)) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    if (rc == 0) {
        clean_up(&a);
    }
    return rc;
}
