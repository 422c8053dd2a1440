#include "lane.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "extend.h"
#include "identity.h"
#include "populate.h"
#include "sampler.h"

#define CLOCK_USES 16u
#define RENEWALS_PER_LOOK 64u

struct at_lane *at_lane_shared;

static uint32_t lanes_begun; /* lanes under this number have or had an owner */
static uint32_t hand;        /* where the search for an orphan goes on */
static bool ready[AT_MAX_LANES]; /* has memory, and so an owner that can be read */
static struct at_stack_state *stack_states[AT_MAX_LANES];

/* Of a lane, or of what lies `inner` bytes into it. */
static struct at_part part_of(struct at_lane *lane, uint32_t index, uint64_t inner) {
  return (struct at_part){(unsigned char *)lane + inner, at_ring.header->lanes.offset + index * AT_LANE_BYTES + inner};
}

void at_lane_forget(void) {
  lanes_begun = 0;
  hand = 0;
  memset(ready, 0, sizeof ready);
  memset(stack_states, 0, sizeof stack_states);
}

/* Zero in groups that have memory; the others are zero by themselves. */
static void clear_counts(struct at_lane *lane) {
  for (uint32_t site = 0; site < AT_MAX_SITES; site += AT_SITES_PER_GROUP) {
    if (at_lane_has(lane->counts_groups, site)) memset(at_lane_counts_at(lane, site), 0, AT_GROUP);
    if (at_lane_has(lane->estimates_groups, site)) memset(at_lane_estimates_at(lane, site), 0, AT_GROUP);
  }
  lane->allocations = lane->frees = lane->passed_allocations = lane->passed_frees = 0;
  lane->cancelled = lane->dropped = lane->unmatched_frees = lane->failed = 0;
}

static struct at_lane *begin(uint32_t index) {
  struct at_lane *lane = (struct at_lane *)(void *)at_extend_lane(index);
  return lane != NULL && at_populate(part_of(lane, index, 0), AT_PAGE) ? lane : NULL;
}

bool at_lane_activate(uint32_t activation) {
  if (lanes_begun == 0) {
    at_lane_shared = begin(0);
    if (at_lane_shared == NULL) return false;
    lanes_begun = 1;
  }
  clear_counts(at_lane_shared);
  __atomic_store_n(&at_lane_shared->activation, activation, __ATOMIC_RELEASE);
  return true;
}

/* The groups that have memory, from the first on without a gap. */
static void note_counts(struct at_thread *self) {
  uint32_t site = 0;
  while (site < AT_MAX_SITES && at_lane_has(self->lane->counts_groups, site)) site += AT_SITES_PER_GROUP;
  self->counts_ready = site;
}

/* Lane 0 comes first: see at_lane_counts. */
bool at_lane_use(struct at_books books, unsigned char *bitmap, uint64_t inner, uint32_t site) {
  int kept = errno;
  uint64_t offset = (uint64_t)(site / AT_SITES_PER_GROUP) * AT_GROUP;
  unsigned char *shared = (unsigned char *)at_lane_shared + (bitmap - (unsigned char *)books.lane);
  bool done = at_populate_groups(shared, part_of(at_lane_shared, 0, inner), offset, AT_GROUP);
  if (done && !books.shared)
    done = at_populate_groups(bitmap, part_of(books.lane, at_self.lane_number, inner), offset, AT_GROUP);
  if (done && !books.shared) note_counts(&at_self);
  errno = kept;
  return done;
}

static bool is_dead(uint32_t tid) {
  return syscall(SYS_tgkill, (int)at_ring.header->pid, (int)tid, 0) != 0 && errno == ESRCH;
}

