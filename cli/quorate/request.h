/* Sending commands and queries. */

#ifndef CLI_QUORATE_REQUEST_H
#define CLI_QUORATE_REQUEST_H

#include "cli/api.h"
#include "cli/quorate/link.h"

/* Default times, unless --timeout says another. */
#define COMMAND_MS 30000
#define QUERY_MS   10000

/* Send a command's record under a request id (that of --request-id, else a new one, told in
 * *ret_request). 0 when there is an outcome, be it a rejection. */
int request_command(struct link *l,
                    const struct command *c,
                    const void *record,
                    struct id *ret_request,
                    struct outcome *ret,
                    struct err *e);

/* Found a pool on the one host of the list. */
int request_found(struct link *l,
                  const char *name,
                  struct id *ret_request,
                  struct outcome *ret,
                  struct err *e);

/* Run a query and call fn for every row, page after page. `record` holds one row while fn runs. */
struct request_query {
    const struct api_query *query;
    const char *subject; /* "" for lists. */
    uint64_t deadline;
    void (*row)(void *ctx, const void *record);
    void *ctx;
};
int request_rows(struct link *l, const struct request_query *q, struct err *e);

#endif
