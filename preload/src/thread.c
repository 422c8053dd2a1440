#include "thread.h"

#include <errno.h>

#include "lane.h"
#include "process.h"

static uint64_t shut;        /* gate of threads that have not come by yet; never written */
static uint64_t gate_of_nobody;

__thread struct at_thread at_self = {.gate = &shut, .key = AT_NO_KEY};
struct at_thread at_nobody = {.gate = &gate_of_nobody};
union at_owner_page at_owner_page __attribute__((aligned(4096)));

/* In a forked child that nobody has noticed yet, or one whose request changed: sees to it that at_force is right. */
static bool follow_request(void) {
  const struct at_control *control = &at_header_page.header.control;
  uint32_t mode = __atomic_load_n(&control->mode, __ATOMIC_RELAXED);
  if (mode != at_force.seen_mode || control->generation != at_force.generation) at_control_apply();
  return at_force.mode != AT_MODE_DORMANT;
}

bool at_owner_checked;

/* Kernels before 4.14 do not wipe the page: there it takes a system call. */
static bool is_wiped(void) {
  return at_owner_page.own.key == 0 || (!at_owner_checked && !at_process_is_owner());
}

/* A handler that comes in between has no lane, and must not take one as well. */
static void join(struct at_thread *self) {
  at_gate_set(self, AT_GATE_IN_OURS);
  at_lane_join(self);
  at_gate_set(self, self->open);
}

struct at_thread *at_enter_slowly(struct at_thread *self) {
  uint32_t mode = __atomic_load_n(&at_header_page.header.control.mode, __ATOMIC_RELAXED);
  if (self->gate == &shut) self->gate = &self->own_gate;
  if (*self->gate == AT_GATE_IN_REAL) return NULL;
  if (mode == AT_MODE_UNREADY)
    at_process_start();
  else if (mode == AT_MODE_PENDING)
    at_process_wait();
  mode = __atomic_load_n(&at_header_page.header.control.mode, __ATOMIC_RELAXED);
  if (mode == AT_MODE_DORMANT || mode == AT_MODE_UNREADY || mode == AT_MODE_PENDING) return NULL;
  int kept = errno;
  struct at_thread *who = NULL;
  if (is_wiped()) {
    at_process_leave(true);
  } else if (follow_request()) {
    bool interrupted = !at_gate_is_outside(self);
    who = interrupted ? &at_nobody : self;
    if (!interrupted && self->key != at_owner_page.own.key) join(self);
  }
  errno = kept;
  return who;
}
