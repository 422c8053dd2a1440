/*
 * What is remembered must never name another caller than a walk would: every call is compared with a fresh walk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "alloc_trace.h"
#include "ring.h"
#include "stack-stand.h"
#include "stack-trees.h"
#include "stack.h"

static _Thread_local uint64_t calls;

static void leaf(void) {
  stand_hook_twice();
  if (++calls % 512 == 0) stand_hook_compared(true);
}

/* The same 220 trees over and over, three times in a row, so that there is something to remember. */
static void trees(uint64_t seed, int rounds) {
  for (int i = 0; i < rounds; i++) {
    uint64_t random = (seed * 1000 + (uint64_t)i / 3 % 20) * 0x9e3779b97f4a7c15ULL;
    tree_random(leaf, &random, i / 3 % 11);
  }
}

static void report(const char *what) {
  struct at_stack_figures figures = at_stack_figures(stand_state());
  printf("%-22s %9lu calls, %9lu walks, %6u sites, %lu compared, %lu wrong, %lu differ\n", what, (unsigned long)calls,
         (unsigned long)figures.walks, at_ring.header->site_count, (unsigned long)stand_figures.compared,
         (unsigned long)stand_figures.wrong_memo, (unsigned long)stand_figures.differing);
  stand_must(stand_figures.wrong_memo == 0, "what is remembered is what a walk finds");
  stand_must(stand_figures.differing == 0, "what is remembered is what libgcc finds");
  stand_must(figures.walks < calls, "something is remembered");
}

static void *in_thread(void *seed) {
  trees((uint64_t)(uintptr_t)seed, 3000);
  at_stack_leave(stand_state());
  trees((uint64_t)(uintptr_t)seed, 3000);
  return NULL;
}

static void in_threads(void) {
  pthread_t threads[4];
  /* the same seed twice: both enter the same new stacks at the same time */
  for (uintptr_t i = 0; i < 4; i++)
    stand_must(pthread_create(&threads[i], NULL, in_thread, (void *)(7 + i / 2)) == 0, "a thread");
  for (int i = 0; i < 20; i++) {
    void *plugin = dlopen(PLUGIN_A, RTLD_NOW);
    stand_must(plugin != NULL, "the plugin");
    void (*call)(void (*)(void), int);
    *(void **)&call = dlsym(plugin, "plugin_call");
    call(leaf, i % 3);
    call(leaf, i % 3);
    usleep(2000);
    dlclose(plugin);
  }
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

static bool same_frames(const struct at_site *left, const struct at_site *right) {
  if (left->depth != right->depth || left->flags != right->flags) return false;
  for (uint32_t i = 0; i < left->depth; i++) {
    if (at_ring.frames[left->first_frame + i] != at_ring.frames[right->first_frame + i]) return false;
  }
  return true;
}

static void sites_are_distinct(void) {
  uint32_t empty = 0;
  for (uint32_t i = AT_FIRST_SITE; i < at_ring.header->site_count; i++) {
    if (at_ring.sites[i].depth == 0) empty++;
    for (uint32_t j = i + 1; at_ring.sites[i].depth != 0 && j < at_ring.header->site_count; j++) {
      if (at_ring.sites[j].hash != at_ring.sites[i].hash) continue;
      stand_must(!same_frames(&at_ring.sites[i], &at_ring.sites[j]), "equal stacks have one number");
    }
  }
  stand_must(empty <= 8, "few numbers are lost");
}

static ucontext_t outside;
static ucontext_t inside;

static void fiber(void) { trees(99, 300); }

/* Stacks of different sizes, one after the other at the same address, with nothing mapped behind them. */
static void in_fibers(void) {
  size_t most = 1 << 18;
  for (size_t bytes = most; bytes >= 1 << 15; bytes /= 2) {
    char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    getcontext(&inside);
    inside.uc_stack = (stack_t){.ss_sp = stack, .ss_size = bytes};
    inside.uc_link = &outside;
    makecontext(&inside, fiber, 0);
    swapcontext(&outside, &inside);
    munmap(stack, bytes);
  }
}

static void with_few_frames(void) {
  for (uint32_t most = 1; most <= 8; most += 3) {
    stand_stacks(AT_STACKS_FULL, most);
    trees(5, 300);
    uint64_t addresses[AT_MAX_FRAMES];
    uint32_t flags;
    stand_must(stand_frames(stand_hook(), addresses, &flags) <= most, "no more frames than asked for");
  }
  stand_stacks(AT_STACKS_FULL, AT_MAX_FRAMES);
}

static void callers_alone(void) {
  uint64_t addresses[AT_MAX_FRAMES];
  uint32_t flags;
  stand_stacks(AT_STACKS_CALLER, AT_MAX_FRAMES);
  uint32_t sites[2];
  for (volatile int i = 0; i < 2; i++) sites[i] = stand_hook();
  stand_must(sites[0] == sites[1], "one place is one site");
  stand_must(stand_frames(sites[0], addresses, &flags) == 1 && flags == AT_SITE_CALLER, "the caller alone");
  uint64_t here = (uint64_t)(uintptr_t)&callers_alone;
  stand_must(addresses[0] > here && addresses[0] < here + 4096, "the caller is this function");
  stand_must(stand_hook() != sites[0], "another place is another site");
  stand_stacks(AT_STACKS_FULL, AT_MAX_FRAMES);
}

static void in_a_ring_of_its_own(void) {
  uint32_t before = at_ring.header->site_count;
  stand_renew();
  trees(3, 500);
  stand_must(at_ring.header->site_count > AT_FIRST_SITE && at_ring.header->site_count < before, "sites from the start");
  sites_are_distinct();
  stand_must(at_ring.header->module_count > 1 && at_ring.modules[1].path_bytes > 0, "modules from the start");
}

static void without_room(void) {
  stand_renew();
  stand_site_capacity(AT_FIRST_SITE + 5);
  uint64_t dropped = at_ring.header->dropped_sites;
  uint64_t random = 11;
  uint32_t overflowed = 0;
  for (int i = 0; i < 200; i++) {
    uint64_t again = random;
    tree_random(leaf, &random, 5);
    tree_random(leaf, &again, 5);
  }
  overflowed = at_ring.header->site_count;
  stand_must(overflowed == AT_FIRST_SITE + 5, "the table is full");
  stand_must(at_ring.header->dropped_sites > dropped, "what found no room is counted");
  uint64_t counted = at_ring.header->dropped_sites;
  stand_must(stand_hook() == AT_SITE_OVERFLOW, "the site that all others share");
  stand_must(at_ring.header->dropped_sites == counted + 1, "each call is counted");
}

int main(void) {
  stand_start();
  trees(1, 20000);
  report("trees");
  in_fibers();
  report("fibers");
  with_few_frames();
  report("few frames");
  callers_alone();
  in_threads();
  report("threads, dlclose");
  sites_are_distinct();
  in_a_ring_of_its_own();
  report("a ring of its own");
  calls = 1; /* no room: nothing that could be compared */
  without_room();
  return 0;
}
