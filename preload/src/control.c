#include <string.h>
#include <time.h>

#include "clock.h"
#include "filter.h"
#include "force.h"
#include "lane.h"
#include "live.h"
#include "maps.h"
#include "populate.h"
#include "thread.h"

struct at_force at_force = {.seen_mode = AT_MODE_UNSEEN};

static uint32_t busy; /* somebody acts on a request */
static uint64_t keys = AT_NO_KEY;
static bool was_exact; /* in this activation: the table may hold blocks that are not in the filter */

static bool request_is_valid(const struct at_control *control) {
  return control->mode <= AT_MODE_EXACT && control->stacks <= AT_STACKS_CALLER && control->max_frames >= 1 &&
         control->max_frames <= AT_MAX_FRAMES && (control->mode != AT_MODE_SAMPLED || control->sample_interval >= 1);
}

/* Number of the interval, entered when it is new; 0: the table of intervals is full. */
static uint32_t number_of(uint64_t interval) {
  struct at_header *header = at_ring.header;
  for (uint32_t i = 1; i < header->interval_count; i++)
    if (header->intervals[i] == interval) return i;
  if (header->interval_count > AT_MAX_INTERVALS) return 0;
  header->intervals[header->interval_count] = interval;
  __atomic_store_n(&header->interval_count, header->interval_count + 1, __ATOMIC_RELEASE);
  return header->interval_count - 1;
}

static void write_last_moment(void) {
  struct at_moment *last = &at_ring.header->last;
  uint32_t sequence = __atomic_load_n(&last->sequence, __ATOMIC_RELAXED);
  if ((sequence & 1) != 0) return;
  if (!__atomic_compare_exchange_n(&last->sequence, &sequence, sequence + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  struct at_moment now;
  at_clock_moment(&now);
  __atomic_store_n(&last->ticks, now.ticks, __ATOMIC_RELAXED);
  __atomic_store_n(&last->monotonic_ns, now.monotonic_ns, __ATOMIC_RELAXED);
  __atomic_store_n(&last->realtime_ns, now.realtime_ns, __ATOMIC_RELAXED);
  __atomic_store_n(&last->sequence, sequence + 2, __ATOMIC_RELEASE);
}

/* All that the library remembers of an earlier activation becomes void. */
static bool activate(void) {
  struct at_header *header = at_ring.header;
  at_populate_retry();
  uint32_t activation = header->activation + 1;
  header->refusal = AT_REFUSAL_NONE;
  if (!at_lane_activate(activation)) return false;
  at_filter_clear(false);
  at_maps_forget();
  at_live_crowded = activation > 1;
  __atomic_store_n(&header->dropped_sites, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&header->dropped_blocks, 0, __ATOMIC_RELAXED);
  was_exact = false;
  /* In this order: who still sees the number before has read its clock before, see at_lane_renew. */
  __atomic_store_n(&header->activation, activation, __ATOMIC_SEQ_CST);
  at_force.activated_ticks = at_clock_read();
  __atomic_store_n(&header->activated_ticks, at_force.activated_ticks, __ATOMIC_RELEASE);
  return true;
}

static void settle(uint32_t seen, uint32_t mode, uint64_t generation, uint32_t refusal) {
  struct at_header *header = at_ring.header;
  if (refusal != AT_REFUSAL_NONE) header->refusal = refusal;
  at_force.acted_mode = seen;
  at_force.mode = mode;
  if (mode != AT_MODE_DORMANT) __atomic_store_n(&at_owner_page.own.key, ++keys, __ATOMIC_RELEASE);
  __atomic_store_n(&at_force.seen_mode, mode != AT_MODE_DORMANT ? seen : AT_MODE_UNSEEN, __ATOMIC_RELEASE);
  __atomic_store_n(&at_force.generation, generation, __ATOMIC_RELEASE);
  __atomic_store_n(&header->applied, generation, __ATOMIC_RELEASE);
}

static void act(void) {
  struct at_control wish = at_ring.header->control;
  if (wish.mode == AT_MODE_DORMANT || wish.mode == AT_MODE_PENDING) return;
  if (at_force.acted_mode == wish.mode && at_force.generation == wish.generation) return;
  if (!request_is_valid(&wish)) {
    settle(wish.mode, AT_MODE_DORMANT, wish.generation, AT_REFUSAL_MODE);
    return;
  }
  /* A request that was left out between was one for dormancy, in which blocks went unseen. */
  bool goes_on = at_force.mode != AT_MODE_DORMANT && at_ring.header->activation != 0 &&
                 wish.generation == at_force.generation + 1;
  uint32_t interval = wish.mode == AT_MODE_SAMPLED ? number_of(wish.sample_interval) : 0;
  if (wish.mode == AT_MODE_SAMPLED && interval == 0) {
    settle(wish.mode, AT_MODE_DORMANT, wish.generation, AT_REFUSAL_MODE);
    return;
  }
  if (!goes_on) at_force.mode = AT_MODE_DORMANT;
  if (!goes_on && !activate()) {
    settle(wish.mode, AT_MODE_DORMANT, wish.generation, AT_REFUSAL_SPACE);
    return;
  }
  if (goes_on) at_ring.header->refusal = AT_REFUSAL_NONE;
  if (wish.mode == AT_MODE_SAMPLED && was_exact) at_filter_clear(true);
  was_exact = was_exact || wish.mode == AT_MODE_EXACT;
  at_force.interval = interval;
  at_force.young_ticks = at_clock_ticks(wish.young_ns);
  at_ring.stacks = wish.stacks;
  at_ring.max_frames = wish.max_frames;
  write_last_moment();
  settle(wish.mode, wish.mode, wish.generation, AT_REFUSAL_NONE);
}

void at_control_apply(void) {
  if (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE) != 0) return;
  act();
  __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

void at_control_keep(bool looked_at) {
  struct at_control *control = &at_ring.header->control;
  if (looked_at) at_populate_retry();
  write_last_moment();
  uint64_t until = __atomic_load_n(&control->lease_until, __ATOMIC_RELAXED);
  if (until == 0) return;
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_BOOTTIME, &now);
  if ((uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u <= until) return;
  if (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE) != 0) return;
  uint32_t mode = at_force.seen_mode;
  /* Unless the reader is asking for something else at this moment. */
  if (mode <= AT_MODE_EXACT &&
      __atomic_compare_exchange_n(&control->mode, &mode, AT_MODE_DORMANT, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    at_force.mode = AT_MODE_DORMANT;
    at_force.acted_mode = AT_MODE_DORMANT;
    __atomic_store_n(&at_force.seen_mode, AT_MODE_UNSEEN, __ATOMIC_RELEASE);
  }
  __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

void at_control_own(void) {
  __atomic_store_n(&at_owner_page.own.key, ++keys, __ATOMIC_RELEASE);
}

void at_control_forget(void) {
  busy = 0;
  memset(&at_force, 0, sizeof at_force);
  at_force.seen_mode = AT_MODE_UNSEEN;
}
