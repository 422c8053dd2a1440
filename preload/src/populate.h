/*
 * populate.h - memory behind the ring file, asked for before it is touched.
 */
#ifndef TIDEMARK_POPULATE_H
#define TIDEMARK_POPULATE_H

#include "ring.h"

/* A part of the file, and where it is mapped. */
struct at_part {
  unsigned char *address;
  uint64_t offset;
};

/* Puts memory behind the first bytes of an accessible part; false and a refusal when there is none. May change errno. */
bool at_populate(struct at_part part, uint64_t bytes);

/* The same for the groups of a part, with its bitmap. May change errno. */
bool at_populate_groups(unsigned char *bitmap, struct at_part part, uint64_t offset, uint64_t bytes);

/* Something was refused not long ago: not worth another system call yet. */
bool at_populate_holds_back(void);

/* Says so in the header. false. */
bool at_populate_refuse(uint32_t refusal);

/* Looks again at once after a refusal: somebody may have made room. */
void at_populate_retry(void);

/* In a forked child: nothing is accessible. */
void at_populate_forget(void);

#endif
