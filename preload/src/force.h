/*
 * force.h - the request in force: at_control as it was when the library last acted on it, checked.
 */
#ifndef TIDEMARK_FORCE_H
#define TIDEMARK_FORCE_H

#include "ring.h"

/* No value of at_control.mode is this: nothing is in force, so that every call looks. */
#define AT_MODE_UNSEEN 0xffffffffu

struct at_force {
  uint32_t seen_mode;  /* at_control.mode that is in force; AT_MODE_UNSEEN: none */
  uint32_t mode;       /* enum at_mode */
  uint64_t generation; /* at_control.generation that was acted on */
  uint32_t acted_mode; /* at_control.mode that was acted on, or refused */
  uint32_t interval; /* index into at_header.intervals */
  uint64_t activated_ticks;
  int64_t young_ticks;
};
extern struct at_force at_force AT_INTERNAL;

/* Acts on at_control when nobody else is doing so. May change errno. */
void at_control_apply(void);

/* The lease, and the header's last moment. Every so often, by whoever renews its clock. May change errno. */
void at_control_keep(bool looked_at);

/* The mapped file belongs to the calling process: threads have to look at it anew. */
void at_control_own(void);

/* In a forked child: nothing is in force. */
void at_control_forget(void);

#endif
