#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "hooks.h"

/*
 * C++ operators, by their mangled names. Those of libstdc++ call malloc and free, which is where their blocks are recorded;
 * the frame of the operator is passed on, so that a site begins with the code that said `new`. Other allocators bring
 * operators that serve themselves: their blocks are recorded here, which is seen by malloc not having been called.
 *
 * Exceptions pass through these frames: nothing is kept while the real operator runs that would have to be put back.
 */

typedef void *new_function(size_t bytes, uintptr_t second, uintptr_t third);
typedef void delete_function(void *block, uintptr_t second, uintptr_t third);

/* Some operator new has served itself: so do the operators delete beside it. */
static bool own_memory;

static void *find_in(const char *library, const char *name) {
  void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
  return handle == NULL ? NULL : dlsym(handle, name);
}

/*
 * A plug-in may have brought the C++ library with it, out of sight of the program as a whole. `otherwise` serves where
 * there is none at all.
 */
static void *find(void **slot, const char *name, void *otherwise) {
  void *found = at_real_next(name);
  if (found == NULL) found = find_in("libstdc++.so.6", name);
  if (found == NULL) found = find_in("libc++.so.1", name);
  if (found == NULL) found = otherwise;
  __atomic_store_n(slot, found, __ATOMIC_RELEASE);
  return found;
}

static void *plain_new(size_t bytes, uintptr_t second, uintptr_t third) {
  (void)second;
  (void)third;
  return at_hooks_own_malloc(bytes);
}

static void *plain_new_aligned(size_t bytes, uintptr_t alignment, uintptr_t third) {
  (void)third;
  return at_hooks_own_memalign(alignment, bytes);
}

static void plain_delete(void *block, uintptr_t second, uintptr_t third) {
  (void)second;
  (void)third;
  at_hooks_own_free(block);
}

static AT_TRACED void *traced_new(size_t bytes, uintptr_t second, uintptr_t third, new_function *real) {
  struct at_thread *self = &at_self;
  const void *frame = __builtin_frame_address(0);
  if (!at_gate_is_outside(self)) return real(bytes, second, third);
  /* new[] may call new: the outer one is what the program called. */
  if (self->outer == NULL || (uintptr_t)self->outer - (uintptr_t)frame >= 4096u) self->outer = frame;
  self->last = NULL;
  void *block = real(bytes, second, third);
  self->outer = NULL;
  if (block == NULL || self->last == block) return block;
  struct at_thread *who = at_enter();
  if (who == NULL) return block;
  own_memory = true;
  return at_finish(who, block, bytes, frame);
}

static AT_TRACED void traced_delete(void *block, uintptr_t second, uintptr_t third, delete_function *real) {
  struct at_thread *self = block == NULL ? NULL : at_enter();
  if (self == NULL) {
    real(block, second, third);
    return;
  }
  at_returned(self);
  at_record_free(self, block);
  at_calling(self);
  real(block, second, third);
  at_leave(self);
}

#define NEW(name, otherwise) \
  static void *slot_of##name; \
  static __attribute__((noinline, cold)) void *first##name(size_t bytes, uintptr_t second, uintptr_t third) { \
    new_function *real = (new_function *)find(&slot_of##name, #name, (void *)otherwise); \
    return traced_new(bytes, second, third, real); \
  } \
  AT_EXPORT void *name(size_t bytes, uintptr_t second, uintptr_t third); \
  AT_EXPORT void *name(size_t bytes, uintptr_t second, uintptr_t third) { \
    new_function *real = (new_function *)__atomic_load_n(&slot_of##name, __ATOMIC_RELAXED); \
    if (__builtin_expect(real == NULL, 0)) return first##name(bytes, second, third); \
    if (AT_IS_DORMANT()) return real(bytes, second, third); \
    return traced_new(bytes, second, third, real); \
  }

#define DELETE(name) \
  static void *slot_of##name; \
  static __attribute__((noinline, cold)) void first##name(void *block, uintptr_t second, uintptr_t third) { \
    delete_function *real = (delete_function *)find(&slot_of##name, #name, (void *)plain_delete); \
    if (AT_IS_DORMANT() || !own_memory) \
      real(block, second, third); \
    else \
      traced_delete(block, second, third, real); \
  } \
  AT_EXPORT void name(void *block, uintptr_t second, uintptr_t third); \
  AT_EXPORT void name(void *block, uintptr_t second, uintptr_t third) { \
    delete_function *real = (delete_function *)__atomic_load_n(&slot_of##name, __ATOMIC_RELAXED); \
    if (__builtin_expect(real == NULL, 0)) \
      first##name(block, second, third); \
    else if (AT_IS_DORMANT() || !own_memory) \
      real(block, second, third); \
    else \
      traced_delete(block, second, third, real); \
  }

NEW(_Znwm, plain_new)
NEW(_Znam, plain_new)
NEW(_ZnwmRKSt9nothrow_t, plain_new)
NEW(_ZnamRKSt9nothrow_t, plain_new)
NEW(_ZnwmSt11align_val_t, plain_new_aligned)
NEW(_ZnamSt11align_val_t, plain_new_aligned)
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, plain_new_aligned)
NEW(_ZnamSt11align_val_tRKSt9nothrow_t, plain_new_aligned)

DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE(_ZdlPvm)
DELETE(_ZdaPvm)
DELETE(_ZdlPvRKSt9nothrow_t)
DELETE(_ZdaPvRKSt9nothrow_t)
DELETE(_ZdlPvSt11align_val_t)
DELETE(_ZdaPvSt11align_val_t)
DELETE(_ZdlPvmSt11align_val_t)
DELETE(_ZdaPvmSt11align_val_t)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t)
