/*
 * settings.h - the environment variables of the library, read once at its start.
 */
#ifndef TIDEMARK_SETTINGS_H
#define TIDEMARK_SETTINGS_H

#include "ring.h"

struct at_settings {
  char directory[256]; /* where the ring file goes; empty: the value was too long */
  uint32_t mode;
  uint32_t stacks;
  uint32_t max_frames;
  uint64_t interval;
  uint64_t young_ns;
  uint64_t max_bytes;
  uint64_t seed; /* 0: none */
  bool follow;
  bool hide;
  bool keep;
  bool verbose;
};
extern struct at_settings at_settings AT_INTERNAL;

void at_settings_read(void);

/* One line on standard error when TIDEMARK_VERBOSE=1. `value` may be NULL. */
void at_settings_say(const char *what, const char *value);

#endif
