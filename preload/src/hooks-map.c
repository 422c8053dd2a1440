#define _GNU_SOURCE
#include <stdarg.h>
#include <sys/mman.h>

#include "hooks.h"
#include "maps.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static uint64_t end_of(const void *address, size_t bytes) {
  return (uint64_t)(uintptr_t)address + ((bytes + AT_PAGE - 1) & ~(uint64_t)(AT_PAGE - 1));
}

/*
 * The thread when the call is to be looked at. What the allocator maps for itself is in its blocks already, and a range
 * that the kernel refuses anyway must not be taken out of the record.
 */
static struct at_thread *enter(const void *caller, const void *address, size_t bytes) {
  if (at_real_is_allocator(caller) || bytes == 0 || bytes > (size_t)1 << 48) return NULL;
  if (((uintptr_t)address & (AT_PAGE - 1)) != 0) return NULL;
  return at_enter();
}

/* Address space that is only reserved is no memory: it becomes some by mprotect, or by mapping over it. */
static bool is_memory(int protection, int flags) {
  return (flags & MAP_ANONYMOUS) != 0 && protection != PROT_NONE;
}

static AT_TRACED void *traced_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
  const void *hint = (flags & MAP_FIXED) != 0 ? address : NULL;
  struct at_thread *self = enter(__builtin_return_address(0), hint, bytes);
  if (self == NULL) return at_real.mmap(address, bytes, protection, flags, file, offset);
  at_returned(self);
  struct at_maps_taken taken = {.count = 0};
  if ((flags & MAP_FIXED) != 0) at_maps_take(self, (uint64_t)(uintptr_t)address, end_of(address, bytes), &taken);
  at_calling(self);
  void *block = at_real.mmap(address, bytes, protection, flags, file, offset);
  at_returned(self);
  if (block == MAP_FAILED) {
    at_maps_return(self, &taken);
    if (is_memory(protection, flags)) at_record_allocation(self, NULL, bytes, NULL);
  } else if (is_memory(protection, flags)) {
    at_maps_add(self, (uint64_t)(uintptr_t)block, bytes, 0, __builtin_frame_address(0));
  }
  at_leave(self);
  return block;
}

AT_EXPORT void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
  if (AT_IS_DORMANT()) return at_real.mmap(address, bytes, protection, flags, file, offset);
  return traced_mmap(address, bytes, protection, flags, file, offset);
}

AT_EXPORT void *mmap64(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
  if (AT_IS_DORMANT()) return at_real.mmap(address, bytes, protection, flags, file, offset);
  return traced_mmap(address, bytes, protection, flags, file, offset);
}

static AT_TRACED int traced_munmap(void *address, size_t bytes) {
  struct at_thread *self = enter(__builtin_return_address(0), address, bytes);
  if (self == NULL) return at_real.munmap(address, bytes);
  at_returned(self);
  struct at_maps_taken taken;
  at_maps_take(self, (uint64_t)(uintptr_t)address, end_of(address, bytes), &taken);
  at_calling(self);
  int result = at_real.munmap(address, bytes);
  at_returned(self);
  if (result != 0) at_maps_return(self, &taken);
  at_leave(self);
  return result;
}

AT_EXPORT int munmap(void *address, size_t bytes) {
  if (AT_IS_DORMANT()) return at_real.munmap(address, bytes);
  return traced_munmap(address, bytes);
}

static AT_TRACED void *traced_mremap(void *address, size_t old_bytes, size_t bytes, int flags, void *to) {
  struct at_thread *self = enter(__builtin_return_address(0), address, bytes);
  if (self == NULL) return at_real.mremap(address, old_bytes, bytes, flags, to);
  at_returned(self);
  struct at_maps_taken taken = {.count = 0}, under = {.count = 0};
  at_maps_take(self, (uint64_t)(uintptr_t)address, end_of(address, old_bytes), &taken);
  if ((flags & MREMAP_FIXED) != 0) at_maps_take(self, (uint64_t)(uintptr_t)to, end_of(to, bytes), &under);
  at_calling(self);
  void *block = at_real.mremap(address, old_bytes, bytes, flags, to);
  at_returned(self);
  bool known = taken.count != 0;
  if (block == MAP_FAILED) {
    at_maps_return(self, &taken);
    at_maps_return(self, &under);
    if (known) at_record_allocation(self, NULL, bytes, NULL);
  } else if (known) {
    if ((flags & MREMAP_DONTUNMAP) != 0) at_maps_return(self, &taken);
    at_maps_add(self, (uint64_t)(uintptr_t)block, bytes, 0, __builtin_frame_address(0));
  }
  at_leave(self);
  return block;
}

AT_EXPORT void *mremap(void *address, size_t old_bytes, size_t bytes, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  void *to = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0 ? va_arg(rest, void *) : NULL;
  va_end(rest);
  if (AT_IS_DORMANT()) return at_real.mremap(address, old_bytes, bytes, flags, to);
  return traced_mremap(address, old_bytes, bytes, flags, to);
}
