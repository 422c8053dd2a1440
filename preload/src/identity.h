/*
 * identity.h - what the header says about the process.
 */
#ifndef TIDEMARK_IDENTITY_H
#define TIDEMARK_IDENTITY_H

#include "ring.h"

/* pid, parent, start_time and program. */
void at_identity_fill(struct at_header *header);

/* NUL terminated; `to` holds at least 11 bytes. */
void at_identity_decimal(uint32_t value, char *to);

/* The caller's thread id, as the kernel numbers it. May change errno. */
uint32_t at_identity_thread(void);

/* Whether the calling process is `pid`, asked of the kernel. */
bool at_identity_is(uint32_t pid);

#endif
