/* Rows of answers as tables for people and as JSON for programs. */

#ifndef CLI_QUORATE_TABLE_H
#define CLI_QUORATE_TABLE_H

#include "core/schema.h"

#include "cli/quorate/cli.h"

/* A list in the making. Rows are given one by one and printed at the end. */
struct table;

/* For the rows of a query; `s` is the row's schema. */
struct table *table_new(struct cli *cli, const char *query, const struct schema *s);
void table_row(struct table *t, const void *record);
/* Print what was collected: a table, or with --json an array. */
int table_print(struct table *t);
struct table *table_free(struct table *t); /* NULL is accepted; returns NULL. */

/* One record: lines "Field: value" for people, with --json one object. */
int table_print_one(struct cli *cli, const struct schema *s, const void *record);

/* The same object with more in it: `more` is merged in and given back. JSON only. */
int table_print_json(struct cli *cli, json_t *owned);

/* A value as people read it: sizes, spans and moments in their units. */
void table_value(const struct cli *cli, const struct field *f, const void *record, struct buf *out);

#endif
