#include <assert.h>
#include <string.h>

#include "core/buf.h"
#include "core/util.h"

#include "raftlog/node_impl.h"
#include "raftlog/tests/sim.h"

/* --- files and logs */

void sim_disk_init(struct sim_disk *disk)
{
    *disk = (struct sim_disk){.first = 1, .fsync_us = 800};
    disk->ops_end = &disk->ops;
}

static void log_cut(struct sim_disk *disk, uint64_t index)
{
    while (disk->n > 0 && disk->first + disk->n > index) {
        free(disk->log[--disk->n].data);
    }
}

static void log_push(struct sim_disk *disk, const struct sim_entry *entry)
{
    if (disk->n == disk->cap) {
        disk->cap = disk->cap == 0 ? 64 : disk->cap * 2;
        disk->log = mem_grow(disk->log, disk->cap, sizeof *disk->log);
    }
    struct sim_entry *copy = &disk->log[disk->n++];
    *copy = *entry;
    copy->data = mem_new(1, entry->len);
    if (entry->len > 0) {
        memcpy(copy->data, entry->data, entry->len);
    }
}

static void log_trim(struct sim_disk *disk, uint64_t first)
{
    uint32_t gone = 0;

    while (gone < disk->n && disk->first + gone < first) {
        free(disk->log[gone++].data);
    }
    memmove(disk->log, disk->log + gone, (disk->n - gone) * sizeof *disk->log);
    disk->n -= gone;
    disk->first += gone;
}

static void log_reset(struct sim_disk *disk, uint64_t first)
{
    log_cut(disk, disk->first);
    disk->first = first;
}

static const struct sim_entry *log_at(const struct sim_disk *disk, uint64_t index)
{
    return index >= disk->first && index < disk->first + disk->n ? &disk->log[index - disk->first]
                                                                 : NULL;
}

static struct sim_file *file_copy(const struct sim_file *file)
{
    struct sim_file *copy = mem_new(1, sizeof *copy);

    *copy = *file;
    copy->meta.conf = copy->conf;
    return copy;
}

static struct sim_file *file_new(const struct node_snapshot *meta,
                                 const struct sim_machine *machine)
{
    struct sim_file *file = mem_new(1, sizeof *file);

    file->meta = *meta;
    assert(meta->conf_len <= sizeof file->conf);
    memcpy(file->conf, meta->conf, meta->conf_len);
    file->meta.conf = file->conf;
    file->machine = *machine;
    return file;
}

static void op_free(struct sim_op *op)
{
    for (uint32_t i = 0; i < op->n; i++) {
        free(op->entries[i].data);
    }
    free(op->entries);
    free(op->file);
    free(op);
}

static struct sim_op *op_pop(struct sim_disk *disk)
{
    struct sim_op *op = disk->ops;

    disk->ops = op->next;
    if (disk->ops == NULL) {
        disk->ops_end = &disk->ops;
    }
    return op;
}

void sim_disk_done(struct sim_disk *disk)
{
    while (disk->ops != NULL) {
        op_free(op_pop(disk));
    }
    log_cut(disk, disk->first);
    free(disk->log);
    free(disk->snapshot);
    free(disk->received);
    *disk = (struct sim_disk){0};
}

/* --- writes */

/* Make the first `n` entries of an append durable. */
static void write_append(struct sim_disk *disk, const struct sim_op *op, uint32_t n)
{
    log_cut(disk, op->index);
    assert(disk->n == 0 || disk->first + disk->n == op->index);
    if (disk->n == 0) {
        assert(disk->first <= op->index);
        disk->first = op->index;
    }
    for (uint32_t i = 0; i < n; i++) {
        log_push(disk, &op->entries[i]);
    }
}

static void promote(struct sim_disk *disk, const struct sim_file *file)
{
    free(disk->snapshot);
    disk->snapshot = file_copy(file);
}