static struct at_lane *take_orphan(uint32_t tid, uint32_t *number) {
  uint32_t count = at_ring.header->lanes.capacity;
  for (uint32_t tries = 1; tries < count; tries++) {
    uint32_t index = __atomic_fetch_add(&hand, 1, __ATOMIC_RELAXED) % (count - 1) + 1;
    if (!__atomic_load_n(&ready[index], __ATOMIC_ACQUIRE)) continue;
    struct at_lane *lane = (struct at_lane *)(void *)at_extend_lane_if_mapped(index);
    if (lane == NULL) continue;
    uint32_t owner = __atomic_load_n(&lane->owner, __ATOMIC_RELAXED);
    if (owner == 0 || (owner != tid && !is_dead(owner))) continue;
    if (!__atomic_compare_exchange_n(&lane->owner, &owner, tid, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) continue;
    *number = index;
    return lane;
  }
  return NULL;
}

static struct at_lane *take(uint32_t tid, uint32_t *number) {
  uint32_t count = at_ring.header->lanes.capacity;
  uint32_t index = __atomic_load_n(&lanes_begun, __ATOMIC_RELAXED);
  while (index < count) {
    if (!__atomic_compare_exchange_n(&lanes_begun, &index, index + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) continue;
    struct at_lane *lane = begin(index);
    /* Without memory for it the lane is lost. */
    if (lane == NULL) return NULL;
    __atomic_store_n(&ready[index], true, __ATOMIC_RELEASE);
    __atomic_store_n(&lane->owner, tid, __ATOMIC_RELEASE);
    *number = index;
    return lane;
  }
  return take_orphan(tid, number);
}

static struct at_stack_state *stack_state_of(uint32_t index) {
  if (stack_states[index] != NULL) {
    at_stack_leave(stack_states[index]);
    return stack_states[index];
  }
  size_t bytes = at_stack_state_bytes();
  void *memory = (void *)syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);
  if (memory == MAP_FAILED) return NULL;
  madvise(memory, bytes, MADV_DONTFORK);
  madvise(memory, bytes, MADV_DONTDUMP);
  stack_states[index] = memory;
  return memory;
}

void at_lane_join(struct at_thread *self) {
  uint64_t key = __atomic_load_n(&at_owner_page.own.key, __ATOMIC_ACQUIRE);
  uint64_t open = at_gate_value(at_force.generation, at_force.seen_mode);
  if (self->lane == NULL || self->epoch != at_ring.epoch) {
    self->epoch = at_ring.epoch;
    self->lane = take(at_identity_thread(), &self->lane_number);
    self->stack = self->lane == NULL ? NULL : stack_state_of(self->lane_number);
    self->gate = self->lane == NULL ? &self->own_gate : &at_owner_page.own.gates[self->lane_number].value;
    at_gate_set(self, AT_GATE_IN_OURS);
  }
  struct at_lane *lane = self->lane;
  uint32_t activation = at_ring.header->activation;
  if (lane != NULL) {
    if (lane->activation != activation) clear_counts(lane);
    __atomic_store_n(&lane->activation, activation, __ATOMIC_RELEASE);
    lane->ticks_uses = 0;
    note_counts(self);
    at_sampler_start(lane, self->lane_number);
  }
  self->interval = at_force.interval;
  self->open = lane != NULL && at_owner_checked ? open : 0;
  self->key = key;
}

uint64_t at_lane_renew(struct at_thread *self, struct at_lane *lane) {
  uint32_t pulse = __atomic_load_n(&at_ring.header->control.pulse, __ATOMIC_RELAXED);
  bool looked_at = pulse != lane->ticks_pulse;
  uint64_t now = at_clock_read();
  /* A thread that an activation overtook inside a hook counts for the one before: so must the entry that it is writing. */
  if (lane->activation != __atomic_load_n(&at_ring.header->activation, __ATOMIC_ACQUIRE)) return lane->ticks;
  /* Counters of two processors may differ a little: nothing of this activation is older than itself. */
  if (now < at_force.activated_ticks) now = at_force.activated_ticks;
  lane->ticks = now;
  lane->ticks_pulse = pulse;
  lane->ticks_uses = CLOCK_USES - 1;
  if (looked_at || ++self->renewals % RENEWALS_PER_LOOK == 0) {
    int kept = errno;
    at_control_keep(looked_at);
    errno = kept;
  }
  return now;
}
