/*
 * leak-churn-cache.c - leaks at A, churns at B, holds a bounded cache at C. Prints one JSON object: what it leaked (address and
 * size), how often each site allocated, and what the cache still holds.
 *
 *   leak-churn-cache [LEAKS] [CHURN] [SECONDS] [BYTES]     BYTES: size of each leaked block, 0 for sizes of all kinds
 */
#define _GNU_SOURCE
#include "probe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CACHE_SLOTS 512
#define CACHE_BYTES 700

struct leaked {
  void *address;
  size_t size;
};

static struct leaked *list;
static uint64_t cached_calls, churned_calls;

/* Shared by all three, as in real programs: the caller of malloc is the same for all of them. */
__attribute__((noinline)) void *take_memory(size_t size) {
  void *block = malloc(size);
  if (!block) abort();
  memset(block, 0x5a, size);
  return kept(block);
}

__attribute__((noinline)) void leak_at_a(uint64_t index, size_t bytes) {
  size_t size = bytes ? bytes : 40 + (index * 37) % 4000;
  void *block = take_memory(size);
  list[index] = (struct leaked){ block, size };
  __asm__ volatile("");
}

__attribute__((noinline)) void churn_at_b(uint64_t index) {
  void *block = take_memory(16 + (index * 13) % 900);
  churned_calls++;
  free(kept(block));
}

__attribute__((noinline)) void cache_at_c(uint64_t index) {
  static void *slots[CACHE_SLOTS];
  uint64_t slot = (index * 2654435761u) % CACHE_SLOTS;
  free(slots[slot]);
  slots[slot] = take_memory(CACHE_BYTES);
  cached_calls++;
  __asm__ volatile("");
}

static void report(uint64_t leaks) {
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < leaks; i++) bytes += list[i].size;
  say("{\"pid\":%d,\"churned\":%" PRIu64 ",\"cached\":%" PRIu64 ",\"slots\":%d,\"slotBytes\":%d", (int)getpid(),
      churned_calls, cached_calls, CACHE_SLOTS, CACHE_BYTES);
  say(",\"leakedBytes\":%" PRIu64 ",\"leaked\":[", bytes);
  for (uint64_t i = 0; i < leaks; i++)
    say("%s[\"0x%" PRIxPTR "\",%zu]", i ? "," : "", (uintptr_t)list[i].address, list[i].size);
  say("]}\n");
}

int main(int argc, char **argv) {
  uint64_t leaks = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
  uint64_t churn = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
  double seconds = argc > 3 ? strtod(argv[3], NULL) : 0;
  size_t bytes = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
  uint64_t steps = leaks > churn ? leaks : churn;
  struct timespec pause = { 0, leaks ? (long)(seconds * 1e9 / (double)leaks) : 0 };
  list = calloc(leaks + 1, sizeof *list);
  uint64_t done = 0;
  for (uint64_t step = 0; step < steps; step++) {
    if (done < leaks && step * leaks >= done * steps) {
      leak_at_a(done++, bytes);
      if (pause.tv_nsec) nanosleep(&pause, NULL);
    }
    if (step < churn) churn_at_b(step);
    if (step % 4 == 0) cache_at_c(step);
  }
  while (done < leaks) leak_at_a(done++, bytes);
  report(leaks);
  return 0;
}
