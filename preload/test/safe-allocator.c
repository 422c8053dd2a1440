/*
 * safe-allocator.c - an allocator that may be called from a signal handler at any moment, as no other may: it counts upwards in one
 * large mapping and never takes back. Preloaded beside the library, it lets a handler interrupt the library anywhere.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPACE (64ull << 30)

static _Atomic(uint64_t) space, used;

static uint64_t begin(void) {
  uint64_t base = atomic_load(&space);
  if (base) return base;
  long made = syscall(SYS_mmap, NULL, SPACE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);
  if (made < 0 && made > -4096) return 0;
  if (atomic_compare_exchange_strong(&space, &base, (uint64_t)made)) return (uint64_t)made;
  syscall(SYS_munmap, made, SPACE);
  return base;
}

/* The size lies before each block. */
static void *take(size_t alignment, size_t size) {
  uint64_t base = begin();
  if (alignment < 16) alignment = 16;
  if (!base || size > SPACE / 2) {
    errno = ENOMEM;
    return NULL;
  }
  uint64_t room = ((uint64_t)size + 16 + 15 + alignment) & ~15ull;
  uint64_t at = base + atomic_fetch_add(&used, room) + 16;
  if (at + size > base + SPACE) {
    errno = ENOMEM;
    return NULL;
  }
  at = (at + alignment - 1) & ~((uint64_t)alignment - 1);
  ((uint64_t *)at)[-1] = size;
  return (void *)at;
}

void *malloc(size_t size) { return take(16, size); }

void free(void *block) { (void)block; }

void *calloc(size_t count, size_t size) {
  if (size && count > SPACE / size) {
    errno = ENOMEM;
    return NULL;
  }
  return take(16, count * size); /* fresh pages are zero */
}

void *realloc(void *block, size_t size) {
  void *other = take(16, size);
  if (block && other) {
    uint64_t before = ((uint64_t *)block)[-1];
    memcpy(other, block, before < size ? before : size);
  }
  return other;
}

void *aligned_alloc(size_t alignment, size_t size) { return take(alignment, size); }

void *memalign(size_t alignment, size_t size) { return take(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
  void *made = take(alignment, size);
  if (!made) return ENOMEM;
  *block = made;
  return 0;
}

size_t malloc_usable_size(void *block) { return block ? ((uint64_t *)block)[-1] : 0; }