/* All that is asked for during one write is the next one. */
static uint64_t disk_delay(struct sim_host *host, uint64_t more_us)
{
    struct sim *sim = host->sim;
    struct sim_disk *disk = &host->disk;
    uint64_t us = disk->fsync_us / 4 + sim_below(sim, disk->fsync_us) + more_us;

    if (sim->now_us >= disk->end_us) {
        disk->begin_us = sim->now_us;
        disk->end_us = sim->now_us + us;
    } else if (sim->now_us >= disk->begin_us) {
        disk->begin_us = disk->end_us;
        disk->end_us += us;
    }
    return disk->end_us - sim->now_us;
}

static void written(struct sim *sim, struct sim_event *event)
{
    struct sim_host *host = event->host;
    struct sim_op *op = op_pop(&host->disk);
    struct err e = {0};
    int rc = 0;

    switch (op->kind) {
    case OP_APPEND: {
        const struct sim_entry *last = &op->entries[op->n - 1];
        write_append(&host->disk, op, op->n);
        rc = node_persisted(host->node, op->index + op->n - 1, last->term, sim_ms(sim), &e);
        break;
    }
    case OP_TRIM: log_trim(&host->disk, op->index); break;
    case OP_RESTORE:
        promote(&host->disk, op->file);
        log_reset(&host->disk, op->file->meta.index + 1);
        host->machine = op->file->machine;
        sim->installs++;
        rc = node_snapshot_restored(host->node, op->file->meta.index, sim_ms(sim), &e);
        break;
    case OP_TAKE:
        /* A job that was cancelled may still come to its end. */
        if (host->disk.snapshot == NULL || host->disk.snapshot->meta.index < op->file->meta.index) {
            promote(&host->disk, op->file);
        }
        sim->taken++;
        rc = node_snapshot_taken(host->node, op->index, 0, sim_ms(sim), &e);
        break;
    }
    op_free(op);
    if (rc != 0) {
        sim_fail(sim, "host %u cannot go on: %s", host->slot, e.msg);
    }
    sim_host_touched(host);
}

static struct sim_op *begin(struct sim_host *host, uint64_t more_us)
{
    struct sim_op *op = mem_new(1, sizeof *op);

    *host->disk.ops_end = op;
    host->disk.ops_end = &op->next;
    (void)sim_schedule(host->sim, disk_delay(host, more_us), host, written);
    return op;
}

static int io_save_vote(void *ctx, uint64_t term, uint64_t vote, struct err *e)
{
    struct sim_host *host = ctx;
    struct sim *sim = host->sim;

    (void)e;
    if (term < host->disk.term ||
        (term == host->disk.term && host->disk.vote != 0 && vote != host->disk.vote)) {
        sim_fail(sim, "host %u takes its vote back", host->slot);
    }
    host->disk.term = term;
    host->disk.vote = vote;
    host->busy_us = max_u64(host->busy_us, sim->now_us) + host->disk.fsync_us / 4 +
                    sim_below(sim, host->disk.fsync_us);
    return 0;
}

static void io_append(void *ctx, const struct node_entry *entries, uint32_t n)
{
    struct sim_op *op = begin(ctx, 0);

    op->kind = OP_APPEND;
    op->index = entries[0].index;
    op->n = n;
    op->entries = mem_new(n, sizeof *op->entries);
    for (uint32_t i = 0; i < n; i++) {
        assert(entries[i].index == entries[0].index + i);
        op->entries[i] = (struct sim_entry){
            .term = entries[i].term, .type = entries[i].type, .len = entries[i].len};
        op->entries[i].data = mem_new(1, entries[i].len);
        if (entries[i].len > 0) {
            memcpy(op->entries[i].data, entries[i].data, entries[i].len);
        }
    }
}

