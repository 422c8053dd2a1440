/*
 * early-late.c - allocates before main and after it: constructors of every priority, destructors, atexit, keys of threads. What it
 * leaves behind has sizes of its own, so that the blocks can be recognised: 7001 to 7005.
 */
#define _GNU_SOURCE
#include "probe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void *early, *first, *late_block;
static pthread_key_t key;
static __thread void *of_thread;

__attribute__((constructor(101))) static void at_the_very_first(void) { first = kept(malloc(7001)); }

__attribute__((constructor)) static void early_one(void) {
  early = kept(calloc(1, 7002));
  free(kept(malloc(123)));
}

__attribute__((destructor)) static void late(void) {
  free(first);
  late_block = kept(malloc(7003));
}

__attribute__((destructor(101))) static void very_late(void) {
  free(kept(malloc(555)));
  kept(malloc(7004));
}

static void at_exit(void) { free(kept(malloc(7777))); }

/* Runs while the thread is on its way out, twice for each thread. */
static void forget(void *value) {
  free(value);
  if (of_thread) {
    of_thread = NULL;
    pthread_setspecific(key, kept(malloc(99)));
  }
}

static void *live(void *argument) {
  of_thread = argument;
  pthread_setspecific(key, kept(malloc(88)));
  free(kept(malloc(1000)));
  return NULL;
}

int main(void) {
  pthread_t threads[20];
  atexit(at_exit);
  pthread_key_create(&key, forget);
  for (int i = 0; i < 20; i++) pthread_create(&threads[i], NULL, live, &key);
  for (int i = 0; i < 20; i++) pthread_join(threads[i], NULL);
  kept(malloc(7005));
  say("{\"early\":\"%p\",\"first\":\"%p\"}\n", early, first);
  return 0;
}
