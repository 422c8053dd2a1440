#define _GNU_SOURCE
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena.h"

static struct at_real next; /* behind the functions that recognise blocks of the arena */

static void *early_malloc(size_t bytes) {
  return at_arena_memalign(0, bytes);
}

static void early_free(void *block) {
  (void)block;
}

static void *early_calloc(size_t count, size_t bytes) {
  size_t all;
  return __builtin_mul_overflow(count, bytes, &all) ? NULL : at_arena_memalign(0, all);
}

static void *early_realloc(void *block, size_t bytes) {
  void *moved = at_arena_memalign(0, bytes);
  if (moved == NULL || block == NULL || !at_arena_has(block)) return moved;
  size_t old = at_arena_size(block);
  return memcpy(moved, block, old < bytes ? old : bytes);
}

static int early_posix_memalign(void **to, size_t alignment, size_t bytes) {
  void *block = at_arena_memalign(alignment, bytes);
  if (block == NULL) return ENOMEM;
  *to = block;
  return 0;
}

static void *early_page(size_t bytes) {
  return at_arena_memalign(4096, bytes);
}

static size_t early_usable_size(void *block) {
  return block == NULL ? 0 : at_arena_size(block);
}

static void *direct_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
  return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}

static int direct_munmap(void *address, size_t bytes) {
  return (int)syscall(SYS_munmap, address, bytes);
}

static void *direct_mremap(void *address, size_t old_bytes, size_t bytes, int flags, ...) {
  __builtin_va_list rest;
  __builtin_va_start(rest, flags);
  void *to = (flags & MREMAP_FIXED) != 0 ? __builtin_va_arg(rest, void *) : NULL;
  __builtin_va_end(rest);
  return (void *)syscall(SYS_mremap, address, old_bytes, bytes, flags, to);
}

struct at_real at_real = {
    .malloc = early_malloc,
    .free = early_free,
    .calloc = early_calloc,
    .realloc = early_realloc,
    .posix_memalign = early_posix_memalign,
    .aligned_alloc = at_arena_memalign,
    .memalign = at_arena_memalign,
    .valloc = early_page,
    .pvalloc = early_page,
    .malloc_usable_size = early_usable_size,
    .mmap = direct_mmap,
    .munmap = direct_munmap,
    .mremap = direct_mremap,
};

static void free_knowing(void *block) {
  if (!at_arena_has(block)) next.free(block);
}

static void free_sized_knowing(void *block, size_t bytes) {
  if (!at_arena_has(block)) next.free_sized(block, bytes);
}

static void free_aligned_sized_knowing(void *block, size_t alignment, size_t bytes) {
  if (!at_arena_has(block)) next.free_aligned_sized(block, alignment, bytes);
}

static void *realloc_knowing(void *block, size_t bytes) {
  if (!at_arena_has(block)) return next.realloc(block, bytes);
  if (bytes == 0) return NULL;
  void *moved = next.malloc(bytes);
  if (moved == NULL) return NULL;
  size_t old = at_arena_size(block);
  return memcpy(moved, block, old < bytes ? old : bytes);
}

static size_t usable_size_knowing(void *block) {
  return at_arena_has(block) ? at_arena_size(block) : next.malloc_usable_size(block);
}

void *at_real_next(const char *name) {
  return dlsym(RTLD_NEXT, name);
}

void *at_real_first(const char *name) {
  return dlsym(RTLD_DEFAULT, name);
}

static uintptr_t allocator_start, allocator_end;

static int find_allocator(struct dl_phdr_info *info, size_t bytes, void *context) {
  (void)bytes;
  (void)context;
  uintptr_t address = (uintptr_t)next.malloc, start = UINTPTR_MAX, end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    if (segment->p_type != PT_LOAD) continue;
    uintptr_t from = info->dlpi_addr + segment->p_vaddr;
    if (from < start) start = from;
    if (from + segment->p_memsz > end) end = from + segment->p_memsz;
  }
  if (address < start || address >= end) return 0;
  allocator_start = start;
  allocator_end = end;
  return 1;
}

bool at_real_is_allocator(const void *address) {
  return (uintptr_t)address - allocator_start < allocator_end - allocator_start;
}

#define FIND(member) \
  do { \
    void *found = at_real_next(#member); \
    memcpy(&next.member, &found, sizeof found); \
    if (found == NULL) next.member = at_real.member; \
  } while (0)

void at_real_find(void) {
  FIND(malloc);
  FIND(calloc);
  FIND(free);
  FIND(realloc);
  FIND(posix_memalign);
  FIND(aligned_alloc);
  FIND(memalign);
  FIND(valloc);
  FIND(malloc_usable_size);
  FIND(mmap);
  FIND(munmap);
  FIND(mremap);
  next.pvalloc = next.valloc;
  /* What may be missing comes last: the text of dlsym's error is allocated, by the real malloc then. */
  struct at_real known = next;
  if (at_arena_used()) {
    known.free = free_knowing;
    known.realloc = realloc_knowing;
    known.malloc_usable_size = usable_size_knowing;
  }
  at_real = known;
  FIND(pvalloc);
  FIND(free_sized);
  FIND(free_aligned_sized);
  at_real.pvalloc = next.pvalloc;
  bool used = at_arena_used();
  if (next.free_sized != NULL) at_real.free_sized = used ? free_sized_knowing : next.free_sized;
  if (next.free_aligned_sized != NULL) at_real.free_aligned_sized = used ? free_aligned_sized_knowing : next.free_aligned_sized;
  dl_iterate_phdr(find_allocator, NULL);
}
