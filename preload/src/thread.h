/*
 * thread.h - what the library keeps for each thread, and the gate that every hook passes when a mode is on.
 */
#ifndef TIDEMARK_THREAD_H
#define TIDEMARK_THREAD_H

#include "force.h"
#include "ring.h"
#include "stack.h"

/* Where a thread is. A hook entered in IN_OURS belongs to a signal handler, one in IN_REAL to the allocator itself. */
enum at_phase {
  AT_PHASE_OUT = 0,
  AT_PHASE_IN_REAL = 1,
  AT_PHASE_IN_OURS = 2,
};

#define AT_NO_KEY 1u

/*
 * Plain data without a destructor, so that it may be used until the last instruction of the thread. `lane` is void unless
 * `key` is that of at_owner_page.
 */
struct at_thread {
  uint64_t key;
  struct at_lane *lane; /* NULL: lane 0, shared */
  struct at_stack_state *stack;
  const void *outer; /* frame of the operator new that is about to call malloc */
  void *last;        /* block that the last hook of this thread saw */
  uint32_t phase;
  uint32_t epoch;    /* at_ring.epoch that `lane` is of */
  uint32_t renewals; /* of the cached clock */
  uint32_t interval; /* that lane->remaining was drawn with */
  uint32_t lane_number;
};

extern __thread struct at_thread at_self AT_INTERNAL __attribute__((tls_model("initial-exec")));

/* Stands for a thread that can have nothing of its own now: lane 0, no memory of stacks. */
extern struct at_thread at_nobody AT_INTERNAL;

/*
 * Whose the mapped file is. The page is wiped in a forked child, however it was made, so that the child sees that the
 * file is not its own; a vfork child shares it, and is its parent.
 */
union at_owner_page {
  uint64_t key; /* names the request in force and the file; 0: not ours */
  unsigned char bytes[AT_PAGE];
};
extern union at_owner_page at_owner_page AT_INTERNAL;
extern bool at_owner_checked AT_INTERNAL; /* the kernel wipes the page; else nothing may be taken from it alone */

struct at_thread *at_enter_slowly(struct at_thread *self);

/* The thread that the call belongs to; NULL: the call is to be passed through as if the library were not there. Keeps errno. */
static inline struct at_thread *at_enter(void) {
  struct at_thread *self = &at_self;
  const struct at_control *control = &at_header_page.header.control;
  if (AT_LIKELY(self->phase == AT_PHASE_OUT && self->key == at_owner_page.key &&
                __atomic_load_n(&control->mode, __ATOMIC_RELAXED) == at_force.seen_mode &&
                __atomic_load_n(&control->generation, __ATOMIC_RELAXED) == at_force.generation))
    return self;
  return at_enter_slowly(self);
}

static inline void at_phase_set(struct at_thread *self, uint32_t phase) {
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(&self->phase, phase, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif
