/*
 * What finding a site costs: nanoseconds for each call, over an empty hook at the same depth. Prints the smallest of several
 * rounds, since other programs only ever add.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>

#include "alloc_trace.h"
#include "ring.h"
#include "stack-stand.h"
#include "stack-trees.h"
#include "stack.h"

#define ROUNDS 60

static void hook(void) { stand_hook(); }
static void alone(void) { stand_hook_alone(); }
static void empty(void) { __asm__ volatile("" ::: "memory"); }

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

typedef void (*tree)(shape_leaf leaf, int depth, int times);

static double cost(tree run, shape_leaf leaf, int depth, int times) {
  double least = 1e18;
  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    run(leaf, depth, times);
    double taken = (now() - start) / times;
    if (taken < least) least = taken;
  }
  return least;
}

static void measure(const char *what, tree run, shape_leaf leaf, int times) {
  printf("%-36s", what);
  for (int depth = 0; depth <= 20; depth += 5) printf(" %7.1f", cost(run, leaf, depth, times) - cost(run, empty, depth, times));
  printf("\n");
}

static uint64_t calls;
static void counted(void) {
  calls++;
  stand_hook();
}

static uint64_t seed;
static void random_trees(shape_leaf leaf, int depth, int times) {
  for (int i = 0; i < times; i++) {
    uint64_t random = seed + (uint64_t)i % 10;
    tree_random(leaf, &random, depth);
  }
}

static void measure_trees(const char *what, int depth, int times) {
  seed = 12345 + (uint64_t)depth * 1000;
  uint64_t walks = at_stack_figures(stand_state()).walks;
  calls = 0;
  random_trees(counted, depth, times);
  walks = at_stack_figures(stand_state()).walks - walks;
  double each = (double)calls / times;
  double taken = (cost(random_trees, hook, depth, times) - cost(random_trees, empty, depth, times)) / each;
  printf("%-36s %7.1f   %llu calls, %.1f %% walked\n", what, taken, (unsigned long long)calls,
         100.0 * (double)walks / (double)calls);
}

int main(void) {
  stand_start();
  printf("%-36s %7s %7s %7s %7s %7s\n", "frames above main and the loop", "0", "5", "10", "15", "20");
  measure("remembered", tree_repeat, hook, 50000);
  measure("remembered, 16 callers in turn", tree_alternate, hook, 50000);
  measure("walked, site looked up", tree_repeat, alone, 5000);
  stand_stacks(AT_STACKS_CALLER, 1);
  measure("caller only", tree_repeat, hook, 50000);
  stand_stacks(AT_STACKS_FULL, AT_MAX_FRAMES);
  measure_trees("random trees, depth 8", 8, 500);
  measure_trees("random trees, depth 12", 12, 200);
  printf("%u sites\n", at_ring.header->site_count);
  return 0;
}
