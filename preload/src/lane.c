#include "lane.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "identity.h"
#include "populate.h"
#include "sampler.h"

#define CLOCK_USES 16u
#define RENEWALS_PER_LOOK 64u

struct at_lane *at_lane_shared;

static uint32_t lanes_begun; /* lanes under this number have or had an owner */
static uint32_t hand;        /* where the search for an orphan goes on */
static struct at_stack_state *stack_states[AT_MAX_LANES];

static struct at_lane *lane_at(uint32_t index) {
  return (struct at_lane *)(void *)(at_ring.base + at_ring.header->lanes.offset + index * AT_LANE_BYTES);
}

static uint32_t lane_index(const struct at_lane *lane) {
  return (uint32_t)(((const unsigned char *)lane - at_ring.base - at_ring.header->lanes.offset) / AT_LANE_BYTES);
}

static uint64_t offset_in_file(const void *address) {
  return (uint64_t)((const unsigned char *)address - at_ring.base);
}

void at_lane_open(void) {
  at_lane_shared = lane_at(0);
}

void at_lane_forget(void) {
  lanes_begun = 0;
  hand = 0;
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

static bool begin(struct at_lane *lane) {
  uint64_t offset = offset_in_file(lane);
  return at_populate_access(offset, AT_LANE_BYTES) && at_populate(offset, AT_PAGE);
}

bool at_lane_activate(uint32_t activation) {
  if (lanes_begun == 0) {
    if (!begin(at_lane_shared)) return false;
    lanes_begun = 1;
  }
  clear_counts(at_lane_shared);
  __atomic_store_n(&at_lane_shared->activation, activation, __ATOMIC_RELEASE);
  return true;
}

/* Lane 0 comes first: see at_lane_counts. */
bool at_lane_use(struct at_lane *lane, unsigned char *bitmap, uint64_t part, uint32_t site) {
  int kept = errno;
  uint64_t offset = (uint64_t)(site / AT_SITES_PER_GROUP) * AT_GROUP;
  unsigned char *shared = (unsigned char *)at_lane_shared + (bitmap - (unsigned char *)lane);
  bool done = at_populate_groups(shared, offset_in_file(at_lane_shared) + part, offset, AT_GROUP) &&
              at_populate_groups(bitmap, offset_in_file(lane) + part, offset, AT_GROUP);
  errno = kept;
  return done;
}

static bool is_dead(uint32_t tid) {
  return syscall(SYS_tgkill, (int)at_ring.header->pid, (int)tid, 0) != 0 && errno == ESRCH;
}

static struct at_lane *take_orphan(uint32_t tid) {
  uint32_t count = at_ring.header->lanes.capacity;
  for (uint32_t tries = 1; tries < count; tries++) {
    uint32_t index = __atomic_fetch_add(&hand, 1, __ATOMIC_RELAXED) % (count - 1) + 1;
    if (index >= __atomic_load_n(&lanes_begun, __ATOMIC_RELAXED)) continue;
    struct at_lane *lane = lane_at(index);
    uint32_t owner = __atomic_load_n(&lane->owner, __ATOMIC_RELAXED);
    if (owner == 0 || (owner != tid && !is_dead(owner))) continue;
    if (__atomic_compare_exchange_n(&lane->owner, &owner, tid, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return lane;
  }
  return NULL;
}

static struct at_lane *take(uint32_t tid) {
  uint32_t count = at_ring.header->lanes.capacity;
  uint32_t index = __atomic_load_n(&lanes_begun, __ATOMIC_RELAXED);
  while (index < count) {
    if (!__atomic_compare_exchange_n(&lanes_begun, &index, index + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) continue;
    struct at_lane *lane = lane_at(index);
    /* Without memory for it the lane is lost; its owner stays 0, which the search for orphans never touches. */
    if (!begin(lane)) return NULL;
    __atomic_store_n(&lane->owner, tid, __ATOMIC_RELEASE);
    return lane;
  }
  return take_orphan(tid);
}

static struct at_stack_state *stack_state_of(uint32_t index) {
  if (stack_states[index] != NULL) {
    at_stack_leave(stack_states[index]);
    return stack_states[index];
  }
  size_t bytes = at_stack_state_bytes();
  void *memory = (void *)syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  madvise(memory, bytes, MADV_DONTFORK);
  madvise(memory, bytes, MADV_DONTDUMP);
  stack_states[index] = memory;
  return memory;
}

void at_lane_join(struct at_thread *self) {
  uint64_t key = __atomic_load_n(&at_owner_page.key, __ATOMIC_ACQUIRE);
  if (self->lane == NULL || self->epoch != at_ring.epoch) {
    self->epoch = at_ring.epoch;
    self->lane = take(at_identity_thread());
    self->stack = self->lane == NULL ? NULL : stack_state_of(lane_index(self->lane));
  }
  struct at_lane *lane = self->lane;
  uint32_t activation = at_ring.header->activation;
  if (lane != NULL) {
    if (lane->activation != activation) clear_counts(lane);
    __atomic_store_n(&lane->activation, activation, __ATOMIC_RELEASE);
    lane->ticks_uses = 0;
    at_sampler_start(lane, lane_index(lane));
  }
  self->interval = at_force.interval;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  self->key = key;
}

uint64_t at_lane_renew(struct at_thread *self, struct at_lane *lane) {
  uint32_t pulse = __atomic_load_n(&at_ring.header->control.pulse, __ATOMIC_RELAXED);
  bool looked_at = pulse != lane->ticks_pulse;
  uint64_t now = at_clock_read();
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
