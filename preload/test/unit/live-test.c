/*
 * live-test.c - the table of live blocks by itself, with threads that enter, find and take out blocks at once. Built with the
 * sanitizers for threads, addresses and undefined behaviour.
 *
 *   live-test THREADS STEPS
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "extend.h"
#include "force.h"
#include "live.h"
#include "populate.h"

union at_header_page at_header_page;
struct at_ring at_ring = { .header = &at_header_page.header };
struct at_force at_force;

enum { OWN = 40000, MOST_THREADS = 16, LEVELS = 2 };

static uint64_t steps;
static _Atomic uint64_t alive, refused, failures;

/* Groups come to be on first use; now and then there is no memory. */
bool at_ring_use(const struct at_region *region, uint64_t offset, uint64_t bytes) {
  uint64_t group = offset / AT_GROUP;
  (void)bytes;
  if (group % 29 == 28) return false;
  __atomic_fetch_or(at_ring.base + region->bitmap + group / 8, (unsigned char)(1u << group % 8), __ATOMIC_RELEASE);
  return true;
}

/* Where the levels lie. */
static unsigned char *levels[AT_LEVELS];

unsigned char *at_extend_level(uint32_t level) { return levels[level]; }

bool at_populate_groups(unsigned char *bitmap, struct at_part part, uint64_t offset, uint64_t bytes) {
  (void)part;
  struct at_region region = { .bitmap = (uint64_t)(bitmap - at_ring.base) };
  return at_ring_use(&region, offset, bytes);
}

static void make_regions(void) {
  uint64_t at = 4 * AT_PAGE, bytes = 0;
  for (uint32_t level = 0; level < LEVELS; level++) bytes += (uint64_t)AT_LEVEL_ENTRIES(level) * sizeof(struct at_live);
  at_ring.base = mmap(NULL, at + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  for (uint32_t level = 0; level < LEVELS; level++) {
    uint32_t entries = AT_LEVEL_ENTRIES(level);
    at_header_page.header.live[level] =
        (struct at_region){ at, entries * sizeof(struct at_live), level * AT_PAGE, entries, sizeof(struct at_live) };
    at += entries * sizeof(struct at_live);
  }
  for (uint32_t level = 0; level < AT_LEVELS; level++)
    at_ring.live[level] = (struct at_live *)(void *)(at_ring.base + at_header_page.header.live[level].offset);
  at_live_open();
}

struct worker {
  pthread_t thread;
  uint64_t random, first;
  uint8_t entered[OWN];
};

static uint64_t size_of(uint64_t address) { return address % 1000 + 1; }

static void enter(uint64_t address, uint8_t *entered) {
  struct at_live *entry = at_live_place(address);
  if (!entry) {
    refused++;
    return;
  }
  struct at_live what = { .size = size_of(address), .ticks = 100 + address % 7, .site = 5 };
  at_live_fill(entry, address, &what);
  *entered = 1;
  alive++;
}

static void leave(uint64_t address, uint8_t *entered) {
  struct at_live *entry = at_live_find(address);
  if (!entry || entry->size != size_of(address)) {
    failures++;
    return;
  }
  /* As realloc does: held, and given back or taken out. */
  if (address % 3 == 0) {
    at_live_hold(entry);
    at_live_release(entry);
  }
  at_live_remove(entry);
  *entered = 0;
  alive--;
}

static void *work(void *argument) {
  struct worker *worker = argument;
  for (uint64_t step = 0; step < steps; step++) {
    worker->random = worker->random * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t which = (worker->random >> 33) % OWN, address = worker->first + which * 16;
    uint8_t *entered = &worker->entered[which];
    if (*entered) leave(address, entered);
    else if (at_live_find(address)) failures++;
    else enter(address, entered);
  }
  return NULL;
}

static uint64_t count_table(void) {
  uint64_t found = 0;
  for (uint32_t level = 0; level < LEVELS; level++)
    for (uint32_t i = 0; i < AT_LEVEL_ENTRIES(level); i++) {
      const struct at_live *entry = &at_levels[level].entries[i];
      if (entry->address == 0) continue;
      found++;
      if (entry->check != at_check(entry->address, entry->size, entry->ticks, entry->site)) failures++;
    }
  return found;
}

/* What an earlier activation left is not found, and makes room. */
static void check_stale(struct worker *worker) {
  uint64_t found = 0;
  at_force.activated_ticks = 1000;
  at_live_crowded = true;
  for (uint32_t i = 0; i < OWN; i++) found += at_live_find(worker->first + i * 16ull) != NULL;
  if (found != 0) failures++;
}

int main(int argc, char **argv) {
  static struct worker workers[MOST_THREADS];
  int threads = argc > 1 ? atoi(argv[1]) : 4;
  steps = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
  if (threads > MOST_THREADS) return 2;
  make_regions();
  for (int i = 0; i < threads; i++) {
    workers[i].random = (uint64_t)i * 7919 + 1;
    workers[i].first = 0x7f0000000000ull + (uint64_t)i * 0x10000000;
    pthread_create(&workers[i].thread, NULL, work, &workers[i]);
  }
  for (int i = 0; i < threads; i++) pthread_join(workers[i].thread, NULL);
  uint64_t found = count_table();
  printf("{\"alive\":%llu,\"found\":%llu,\"refused\":%llu,\"failures\":%llu}\n", (unsigned long long)alive,
         (unsigned long long)found, (unsigned long long)refused, (unsigned long long)failures);
  check_stale(&workers[0]);
  return failures || found != alive ? 1 : 0;
}
