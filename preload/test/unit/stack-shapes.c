#define _GNU_SOURCE
#include "stack-shapes.h"

#include <alloca.h>
#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static volatile int kept;
static _Thread_local shape_leaf current;

__attribute__((noinline)) void shape_recursion(shape_leaf leaf, int depth) {
  if (depth == 0) leaf();
  else shape_recursion(leaf, depth - 1);
  kept++;
}

__attribute__((noinline)) void shape_variable(shape_leaf leaf, int depth) {
  char room[16 + (depth * 37) % 400];
  char *more = alloca((size_t)(8 + (depth * 101) % 900));
  memset(room, depth, sizeof room);
  more[0] = room[depth % 16];
  if (depth == 0) leaf();
  else shape_variable(leaf, depth - 1);
  kept += more[0] + room[1];
}

__attribute__((noinline)) void shape_realigned(shape_leaf leaf, int depth) {
  _Alignas(64) volatile char aligned[128];
  char *more = alloca((size_t)(1 + depth % 7) * 16);
  aligned[depth % 128] = 1;
  more[0] = aligned[1];
  if (depth == 0) leaf();
  else if (depth % 2 == 0) shape_realigned(leaf, depth - 1);
  else shape_variable(leaf, depth - 1);
  kept += aligned[depth % 128] + more[0];
}

__attribute__((noinline)) static long wide(shape_leaf leaf, int depth, long a, long b, long c, long d, long e, long f,
                                           long g) {
  long result;
  if (depth == 0) {
    leaf();
    return a + b + c + d + e + f + g;
  }
  result = wide(leaf, depth - 1, b, c, d, e, f, g, a);
  kept += (int)result;
  return result + a;
}

static void nothing(void) {}

__attribute__((noinline)) void shape_many_arguments(shape_leaf leaf, int depth) {
  if (depth == 0) leaf();
  else wide(leaf, depth, 1, 2, 3, 4, 5, 6, 7);
  wide(nothing, 0, 1, 2, 3, 4, 5, 6, 7);
}

__attribute__((noinline)) void shape_large_frame(shape_leaf leaf) {
  volatile char large[300000];
  large[0] = large[sizeof large - 1] = 1;
  leaf();
  kept += large[0];
}

static int by_value(const void *left, const void *right) {
  current();
  return *(const int *)left - *(const int *)right;
}

static void once(void) { current(); }

__attribute__((noinline)) void shape_library_callback(shape_leaf leaf) {
  int values[] = {5, 3, 9, 1, 7, 2};
  int wanted = 7;
  pthread_once_t control = PTHREAD_ONCE_INIT;
  current = leaf;
  qsort(values, 6, sizeof *values, by_value);
  kept += bsearch(&wanted, values, 6, sizeof *values, by_value) != NULL;
  pthread_once(&control, once);
}

__attribute__((noinline)) static void tail_b(shape_leaf leaf, int depth);
__attribute__((noinline)) static void tail_a(shape_leaf leaf, int depth) {
  if (depth % 3 == 0) kept++;
  if (depth == 0) return leaf();
  return tail_b(leaf, depth - 1);
}
__attribute__((noinline)) static void tail_b(shape_leaf leaf, int depth) { return tail_a(leaf, depth > 0 ? depth - 1 : 0); }

__attribute__((noinline)) void shape_tail(shape_leaf leaf, int depth) {
  tail_a(leaf, depth);
  kept++;
}

__attribute__((noinline)) void shape_registers(shape_leaf leaf, int depth) {
  int a = kept, b = kept + 1, c = kept + 2, d = kept + 3, e = kept + 4, f = kept + 5;
  if (depth == 0) leaf();
  else if (depth % 3 == 0) shape_variable(leaf, 2);
  else shape_registers(leaf, depth - 1);
  kept += a * b + c * d + e * f;
  if (kept > 1000000) kept = 0;
}

__attribute__((noinline)) unsigned shape_linkage(int rounds) {
  unsigned sum = 0;
  char text[32] = "Some Text";
  for (int i = 0; i < rounds; i++) {
    sum += (unsigned)strcasecmp(text, "some text") + (unsigned)toupper(text[i % 9]) + (unsigned)strlen(text);
    sum += (unsigned)abs(atoi("17")) + (unsigned)strtol("23", NULL, 10);
    text[i % 9] = (char)('a' + i % 26);
  }
  return sum;
}
