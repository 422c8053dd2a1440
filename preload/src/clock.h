/*
 * clock.h - ticks: the time stamp counter where it is invariant, else CLOCK_MONOTONIC.
 */
#ifndef TIDEMARK_CLOCK_H
#define TIDEMARK_CLOCK_H

#include "ring.h"

extern bool at_clock_counter AT_INTERNAL; /* the counter is the clock */

/* Chooses the clock and takes a first measure of its rate. Once. Takes about 20 microseconds. */
void at_clock_init(void);

/* Now, on three clocks. */
void at_clock_moment(struct at_moment *moment);

/* `ns` in ticks, by the distance from the moment of at_clock_init until now. At most INT64_MAX. */
int64_t at_clock_ticks(uint64_t ns);

static inline uint64_t at_clock_read(void) {
#if defined(__x86_64__)
  if (AT_LIKELY(at_clock_counter)) return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  if (AT_LIKELY(at_clock_counter)) {
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
  }
#endif
  return at_clock_now();
}

#endif
