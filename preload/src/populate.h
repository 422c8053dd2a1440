/*
 * populate.h - memory behind the ring file, asked for before it is touched.
 */
#ifndef TIDEMARK_POPULATE_H
#define TIDEMARK_POPULATE_H

#include "ring.h"

/* Gives access to a page range of the file. May change errno, as all of these. */
bool at_populate_access(uint64_t offset, uint64_t bytes);

/* Puts memory behind a page range of the file that is accessible; false and a refusal when there is none. */
bool at_populate(uint64_t offset, uint64_t bytes);

/* The same for the groups of a part of the file that begins at `from`, with its bitmap. */
bool at_populate_groups(unsigned char *bitmap, uint64_t from, uint64_t offset, uint64_t bytes);

/* Looks again at once after a refusal: somebody may have made room. */
void at_populate_retry(void);

/* In a forked child: nothing is accessible. */
void at_populate_forget(void);

#endif
