#include "thread.h"

#include <errno.h>

#include "lane.h"
#include "process.h"

__thread struct at_thread at_self = {.key = AT_NO_KEY};
struct at_thread at_nobody;
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
  return at_owner_page.key == 0 || (!at_owner_checked && !at_process_is_owner());
}

struct at_thread *at_enter_slowly(struct at_thread *self) {
  uint32_t mode = __atomic_load_n(&at_header_page.header.control.mode, __ATOMIC_RELAXED);
  if (self->phase == AT_PHASE_IN_REAL) return NULL;
  if (mode == AT_MODE_UNREADY) {
    at_process_start();
    mode = __atomic_load_n(&at_header_page.header.control.mode, __ATOMIC_RELAXED);
  } else if (mode == AT_MODE_PENDING) {
    at_process_wait();
    mode = __atomic_load_n(&at_header_page.header.control.mode, __ATOMIC_RELAXED);
  }
  if (mode == AT_MODE_DORMANT || mode == AT_MODE_UNREADY || mode == AT_MODE_PENDING) return NULL;
  int kept = errno;
  bool interrupted = self->phase == AT_PHASE_IN_OURS;
  struct at_thread *who = NULL;
  if (is_wiped()) {
    at_process_leave();
  } else if (follow_request()) {
    who = interrupted ? &at_nobody : self;
    if (!interrupted && self->key != at_owner_page.key) {
      /* A handler that comes in between has no lane and must not take one as well. */
      at_phase_set(self, AT_PHASE_IN_OURS);
      at_lane_join(self);
      at_phase_set(self, AT_PHASE_OUT);
    }
  }
  errno = kept;
  return who;
}
