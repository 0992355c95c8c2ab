/* What each kind of verb does. All return the exit status. */

#ifndef CLI_QUORATE_RUN_H
#define CLI_QUORATE_RUN_H

#include "cli/quorate/args.h"

/* run_command.c */
int run_command(struct cli *cli, const struct parsed *p);
int run_create(struct cli *cli, const struct parsed *p);
int run_new(struct cli *cli, const struct parsed *p);
int run_shutdown(struct cli *cli, const struct parsed *p);
int run_reboot(struct cli *cli, const struct parsed *p);
int run_save(struct cli *cli, const struct parsed *p);
int run_suspend(struct cli *cli, const struct parsed *p);
int run_restore(struct cli *cli, const struct parsed *p);
int run_migrate(struct cli *cli, const struct parsed *p);
int run_maintenance(struct cli *cli, const struct parsed *p);
int run_evacuate(struct cli *cli, const struct parsed *p);
/* Send one command on an open link and see it through. */
struct link;
int run_record(struct link *l, const struct command *c, const void *record, bool wait);
/* Ask all running guests (on this host, unless it is "") to shut down. Every guest is asked, also
 * after one of them refused; the first failure is the exit status. */
int run_shutdown_all(struct link *l, const char *host, bool wait);
int run_pool_init(struct cli *cli, const struct parsed *p);
int run_pool_transfer(struct cli *cli, const struct parsed *p);

/* run_guest.c */
int run_mem_set(struct cli *cli, const struct parsed *p);
int run_mem_max(struct cli *cli, const struct parsed *p);
int run_vcpu_set(struct cli *cli, const struct parsed *p);

/* run_console.c */
int run_console(struct cli *cli, const struct parsed *p);

/* run_vmcfg.c */
int run_vmcfg(struct cli *cli, const struct parsed *p);

/* run_vnc.c */
int run_vnc(struct cli *cli, const struct parsed *p);

/* run_host.c */
int run_balance(struct cli *cli, const struct parsed *p);
int run_host_fence(struct cli *cli, const struct parsed *p);
int run_host_stop(struct cli *cli, const struct parsed *p);

/* run_query.c */
int run_query(struct cli *cli, const struct parsed *p);
/* The rows of this query as a table. */
int run_rows(struct cli *cli, const struct parsed *p, const char *query, const char *subject);
/* Who answers on this link. */
int run_hello(struct link *l, struct api_hello *ret, struct err *e);
int run_info(struct cli *cli, const struct parsed *p);

/* wait.c, events.c, help.c, completion.c */
int run_op_wait(struct cli *cli, const struct parsed *p);
int run_events(struct cli *cli, const struct parsed *p);
int run_version(struct cli *cli, const struct parsed *p);
int run_help(struct cli *cli, const struct parsed *p);
int run_completion(struct cli *cli, const struct parsed *p);
int run_completion_words(struct cli *cli, const struct parsed *p);

#endif
