/*
 * pairs.c - threads that each keep a window of blocks and replace one at a time, from a few frames deep.
 *
 *   pairs THREADS PAIRS     PAIRS of malloc and free, by all threads together
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define APART __attribute__((noinline))
#define WINDOW 1024

static uint64_t pairs_each;

static APART void replace(void **slot, size_t size) {
  free(*slot);
  char *block = malloc(size);
  if (!block) abort();
  block[0] = 1;
  *slot = block;
}

static APART void replace_small(void **slot, uint64_t random) { replace(slot, 16 + random % 112); }

static APART void replace_any(void **slot, uint64_t random) { replace(slot, 16 + random % 2000); }

static APART void step(void **window, uint64_t random) {
  void **slot = &window[random % WINDOW];
  if (random >> 60) replace_small(slot, random >> 20);
  else replace_any(slot, random >> 20);
}

static void *work(void *argument) {
  void **window = calloc(WINDOW, sizeof *window);
  uint64_t random = (uint64_t)(uintptr_t)argument * 0x9e3779b97f4a7c15ull + 88172645463325252ull;
  for (uint64_t i = 0; i < pairs_each; i++) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    step(window, random);
  }
  for (int i = 0; i < WINDOW; i++) free(window[i]);
  free(window);
  return NULL;
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  pthread_t ids[64];
  if (threads < 1 || threads > 64) return 2;
  pairs_each = (argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000) / (uint64_t)threads;
  for (int i = 0; i < threads; i++) pthread_create(&ids[i], NULL, work, (void *)(uintptr_t)(i + 1));
  for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  puts("done");
  return 0;
}
