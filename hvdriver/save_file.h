/* The file of a saved guest: it appears whole and synced under its name, or not at all. These calls
 * touch storage, which may be slow. */

#ifndef HVDRIVER_SAVE_FILE_H
#define HVDRIVER_SAVE_FILE_H

#include "hvdriver/driver.h"

struct save_file {
    char path[LIMIT_PATH + 1];
    char temp[LIMIT_PATH + HV_STAMP_SIZE + 8]; /* Where the memory is written meanwhile. */
};

/* The names of a save. Pure. */
void save_file_name(struct save_file *f, const char *path, const struct hv_key *key);

/* Make the last directory of the path if it is missing, and take away what an earlier try left.
 * ERR_EXISTS when there is a file of that name, ERR_NOT_FOUND, ERR_DENIED, ERR_NO_SPACE, ERR_IO. */
int save_file_begin(const struct save_file *f, struct err *e);
/* What was written is whole: sync it and give it its name. On failure nothing is left. */
int save_file_commit(const struct save_file *f, struct err *e);
/* Remove what was written; `named` if it has its name by now. */
void save_file_discard(const struct save_file *f, bool named);

#endif
