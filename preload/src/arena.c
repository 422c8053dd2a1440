#include "arena.h"

#include <stdint.h>

#define ARENA_BYTES 65536u
#define ARENA_ALIGNMENT 16u

static unsigned char memory[ARENA_BYTES] __attribute__((aligned(4096)));
static size_t taken;

/* The size lies in the 16 bytes before the block. Nothing is ever given back: only a handful of blocks come here. */
void *at_arena_memalign(size_t alignment, size_t bytes) {
  if (alignment < ARENA_ALIGNMENT) alignment = ARENA_ALIGNMENT;
  if (alignment > 4096u || bytes > ARENA_BYTES) return NULL;
  size_t before = __atomic_load_n(&taken, __ATOMIC_RELAXED);
  for (;;) {
    size_t start = (before + ARENA_ALIGNMENT + alignment - 1) & ~(alignment - 1);
    size_t end = (start + bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (end > ARENA_BYTES) return NULL;
    if (__atomic_compare_exchange_n(&taken, &before, end, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      *(size_t *)(void *)(memory + start - ARENA_ALIGNMENT) = bytes;
      return memory + start;
    }
  }
}

bool at_arena_has(const void *block) {
  return (uintptr_t)block - (uintptr_t)memory < ARENA_BYTES;
}

size_t at_arena_size(const void *block) {
  return *(const size_t *)(const void *)((const unsigned char *)block - ARENA_ALIGNMENT);
}

bool at_arena_used(void) {
  return __atomic_load_n(&taken, __ATOMIC_RELAXED) != 0;
}
