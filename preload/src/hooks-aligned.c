#include <unistd.h>

#include "hooks.h"

static AT_TRACED int traced_posix_memalign(void **to, size_t alignment, size_t bytes) {
  struct at_thread *self = at_enter();
  if (self == NULL) return at_real.posix_memalign(to, alignment, bytes);
  at_calling(self);
  int error = at_real.posix_memalign(to, alignment, bytes);
  at_finish(self, error == 0 ? *to : NULL, bytes, __builtin_frame_address(0));
  return error;
}

AT_EXPORT int posix_memalign(void **to, size_t alignment, size_t bytes) {
  if (AT_IS_DORMANT()) return at_real.posix_memalign(to, alignment, bytes);
  return traced_posix_memalign(to, alignment, bytes);
}

static AT_TRACED void *traced_aligned_alloc(size_t alignment, size_t bytes) {
  struct at_thread *self = at_enter();
  if (self == NULL) return at_real.aligned_alloc(alignment, bytes);
  at_calling(self);
  return at_finish(self, at_real.aligned_alloc(alignment, bytes), bytes, __builtin_frame_address(0));
}

AT_EXPORT void *aligned_alloc(size_t alignment, size_t bytes) {
  if (AT_IS_DORMANT()) return at_real.aligned_alloc(alignment, bytes);
  return traced_aligned_alloc(alignment, bytes);
}

static AT_TRACED void *traced_memalign(size_t alignment, size_t bytes) {
  struct at_thread *self = at_enter();
  if (self == NULL) return at_real.memalign(alignment, bytes);
  at_calling(self);
  return at_finish(self, at_real.memalign(alignment, bytes), bytes, __builtin_frame_address(0));
}

AT_EXPORT void *memalign(size_t alignment, size_t bytes) {
  if (AT_IS_DORMANT()) return at_real.memalign(alignment, bytes);
  return traced_memalign(alignment, bytes);
}

void *at_hooks_own_memalign(size_t alignment, size_t bytes) __attribute__((alias("memalign"), visibility("hidden")));

static AT_TRACED void *traced_valloc(size_t bytes) {
  struct at_thread *self = at_enter();
  if (self == NULL) return at_real.valloc(bytes);
  at_calling(self);
  return at_finish(self, at_real.valloc(bytes), bytes, __builtin_frame_address(0));
}

AT_EXPORT void *valloc(size_t bytes) {
  if (AT_IS_DORMANT()) return at_real.valloc(bytes);
  return traced_valloc(bytes);
}

static AT_TRACED void *traced_pvalloc(size_t bytes) {
  struct at_thread *self = at_enter();
  if (self == NULL) return at_real.pvalloc(bytes);
  at_calling(self);
  return at_finish(self, at_real.pvalloc(bytes), bytes, __builtin_frame_address(0));
}

AT_EXPORT void *pvalloc(size_t bytes) {
  if (AT_IS_DORMANT()) return at_real.pvalloc(bytes);
  return traced_pvalloc(bytes);
}
