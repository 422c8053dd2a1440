/*
 * threads.c - threads that allocate, reallocate and free all at once, also what others allocated. Prints its own counts and what
 * was seen meanwhile; with SECONDS it goes on for so long, or until SIGUSR1, instead of a number of calls.
 *
 *   threads THREADS CALLS [SECONDS]
 */
#define _GNU_SOURCE
#include "probe.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS 4096 /* through which blocks change hands */
#define OWN 256
#define MOST_THREADS 64

/* The size is the first word of a block. */
static _Atomic(uint64_t *) exchange[SLOTS];
static pthread_barrier_t ready, done, seen;
static uint64_t calls;
static _Atomic int stopping;

struct worker {
  pthread_t thread;
  struct tally tally;
  uint64_t random;
  uint64_t *own[OWN];
};
static struct worker workers[MOST_THREADS];

static uint64_t next_random(struct worker *worker) {
  worker->random ^= worker->random << 13;
  worker->random ^= worker->random >> 7;
  worker->random ^= worker->random << 17;
  return worker->random;
}

static uint64_t *take(struct worker *worker, uint64_t random) {
  size_t size = 8 + (random >> 20) % ((random >> 40) % 64 == 0 ? 8000 : 200);
  uint64_t *block = random % 16 == 1 ? calloc(1, size) : malloc(size);
  tally_allocation(&worker->tally, block, size);
  if (block) block[0] = size;
  return block;
}

static void give(struct worker *worker, uint64_t *block) {
  if (!block) return;
  tally_free(&worker->tally, block[0]);
  free(block);
}

static uint64_t *resize(struct worker *worker, uint64_t *block, uint64_t random) {
  if (!block) return NULL;
  size_t before = block[0], after = 8 + (random >> 30) % 500;
  uint64_t *moved = realloc(block, after);
  if (!moved) abort();
  tally_free(&worker->tally, before);
  tally_allocation(&worker->tally, moved, after);
  moved[0] = after;
  return moved;
}

static void step(struct worker *worker) {
  uint64_t random = next_random(worker);
  uint64_t **slot = &worker->own[(random >> 8) % OWN];
  switch (random % 8) {
    case 0: /* hands one to whoever comes, and frees what lay there */
      give(worker, atomic_exchange(&exchange[(random >> 16) % SLOTS], take(worker, random)));
      break;
    case 1:
      *slot = resize(worker, *slot, random);
      break;
    default:
      give(worker, *slot);
      *slot = take(worker, random);
  }
}

static void *work(void *argument) {
  struct worker *worker = argument;
  pthread_barrier_wait(&ready);
  pthread_barrier_wait(&ready);
  while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
    if (calls && (uint64_t)(worker->tally.allocations + worker->tally.frees) >= calls) break;
    step(worker);
  }
  pthread_barrier_wait(&done);
  pthread_barrier_wait(&seen);
  return NULL;
}

static void add(struct tally *sum, const struct tally *more) {
  sum->allocations += more->allocations;
  sum->frees += more->frees;
  sum->failed += more->failed;
  sum->live_blocks += more->live_blocks;
  sum->live_bytes += more->live_bytes;
}

/* Ends the sleep of the main thread. */
static void on_signal(int number) { (void)number; }

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 4;
  calls = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
  int seconds = argc > 3 ? atoi(argv[3]) : 0;
  if (threads > MOST_THREADS) return 2;
  if (seconds) calls = 0;
  struct probe before, after;
  struct tally sum = { 0 };
  probe_open();
  pthread_barrier_init(&ready, NULL, (unsigned)threads + 1);
  pthread_barrier_init(&done, NULL, (unsigned)threads + 1);
  pthread_barrier_init(&seen, NULL, (unsigned)threads + 1);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, NULL); /* for the threads, which inherit it */
  for (int i = 0; i < threads; i++) {
    workers[i].random = 0x9e3779b97f4a7c15ull * (uint64_t)(i + 1);
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) return 3;
  }
  pthread_barrier_wait(&ready); /* all of them run */
  probe_take(&before);
  pthread_barrier_wait(&ready);
  if (seconds) {
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGUSR1, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
    struct timespec pause = { seconds, 0 };
    nanosleep(&pause, NULL);
    atomic_store(&stopping, 1);
  }
  pthread_barrier_wait(&done);
  probe_take(&after);
  for (int i = 0; i < threads; i++) add(&sum, &workers[i].tally);
  say_case("threads", &sum, &before, &after);
  pthread_barrier_wait(&seen);
  for (int i = 0; i < threads; i++) pthread_join(workers[i].thread, NULL);
  return 0;
}
