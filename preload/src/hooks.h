/*
 * hooks.h - the shape of all hooks.
 *
 * An exported function looks at one word and jumps to the real one, or to its traced form, whose frame then lies where that of
 * the exported function would.
 */
#ifndef TIDEMARK_HOOKS_H
#define TIDEMARK_HOOKS_H

#include <stddef.h>

#include "real.h"
#include "record.h"
#include "thread.h"

#define AT_EXPORT __attribute__((visibility("default")))
#define AT_TRACED __attribute__((noinline, hot))

/*
 * The one test while the library is dormant. A plain read, so that it is one instruction: the word is a hint, and whoever finds
 * it set looks again.
 */
#define AT_IS_DORMANT() AT_LIKELY(at_header_page.header.control.mode == AT_MODE_DORMANT)

/* These as this library defines them, whatever the names mean to others. */
void *at_hooks_own_malloc(size_t bytes);
void *at_hooks_own_memalign(size_t alignment, size_t bytes);
void at_hooks_own_free(void *block);

/* Looks up the real functions of the exec family, which may be called where that must not be done. */
void at_hooks_find_exec(void);

/* The real call stands between these two; what comes after at_returned must be followed by at_leave. */
static inline void at_calling(struct at_thread *self) {
  at_gate_set(self, AT_GATE_IN_REAL);
}
static inline void at_returned(struct at_thread *self) {
  at_gate_set(self, AT_GATE_IN_OURS);
}
static inline void at_leave(struct at_thread *self) {
  at_gate_set(self, self->open);
}

/* What an allocating hook does when the real function has answered. */
static inline void *at_finish(struct at_thread *self, void *block, size_t bytes, const void *frame) {
  at_returned(self);
  at_record_allocation(self, block, bytes, frame);
  at_leave(self);
  return block;
}

#endif