static int io_read(void *ctx, uint64_t index, struct node_entry *ret, struct buf *ret_data)
{
    struct sim_host *host = ctx;
    const struct sim_entry *entry = log_at(&host->disk, index);

    if (entry == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret = (struct node_entry){
        .index = index, .term = entry->term, .type = entry->type, .len = entry->len};
    buf_put(ret_data, entry->data, entry->len);
    return 0;
}

static void io_trim(void *ctx, uint64_t first)
{
    struct sim_op *op = begin(ctx, 0);

    op->kind = OP_TRIM;
    op->index = first;
}

/* --- snapshots */

static void io_take(void *ctx, uint64_t job, const struct node_snapshot *meta)
{
    struct sim_host *host = ctx;

    if (host->machine.applied != meta->index) {
        sim_fail(host->sim, "host %u: a snapshot of %llu at %llu", host->slot,
                 (unsigned long long)meta->index, (unsigned long long)host->machine.applied);
    }
    struct sim_op *op = begin(host, sim_below(host->sim, 20000));
    op->kind = OP_TAKE;
    op->index = job;
    op->file = file_new(meta, &host->machine);
}

static void io_cancel(void *ctx, uint64_t job)
{
    (void)ctx;
    (void)job;
}

static void sent_over(struct sim *sim, struct sim_event *event)
{
    struct sim_host *host = event->host;
    struct err e;
    bool ok = event->link->up && event->link->epoch == event->link_epoch && !event->flag;

    if (node_snapshot_sent(host->node, event->number, event->file->meta.index, ok ? 0 : ERR_CLOSED,
                           sim_ms(sim), &e) != 0) {
        sim_fail(sim, "host %u: %s", host->slot, e.msg);
    }
    sim_host_touched(host);
}

static void received(struct sim *sim, struct sim_event *event)
{
    struct sim_host *host = event->host;
    struct err e;

    if (!event->link->up || event->link->epoch != event->link_epoch) {
        return;
    }
    free(host->disk.received);
    host->disk.received = file_copy(event->file);
    if (node_snapshot_received(host->node, &host->disk.received->meta, sim_ms(sim), &e) != 0) {
        sim_fail(sim, "host %u: %s", host->slot, e.msg);
    }
    sim_host_touched(host);
}

static void io_send(void *ctx, uint64_t to, uint64_t index, uint64_t term)
{
    struct sim_host *host = ctx;
    struct sim *sim = host->sim;
    struct sim_host *other = sim_host_of(sim, to);
    const struct sim_file *file = host->disk.snapshot;

    if (file == NULL || file->meta.index != index || file->meta.term != term) {
        sim_fail(sim, "host %u: no snapshot %llu to send", host->slot, (unsigned long long)index);
        return;
    }
    uint64_t us = 500 + sim_below(sim, 150000);
    uint64_t number = ++sim->sends;
    bool broken = number <= sim->options.broken_sends;
    bool lost = broken || number <= sim->options.broken_sends + sim->options.lost_sends;
    struct sim_host *sides[2] = {host, other == NULL || !other->up ? NULL : other};
    for (uint32_t i = 0; i < 2; i++) {
        if (sides[i] == NULL || (i == 1 && lost)) {
            continue;
        }
        struct sim_event *event =
            sim_schedule(sim, us + sim_below(sim, 1000), sides[i], i == 0 ? sent_over : received);
        event->link = sim_net_link(sim, host->slot, other == NULL ? host->slot : other->slot);
        event->link_epoch = event->link->epoch;
        event->number = to;
        event->flag = broken;
        event->file = file_copy(file);
    }
}

static void io_restore(void *ctx, const struct node_snapshot *meta)
{
    struct sim_host *host = ctx;
    const struct sim_file *file = host->disk.received;

    if (file == NULL || file->meta.index != meta->index || file->meta.term != meta->term) {
        sim_fail(host->sim, "host %u: no file of %llu to restore", host->slot,
                 (unsigned long long)meta->index);
        return;
    }
    struct sim_op *op = begin(host, sim_below(host->sim, 60000));
    op->kind = OP_RESTORE;
    op->file = file_copy(file);
}

void sim_disk_io(struct node_io *io)
{
    io->save_vote = io_save_vote;
    io->append = io_append;
    io->read = io_read;
    io->trim = io_trim;
    io->snapshot_take = io_take;
    io->snapshot_cancel = io_cancel;
    io->snapshot_send = io_send;
    io->snapshot_restore = io_restore;
}

/* --- crashes and recovery */

/* Of what is under way, a first part is durable all the same, and the next maybe in part. */
static void half_done(struct sim_host *host, const struct sim_op *op)
{
    struct sim *sim = host->sim;

    switch (op->kind) {
    case OP_APPEND: write_append(&host->disk, op, (uint32_t)sim_below(sim, op->n + 1)); break;
    case OP_TRIM: log_trim(&host->disk, op->index); break;
    case OP_RESTORE:
        promote(&host->disk, op->file);
        if (sim_below(sim, 2) == 0) {
            log_reset(&host->disk, op->file->meta.index + 1);
        }
        break;
    case OP_TAKE: break;
    }
}

void sim_disk_crash(struct sim_host *host)
{
    struct sim *sim = host->sim;
    struct sim_disk *disk = &host->disk;
    bool go_on = sim_below(sim, 2) == 0;

    while (disk->ops != NULL) {
        struct sim_op *op = op_pop(disk);
        if (go_on && op->kind == OP_APPEND && sim_below(sim, 2) == 0) {
            write_append(disk, op, op->n);
        } else if (go_on) {
            half_done(host, op);
            go_on = false;
        }
        op_free(op);
    }
    free(disk->received);
    disk->received = NULL;
    disk->begin_us = disk->end_us = 0;
    if (sim->options.plant == SIM_PLANT_LOSE_SYNCED && disk->n > 3) {
        log_cut(disk, disk->first + disk->n - 3);
    }
    if (sim->options.plant == SIM_PLANT_FORGET_VOTE) {
        disk->vote = 0;
    }
}

void sim_disk_recover(struct sim_host *host, struct node_recovered *ret)
{
    struct sim_disk *disk = &host->disk;
    const struct sim_file *file = disk->snapshot;

    if (file != NULL) {
        const struct sim_entry *same = log_at(disk, file->meta.index);
        if (same == NULL || same->term != file->meta.term) {
            if (disk->first != file->meta.index + 1) {
                log_reset(disk, file->meta.index + 1);
            }
        }
    }
    /* The machine's own store outlives the process, but not the power: then it is loaded anew. */
    if (sim_below(host->sim, 2) == 0 ||
        (file != NULL && host->machine.applied < file->meta.index)) {
        host->machine = file == NULL ? (struct sim_machine){0} : file->machine;
    }
    struct node_entry *entries = mem_new(disk->n + 1, sizeof *entries);
    for (uint32_t i = 0; i < disk->n; i++) {
        entries[i] = (struct node_entry){.index = disk->first + i,
                                         .term = disk->log[i].term,
                                         .type = disk->log[i].type,
                                         .data = disk->log[i].data,
                                         .len = disk->log[i].len};
    }
    *ret = (struct node_recovered){.term = disk->term,
                                   .vote = disk->vote,
                                   .snapshot = file == NULL ? NULL : &file->meta,
                                   .first_index = disk->first,
                                   .entries = entries,
                                   .n = disk->n,
                                   .applied = host->machine.applied};
}

void sim_disk_found(struct sim_host *host)
{
    struct sim *sim = host->sim;
    CLEANUP(buf_done) struct buf bytes = {0};
    struct conf conf = {.n = sim->options.hosts};

    for (uint32_t i = 0; i < conf.n; i++) {
        conf.members[i].id = sim->hosts[i].id;
        conf.members[i].role = RAFTLOG_VOTER;
        (void)str_copy(conf.members[i].address, sizeof conf.members[i].address,
                       sim->hosts[i].address);
    }
    conf_encode(&conf, &bytes);
    struct sim_entry entry = {
        .term = 1, .type = NODE_CHANGE, .len = (uint32_t)bytes.len, .data = bytes.data};
    log_push(&host->disk, &entry);
    host->disk.term = 1;
}
