/* What each kind of verb does. All return the exit status. */

#ifndef CLI_QUORATE_RUN_H
#define CLI_QUORATE_RUN_H

#include "cli/quorate/args.h"

/* run_command.c */
int run_command(struct cli *cli, const struct parsed *p);
int run_create(struct cli *cli, const struct parsed *p);
int run_new(struct cli *cli, const struct parsed *p);
int run_shutdown(struct cli *cli, const struct parsed *p);
int run_migrate(struct cli *cli, const struct parsed *p);
int run_evacuate(struct cli *cli, const struct parsed *p);
int run_pool_init(struct cli *cli, const struct parsed *p);
int run_pool_transfer(struct cli *cli, const struct parsed *p);

/* run_query.c */
int run_query(struct cli *cli, const struct parsed *p);
/* The rows of this query as a table. */
int run_rows(struct cli *cli, const struct parsed *p, const char *query, const char *subject);
int run_info(struct cli *cli, const struct parsed *p);

/* wait.c, events.c, help.c, completion.c */
int run_op_wait(struct cli *cli, const struct parsed *p);
int run_events(struct cli *cli, const struct parsed *p);
int run_version(struct cli *cli, const struct parsed *p);
int run_help(struct cli *cli, const struct parsed *p);
int run_completion(struct cli *cli, const struct parsed *p);
int run_completion_words(struct cli *cli, const struct parsed *p);

#endif
