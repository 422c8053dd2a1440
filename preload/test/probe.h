/*
 * probe.h - a test program's own counts beside what the library says of it at the same moment. Nothing here allocates, so that
 * looking does not change what is seen.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>

struct probe {
  uint64_t allocations, frees, failed; /* with those that the sampler passed over */
  uint64_t cancelled, dropped, unmatched;
  uint64_t live_blocks, live_bytes;
};

/* What the program did itself: the expectation. */
struct tally {
  int64_t allocations, frees, failed, live_blocks, live_bytes;
};

/* Finds the ring of this process in TEST_RINGS or TIDEMARK_DIR; 0 when there is none. */
int probe_open(void);
/* The counts as they are; zeros without a ring. */
void probe_take(struct probe *probe);
/* The counts without the table of live blocks, which takes longer to read the larger it is. */
void probe_take_counts(struct probe *probe);
void probe_close(void);

/* printf to standard output without an allocation; at most 4,000 bytes. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One JSON line: {"case", "expected": tally, "seen": after - before}. */
void say_case(const char *name, const struct tally *expected, const struct probe *before, const struct probe *after);

static inline void tally_allocation(struct tally *tally, const void *block, uint64_t size) {
  if (!block) {
    tally->failed++;
    return;
  }
  tally->allocations++;
  tally->live_blocks++;
  tally->live_bytes += (int64_t)size;
}

static inline void tally_free(struct tally *tally, uint64_t size) {
  tally->frees++;
  tally->live_blocks--;
  tally->live_bytes -= (int64_t)size;
}

/* Keeps the compiler from leaving out a pair of malloc and free. */
static inline void *kept(void *block) {
  __asm__ volatile("" : "+r"(block) : : "memory");
  return block;
}

#endif
