/* Code of the process that is to die runs on a stack of its own, which is left where it is: what
 * still points into it stays memory until the run ends. */

#include "chaos-tests/sim/seam.h"

#include <stdio.h>
#include <ucontext.h>

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/proc.h"
#include "hvdriver/hvdriver.h"

#define STACK_BYTES (1u << 20)
/* Until the daemon is started again; until there is power again. */
#define KILL_MS  300
#define POWER_MS 2500

const char *const seam_names[] = {"disk", "net", "hypervisor", "guard", NULL};

static struct {
    struct seam_crash crash;
    uint64_t calls[LAB_HOSTS_MAX][SEAMS];
    struct vevent death;
    bool inside; /* On the stack of its own. */
    bool died;
    ucontext_t world, process;
    uint8_t *stack;
    void (*fn)(void *ctx);
    void *ctx;
} seams;

static void power_on(void *ctx, uint64_t arg)
{
    (void)arg;
    vhost_power_on(ctx);
}

static void die(struct vevent *ev)
{
    struct vhost *h = &lab.hosts[seams.crash.host];
    (void)ev;
    if (lab.o.print) {
        (void)printf("%12.6f  -      ** %s dies before its call %llu of %s\n",
                     (double)world.now_ns / 1e9, h->m.name, (unsigned long long)seams.crash.n,
                     seam_names[seams.crash.seam]);
    }
    if (seams.crash.power) {
        vhost_power_cut(h);
        lab_after(POWER_MS * NS_PER_MS, power_on, h, 0);
    } else {
        vhost_kill(h, KILL_MS);
    }
}

void seam_begin(const struct seam_crash *crash)
{
    seams.crash = *crash;
    seams.death = (struct vevent){.fire = die};
    seams.inside = seams.died = false;
    for (uint32_t i = 0; i < LAB_HOSTS_MAX; i++) {
        for (int s = 0; s < SEAMS; s++) {
            seams.calls[i][s] = 0;
        }
    }
}

void seam_end(void)
{
    vevent_clear(&seams.death);
    world_free(seams.stack);
    seams.stack = NULL;
    seams.crash.n = 0;
}

uint64_t seam_calls(uint32_t host, enum seam seam)
{
    return seams.calls[host][seam];
}

void seam_call(enum seam seam)
{
    const struct vhost *h = proc_now == NULL ? NULL : lab_host_of(proc_now);
    const struct seam_crash *c = &seams.crash;
    if (h == NULL || lab.phase > LAB_SAFETY) {
        return;
    }
    uint64_t n = ++seams.calls[h->m.index][seam];
    if (seams.inside && h->m.index == c->host && seam == c->seam && n >= c->n) {
        seams.died = true;
        (void)swapcontext(&seams.process, &seams.world);
    }
}

static void begin(void)
{
    seams.fn(seams.ctx);
}

bool seam_run(struct proc *p, void (*fn)(void *ctx), void *ctx)
{
    const struct vhost *h = seams.crash.n == 0 ? NULL : lab_host_of(p);
    if (h == NULL || h->m.index != seams.crash.host || seams.died || seams.inside) {
        fn(ctx);
        return true;
    }
    if (seams.stack == NULL) {
        seams.stack = world_new(1, STACK_BYTES);
    }
    seams.fn = fn;
    seams.ctx = ctx;
    (void)getcontext(&seams.process);
    seams.process.uc_stack.ss_sp = seams.stack;
    seams.process.uc_stack.ss_size = STACK_BYTES;
    seams.process.uc_link = &seams.world;
    makecontext(&seams.process, begin, 0);
    seams.inside = true;
    (void)swapcontext(&seams.world, &seams.process);
    seams.inside = false;
    if (seams.died) {
        p->paused = true; /* No turn of it comes before its death. */
        vevent_set_first(&seams.death, world.now_ns);
    }
    return !seams.died;
}

/* --- requests to the hypervisor */

void __real_hv_submit(struct hv *hv, struct hv_req *req);
void __wrap_hv_submit(struct hv *hv, struct hv_req *req);

void __wrap_hv_submit(struct hv *hv, struct hv_req *req)
{
    seam_call(SEAM_HYPERVISOR);
    __real_hv_submit(hv, req);
}
