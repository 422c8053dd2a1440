/*
 * until-killed.c - threads that allocate and free until somebody kills the process, each keeping its counts in a file that all can
 * see. What has begun and what was done differ by the one call that a thread is in.
 *
 *   until-killed COUNTS THREADS
 *
 * COUNTS: 64-bit numbers; ready, allocations before, frees before, then for each thread: allocations begun, allocations done,
 * frees begun, frees done.
 */
#define _GNU_SOURCE
#include "probe.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define OWN 64
#define HEAD 8
#define EACH 8 /* a cache line */

static _Atomic uint64_t *counts;
static pthread_barrier_t ready;

static void bump(_Atomic uint64_t *count) {
  atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_release);
  __asm__ volatile("" : : : "memory");
}

static void *work(void *argument) {
  _Atomic uint64_t *mine = counts + HEAD + EACH * (uintptr_t)argument;
  void *own[OWN] = { 0 };
  uint64_t random = 88172645463325252ull + (uintptr_t)argument;
  pthread_barrier_wait(&ready);
  pthread_barrier_wait(&ready);
  for (;;) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    void **slot = &own[random % OWN];
    if (*slot) {
      bump(&mine[2]);
      free(*slot);
      bump(&mine[3]);
    }
    bump(&mine[0]);
    *slot = malloc(8 + (random >> 20) % 300);
    bump(&mine[1]);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int threads = atoi(argv[2]);
  int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, 4096) != 0) return 3;
  counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (counts == MAP_FAILED) return 3;
  probe_open();
  pthread_barrier_init(&ready, NULL, (unsigned)threads + 1);
  for (uintptr_t i = 0; i < (uintptr_t)threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, (void *)i) != 0) return 4;
  }
  pthread_barrier_wait(&ready);
  struct probe before;
  probe_take_counts(&before);
  counts[1] = before.allocations;
  counts[2] = before.frees;
  pthread_barrier_wait(&ready);
  counts[0] = 1;
  for (;;) pause();
}
