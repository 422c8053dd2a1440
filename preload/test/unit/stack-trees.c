/* Call trees behind shared allocation functions: see stack-trees.h. Built in several ways. */
#include "stack-trees.h"

#include <alloca.h>
#include <string.h>

static volatile int kept;
static _Thread_local shape_leaf allocate;

/* Two layers that every allocation goes through. */
__attribute__((noinline)) static void checked(int size) {
  if (size < 0) kept++;
  allocate();
  kept = size;
}

__attribute__((noinline)) static void sized(int size) {
  volatile char room[24];
  room[0] = (char)size;
  checked(size);
  kept = room[0];
}

/* Sixteen callers at the same depth with the same frame, told apart by the return address in between only. */
__attribute__((noinline)) static void one_of_many(int which) {
  switch (which & 15) {
    case 0: sized(0); break;
    case 1: sized(1); break;
    case 2: sized(2); break;
    case 3: sized(3); break;
    case 4: sized(4); break;
    case 5: sized(5); break;
    case 6: sized(6); break;
    case 7: sized(7); break;
    case 8: checked(8); break;
    case 9: checked(9); break;
    case 10: checked(10); break;
    case 11: sized(11); break;
    case 12: sized(12); break;
    case 13: sized(13); break;
    case 14: allocate(); break;
    default: sized(15); break;
  }
  kept++;
}

static uint64_t next(uint64_t *random) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return *random;
}

__attribute__((noinline)) static void branch(uint64_t *random, int depth);

__attribute__((noinline)) static void variable(uint64_t *random, int depth) {
  size_t bytes = 8 * (next(random) % 6) + 1;
  char *room = alloca(bytes);
  memset(room, 1, bytes);
  branch(random, depth - 1);
  kept += room[0];
}

__attribute__((noinline)) static void plain(uint64_t *random, int depth) {
  branch(random, depth - 1);
  kept++;
}

__attribute__((noinline)) static void twin(uint64_t *random, int depth) {
  branch(random, depth - 1);
  kept += 2;
}

__attribute__((noinline)) static void tail(uint64_t *random, int depth) { branch(random, depth - 1); }

__attribute__((noinline)) static void busy(uint64_t *random, int depth) {
  int a = kept, b = kept + 1, c = kept + 2, d = kept + 3, e = kept + 4;
  branch(random, depth - 1);
  kept = (a ^ b ^ c ^ d ^ e) & 0xff;
}

__attribute__((noinline)) static void branch(uint64_t *random, int depth) {
  uint64_t choice = next(random);
  if (depth <= 0) {
    one_of_many((int)(choice >> 8));
    return;
  }
  for (uint64_t i = 0; i <= (choice >> 20) % 2; i++) {
    switch ((choice + i) % 7) {
      case 0: plain(random, depth); break;
      case 1: twin(random, depth); break;
      case 2: variable(random, depth); break;
      case 3: tail(random, depth); break;
      case 4: busy(random, depth); break;
      case 5: one_of_many((int)(choice >> 9)); break;
      default: plain(random, depth); break;
    }
  }
}

void tree_random(shape_leaf leaf, uint64_t *random, int depth) {
  allocate = leaf;
  branch(random, depth);
  kept++;
}

__attribute__((noinline)) static void chain(shape_leaf leaf, int depth) {
  if (depth == 0) leaf();
  else chain(leaf, depth - 1);
  kept++;
}

__attribute__((noinline)) static void repeat(int times) {
  for (int i = 0; i < times; i++) allocate();
  kept++;
}

static _Thread_local int repetitions;
static void repeated(void) { repeat(repetitions); }

void tree_repeat(shape_leaf leaf, int depth, int times) {
  allocate = leaf;
  repetitions = times;
  chain(repeated, depth);
}

static void alternating(void) {
  for (int i = 0; i < repetitions; i++) one_of_many(i);
}

void tree_alternate(shape_leaf leaf, int depth, int times) {
  allocate = leaf;
  repetitions = times;
  chain(alternating, depth);
}
