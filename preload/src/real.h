/*
 * real.h - the definitions that would be called if the library were not there.
 */
#ifndef TIDEMARK_REAL_H
#define TIDEMARK_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring.h"

/*
 * Always callable: before the next definitions are known, these serve from the bootstrap arena. Where there is no next
 * definition, the member does the same by other means.
 */
struct at_real {
  void *(*malloc)(size_t bytes);
  void (*free)(void *block);
  void *(*calloc)(size_t count, size_t bytes);
  void *(*realloc)(void *block, size_t bytes);
  int (*posix_memalign)(void **to, size_t alignment, size_t bytes);
  void *(*aligned_alloc)(size_t alignment, size_t bytes);
  void *(*memalign)(size_t alignment, size_t bytes);
  void *(*valloc)(size_t bytes);
  void *(*pvalloc)(size_t bytes);
  size_t (*malloc_usable_size)(void *block);
  void (*free_sized)(void *block, size_t bytes);                           /* NULL: there is none */
  void (*free_aligned_sized)(void *block, size_t alignment, size_t bytes); /* NULL: there is none */
  void *(*mmap)(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
  int (*munmap)(void *address, size_t bytes);
  void *(*mremap)(void *address, size_t old_bytes, size_t bytes, int flags, ...);
};
extern struct at_real at_real AT_INTERNAL;

/* Finds them. Once; until it returns, calls of this and other threads are served by the arena. */
void at_real_find(void);

/* The next definition of a symbol after this library, or NULL. */
void *at_real_next(const char *name);

/* What `name` means to the program as a whole. */
void *at_real_first(const char *name);

/* Whether the address lies in the object that defines the real malloc. */
bool at_real_is_allocator(const void *address);

#endif
