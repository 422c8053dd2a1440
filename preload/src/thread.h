/*
 * thread.h - what the library keeps for each thread, and the gate that every hook passes when a mode is on.
 */
#ifndef TIDEMARK_THREAD_H
#define TIDEMARK_THREAD_H

#include "force.h"
#include "ring.h"
#include "stack.h"

/*
 * A thread's gate. It stands open with a value that is made of the request the thread has joined; then a hook may record at
 * once. The other values are those of a thread inside a hook, and 0: the thread has to join first.
 */
#define AT_GATE_IN_REAL 0x8000000000000001ULL /* a hook entered now is the allocator's own call */
#define AT_GATE_IN_OURS 0x8000000000000002ULL /* or that of a signal handler that came in between */

static inline uint64_t at_gate_value(uint64_t generation, uint32_t mode) {
  return (generation << 3 | 4u) ^ mode;
}

/*
 * The gates of threads with a lane. The pages are wiped in a forked child, however it was made: all gates are shut, and the
 * child sees that the file is not its own. A vfork child shares them, and is its parent.
 */
struct at_gate {
  uint64_t value;
  unsigned char apart[AT_CACHE_LINE - 8];
};
union at_owner_page {
  struct {
    uint64_t key; /* names the request in force and the file; 0: not ours */
    unsigned char apart[AT_CACHE_LINE - 8];
    struct at_gate gates[AT_MAX_LANES];
  } own;
  unsigned char bytes[(AT_MAX_LANES * AT_CACHE_LINE / AT_PAGE + 1) * AT_PAGE];
};
extern union at_owner_page at_owner_page AT_INTERNAL;
extern bool at_owner_checked AT_INTERNAL; /* the kernel wipes the pages; else nothing may be taken from them alone */

#define AT_NO_KEY 1u

/*
 * Plain data without a destructor, so that it may be used until the last instruction of the thread. `lane` is void unless
 * `key` is that of at_owner_page.
 */
struct at_thread {
  uint64_t *gate;       /* in at_owner_page, or own_gate when there is no lane */
  struct at_lane *lane; /* NULL: lane 0, shared */
  struct at_stack_state *stack;
  void *last;        /* block that the last hook of this thread saw */
  const void *outer; /* frame of the operator new that is about to call malloc */
  uint64_t open;     /* what opens the gate; 0: nothing does */
  uint64_t key;
  uint32_t epoch;    /* at_ring.epoch that `lane` is of */
  uint32_t renewals; /* of the cached clock */
  uint32_t interval; /* that lane->remaining was drawn with */
  uint32_t lane_number;
  uint32_t counts_ready; /* sites under this number have counts in the lane */
  uint64_t own_gate;
};

extern __thread struct at_thread at_self AT_INTERNAL __attribute__((tls_model("initial-exec")));

/* Stands for a thread that can have nothing of its own now: lane 0, no memory of stacks. */
extern struct at_thread at_nobody AT_INTERNAL;

struct at_thread *at_enter_slowly(struct at_thread *self);

static inline bool at_gate_is_open(const struct at_thread *self, uint32_t mode) {
  uint64_t generation = at_header_page.header.control.generation;
  return AT_LIKELY(__atomic_load_n(self->gate, __ATOMIC_RELAXED) == at_gate_value(generation, mode));
}

/* The thread that the call belongs to; NULL: the call is to be passed through as if the library were not there. Keeps errno. */
static inline struct at_thread *at_enter(void) {
  struct at_thread *self = &at_self;
  return at_gate_is_open(self, at_header_page.header.control.mode) ? self : at_enter_slowly(self);
}

static inline void at_gate_set(struct at_thread *self, uint64_t value) {
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(self->gate, value, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Whether the thread is in no hook. */
static inline bool at_gate_is_outside(const struct at_thread *self) {
  uint64_t value = *self->gate;
  return value != AT_GATE_IN_REAL && value != AT_GATE_IN_OURS;
}

#endif
