/*
 * arena.h - memory for calls that come before the real allocator is known (dlsym allocates).
 */
#ifndef TIDEMARK_ARENA_H
#define TIDEMARK_ARENA_H

#include <stdbool.h>
#include <stddef.h>

void *at_arena_memalign(size_t alignment, size_t bytes); /* zeroed; NULL when there is no room left */
bool at_arena_has(const void *block);
size_t at_arena_size(const void *block); /* as asked for */
bool at_arena_used(void);

#endif
