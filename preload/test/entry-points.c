/*
 * entry-points.c - every way to get and give back memory in C, each with what it must count. Prints one JSON line a case.
 * Where allocators differ (realloc to nothing, sizes of nothing) the expectation follows the answer that was given.
 */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HUGE ((size_t)PTRDIFF_MAX - 4096)

static struct tally tally;
/* What the compiler may not know. */
static volatile size_t huge = HUGE, many = SIZE_MAX / 2, zero = 0;
static int errors;

static void must(int condition, const char *what) {
  if (condition) return;
  errors++;
  say("{\"case\":\"broken\",\"what\":\"%s\"}\n", what);
}

static void *got(void *block, size_t size) {
  tally_allocation(&tally, block, size);
  return kept(block);
}

static void drop(void *block, size_t size) {
  free(kept(block));
  tally_free(&tally, size);
}

static void case_malloc(void) {
  void *block = got(malloc(100), 100);
  memset(block, 1, 100);
  drop(block, 100);
  got(malloc(200), 200);
}

static void case_malloc_of_nothing(void) {
  void *block = malloc(zero);
  if (block) {
    got(block, 0);
    drop(block, 0);
  }
}

static void case_malloc_refused(void) {
  errno = 0;
  must(got(malloc(huge), huge) == NULL && errno == ENOMEM, "malloc of half the address space answers ENOMEM");
}

static void case_free_null(void) {
  errno = 7;
  free(kept(NULL));
  must(errno == 7, "free(NULL) keeps errno");
}

static void case_free_keeps_errno(void) {
  void *block = got(malloc(32), 32);
  errno = 7;
  drop(block, 32);
  must(errno == 7, "free keeps errno");
}

static void case_calloc(void) {
  unsigned char *block = got(calloc(10, 30), 300);
  for (int i = 0; i < 300; i++) must(block[i] == 0, "calloc clears");
  drop(block, 300);
}

static void case_calloc_overflow(void) {
  errno = 0;
  must(got(calloc(many, 3), 0) == NULL && errno == ENOMEM, "calloc of more than there are numbers answers ENOMEM");
}

static void case_realloc(void) {
  char *block = got(realloc(NULL, 10), 10);
  strcpy(block, "tidemark");
  for (size_t size = 10; size < 100000; size *= 3) {
    char *larger = kept(realloc(kept(block), size * 3));
    must(larger != NULL && strcmp(larger, "tidemark") == 0, "realloc keeps the content");
    tally_free(&tally, size);
    tally_allocation(&tally, larger, size * 3);
    block = larger;
    if (size * 9 >= 300000) {
      drop(block, size * 3);
      return;
    }
  }
}

static void case_realloc_shrinks(void) {
  char *block = got(malloc(5000), 5000);
  char *smaller = kept(realloc(kept(block), 16));
  tally_free(&tally, 5000);
  tally_allocation(&tally, smaller, 16);
  drop(smaller, 16);
}

static void case_realloc_to_nothing(void) {
  char *block = got(malloc(64), 64);
  void *left = kept(realloc(kept(block), zero));
  tally_free(&tally, 64);
  if (left) {
    tally_allocation(&tally, left, 0);
    drop(left, 0);
  }
}

static void case_realloc_refused(void) {
  char *block = got(malloc(64), 64);
  errno = 0;
  must(kept(realloc(kept(block), huge)) == NULL && errno == ENOMEM, "realloc answers ENOMEM");
  tally.failed++;
  drop(block, 64); /* it is still there */
}

static void case_reallocarray(void) {
  char *block = got(reallocarray(NULL, 4, 25), 100);
  block = kept(reallocarray(kept(block), 8, 25));
  tally_free(&tally, 100);
  tally_allocation(&tally, block, 200);
  errno = 0;
  must(kept(reallocarray(kept(block), many, 3)) == NULL && errno == ENOMEM, "reallocarray answers ENOMEM");
  tally.failed++;
  drop(block, 200);
}

static void case_posix_memalign(void) {
  void *block = NULL;
  must(posix_memalign(&block, 256, 1000) == 0 && (uintptr_t)block % 256 == 0, "posix_memalign aligns");
  got(block, 1000);
  drop(block, 1000);
}

static void case_posix_memalign_errors(void) {
  void *block = (void *)&tally;
  must(posix_memalign(&block, 3, 1000) == EINVAL, "posix_memalign names a wrong alignment");
  tally.failed++;
  must(posix_memalign(&block, 64, huge) == ENOMEM, "posix_memalign names too large a size");
  tally.failed++;
}

static void case_aligned_alloc(void) {
  void *block = got(aligned_alloc(512, 1024), 1024);
  must((uintptr_t)block % 512 == 0, "aligned_alloc aligns");
  drop(block, 1024);
}

static void case_memalign(void) {
  void *block = got(memalign(1024, 77), 77);
  must((uintptr_t)block % 1024 == 0, "memalign aligns");
  drop(block, 77);
}

static void case_valloc(void) {
  void *block = got(valloc(123), 123);
  must((uintptr_t)block % (uintptr_t)getpagesize() == 0, "valloc aligns to a page");
  drop(block, 123);
}

static void case_pvalloc(void) {
  void *block = got(pvalloc(123), 123);
  must(malloc_usable_size(block) >= (size_t)getpagesize(), "pvalloc gives whole pages");
  drop(block, 123);
}

static void case_usable_size(void) {
  char *block = got(malloc(100), 100);
  must(malloc_usable_size(block) >= 100, "malloc_usable_size tells the room");
  must(malloc_usable_size(NULL) == 0, "malloc_usable_size of NULL is 0");
  drop(block, 100);
}

static void case_inside_libc(void) {
  char *text = got(strdup("as long as this"), 16);
  char *copy = got(strndup("as long as this", 4), 5);
  drop(text, 16);
  drop(copy, 5);
}

static void case_many_sizes(void) {
  enum { COUNT = 3000 };
  static void *blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) blocks[i] = got(malloc(i * 7), i * 7);
  for (size_t i = 0; i < COUNT; i += 2) drop(blocks[i], i * 7);
}

static void run(const char *name, void (*body)(void)) {
  struct probe before, after;
  memset(&tally, 0, sizeof tally);
  probe_take(&before);
  body();
  probe_take(&after);
  say_case(name, &tally, &before, &after);
}

#define RUN(name) run(#name, case_##name)

/* Not every allocator has a pvalloc; that of the C library would mix two of them. */
int main(int argc, char **argv) {
  int has_pvalloc = argc < 2 || strcmp(argv[1], "without-pvalloc") != 0;
  probe_open();
  RUN(malloc);
  RUN(malloc_of_nothing);
  RUN(malloc_refused);
  RUN(free_null);
  RUN(free_keeps_errno);
  RUN(calloc);
  RUN(calloc_overflow);
  RUN(realloc);
  RUN(realloc_shrinks);
  RUN(realloc_to_nothing);
  RUN(realloc_refused);
  RUN(reallocarray);
  RUN(posix_memalign);
  RUN(posix_memalign_errors);
  RUN(aligned_alloc);
  RUN(memalign);
  RUN(valloc);
  if (has_pvalloc) RUN(pvalloc);
  RUN(usable_size);
  RUN(inside_libc);
  RUN(many_sizes);
  return errors ? 1 : 0;
}
