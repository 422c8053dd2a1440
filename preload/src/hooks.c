#include "hooks.h"

#include <errno.h>

#include "filter.h"
#include "hooks-exact.h"

AT_TRACED void *at_traced_malloc(size_t bytes) {
  struct at_thread *self = at_enter();
  if (self == NULL) return at_real.malloc(bytes);
  at_calling(self);
  return at_finish(self, at_real.malloc(bytes), bytes, __builtin_frame_address(0));
}

static __attribute__((noinline, cold)) void *sampled_malloc_of_note(struct at_thread *self, void *block, size_t bytes,
                                                                    const void *frame) {
  at_returned(self);
  at_record_sample(self, block, bytes, frame);
  at_leave(self);
  return block;
}

/* The common case of sampling in as few instructions as it takes: the block is none of the samples. */
static AT_TRACED void *sampled_malloc(size_t bytes) {
  struct at_thread *self = &at_self;
  if (AT_UNLIKELY(!at_gate_is_open(self, AT_MODE_SAMPLED))) return at_traced_malloc(bytes);
  void *block = at_real.malloc(bytes);
  struct at_lane *lane = self->lane;
  self->last = block;
  if (AT_UNLIKELY(block == NULL || (lane->remaining -= (int64_t)bytes) < 0))
    return sampled_malloc_of_note(self, block, bytes, __builtin_frame_address(0));
  lane->passed_allocations += 1;
  return block;
}

AT_EXPORT void *malloc(size_t bytes) {
  uint32_t mode = at_header_page.header.control.mode;
  if (AT_LIKELY(mode == AT_MODE_DORMANT)) return at_real.malloc(bytes);
  if (mode == AT_MODE_EXACT) return at_exact_malloc(bytes);
  return sampled_malloc(bytes);
}

void *at_hooks_own_malloc(size_t bytes) __attribute__((alias("malloc"), visibility("hidden")));

static AT_TRACED void *traced_calloc(size_t count, size_t bytes) {
  struct at_thread *self = at_enter();
  if (self == NULL) return at_real.calloc(count, bytes);
  at_calling(self);
  /* A product that overflows makes the real function fail. */
  return at_finish(self, at_real.calloc(count, bytes), count * bytes, __builtin_frame_address(0));
}

AT_EXPORT void *calloc(size_t count, size_t bytes) {
  if (AT_IS_DORMANT()) return at_real.calloc(count, bytes);
  return traced_calloc(count, bytes);
}

AT_TRACED void at_traced_free(void *block) {
  struct at_thread *self = at_enter();
  if (self == NULL || block == NULL) {
    at_real.free(block);
    return;
  }
  at_returned(self);
  at_record_free(self, block);
  at_calling(self);
  at_real.free(block);
  at_leave(self);
}

/* NULL is always one that the filter may have. */
static AT_TRACED void sampled_free(void *block) {
  struct at_thread *self = &at_self;
  if (AT_LIKELY(at_gate_is_open(self, AT_MODE_SAMPLED) && !at_filter_may_have((uint64_t)(uintptr_t)block))) {
    self->lane->passed_frees += 1;
    at_real.free(block);
  } else {
    at_traced_free(block);
  }
}

AT_EXPORT void free(void *block) {
  uint32_t mode = at_header_page.header.control.mode;
  if (AT_LIKELY(mode == AT_MODE_DORMANT))
    at_real.free(block);
  else if (mode == AT_MODE_EXACT)
    at_exact_free(block);
  else
    sampled_free(block);
}

void at_hooks_own_free(void *block) __attribute__((alias("free"), visibility("hidden")));

/* Gone from the C library since 2.26, but old programs call it. */
AT_EXPORT void cfree(void *block) {
  if (AT_IS_DORMANT())
    at_real.free(block);
  else
    at_traced_free(block);
}

static AT_TRACED void traced_free_sized(void *block, size_t bytes) {
  if (at_real.free_sized == NULL) {
    at_traced_free(block);
    return;
  }
  struct at_thread *self = at_enter();
  if (self == NULL || block == NULL) {
    at_real.free_sized(block, bytes);
    return;
  }
  at_returned(self);
  at_record_free(self, block);
  at_calling(self);
  at_real.free_sized(block, bytes);
  at_leave(self);
}

AT_EXPORT void free_sized(void *block, size_t bytes) {
  if (!AT_IS_DORMANT())
    traced_free_sized(block, bytes);
  else if (at_real.free_sized != NULL)
    at_real.free_sized(block, bytes);
  else
    at_real.free(block);
}

static AT_TRACED void traced_free_aligned_sized(void *block, size_t alignment, size_t bytes) {
  if (at_real.free_aligned_sized == NULL) {
    at_traced_free(block);
    return;
  }
  struct at_thread *self = at_enter();
  if (self == NULL || block == NULL) {
    at_real.free_aligned_sized(block, alignment, bytes);
    return;
  }
  at_returned(self);
  at_record_free(self, block);
  at_calling(self);
  at_real.free_aligned_sized(block, alignment, bytes);
  at_leave(self);
}

AT_EXPORT void free_aligned_sized(void *block, size_t alignment, size_t bytes) {
  if (!AT_IS_DORMANT())
    traced_free_aligned_sized(block, alignment, bytes);
  else if (at_real.free_aligned_sized != NULL)
    at_real.free_aligned_sized(block, alignment, bytes);
  else
    at_real.free(block);
}

static AT_TRACED void *traced_realloc(void *block, size_t bytes) {
  struct at_thread *self = at_enter();
  if (self == NULL) return at_real.realloc(block, bytes);
  const void *frame = __builtin_frame_address(0);
  if (block == NULL) {
    at_calling(self);
    return at_finish(self, at_real.realloc(NULL, bytes), bytes, frame);
  }
  /* Taken out before: once the real function has let go of the block, another thread may be given its address. */
  at_returned(self);
  struct at_resize resize = at_record_resize_begin(block);
  uintptr_t from = (uintptr_t)block;
  at_calling(self);
  void *to = at_real.realloc(block, bytes);
  at_returned(self);
  at_record_resize_end(self, resize, (void *)from, to, bytes, to == NULL && bytes == 0, frame);
  at_leave(self);
  return to;
}

AT_EXPORT void *realloc(void *block, size_t bytes) {
  if (AT_IS_DORMANT()) return at_real.realloc(block, bytes);
  return traced_realloc(block, bytes);
}

static __attribute__((noinline, cold)) void count_failure(void) {
  struct at_thread *self = AT_IS_DORMANT() ? NULL : at_enter();
  if (self != NULL) at_finish(self, NULL, 0, NULL);
}

AT_EXPORT void *reallocarray(void *block, size_t count, size_t bytes) {
  size_t all;
  if (__builtin_mul_overflow(count, bytes, &all)) {
    count_failure();
    errno = ENOMEM;
    return NULL;
  }
  if (AT_IS_DORMANT()) return at_real.realloc(block, all);
  return traced_realloc(block, all);
}

AT_EXPORT size_t malloc_usable_size(void *block) {
  return at_real.malloc_usable_size(block);
}
