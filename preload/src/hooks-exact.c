/*
 * The same as the general functions of hooks.c and record.c do, for threads with a lane, blocks whose first entry of the window
 * serves, and sites whose counts have memory: without a branch for anything else. What does not fit goes to the general ones.
 */
#include "hooks-exact.h"

#include "hooks.h"
#include "lane.h"
#include "live.h"

/* The first entry of a block's window, when it has memory. */
static inline struct at_live *first_entry(uint64_t address) {
  uint32_t home = at_home(address, 0);
  return AT_LIKELY(at_live_there[home / AT_LIVE_PER_GROUP]) ? at_levels[0].entries + home : NULL;
}

static inline uint64_t ticks_of(struct at_thread *self, struct at_lane *lane) {
  return at_lane_ticks(self, (struct at_books){lane, false});
}

void *at_exact_malloc(size_t bytes) {
  struct at_thread *self = &at_self;
  if (AT_UNLIKELY(!at_gate_is_open(self, AT_MODE_EXACT))) return at_traced_malloc(bytes);
  const void *frame = __builtin_frame_address(0);
  at_calling(self);
  void *block = at_real.malloc(bytes);
  at_returned(self);
  uint64_t address = (uint64_t)(uintptr_t)block;
  struct at_lane *lane = self->lane;
  struct at_live *entry = first_entry(address);
  if (AT_UNLIKELY(block == NULL || self->outer != NULL || entry == NULL || entry->address != 0)) {
    at_record_allocation(self, block, bytes, frame);
    at_leave(self);
    return block;
  }
  self->last = block;
  uint32_t site = at_stack_site(self->stack, frame, 0);
  if (AT_UNLIKELY(site >= self->counts_ready || !at_live_claim(entry, 0, address))) {
    at_record_exact(self, block, bytes, site);
    at_leave(self);
    return block;
  }
  struct at_live what = {.size = bytes, .ticks = ticks_of(self, lane), .site = site};
  struct at_site_counts *counts = at_lane_counts_at(lane, site);
  lane->allocations += 1;
  counts->allocations += 1;
  counts->allocated_bytes += bytes;
  at_live_fill(entry, address, &what);
  at_leave(self);
  return block;
}

void at_exact_free(void *block) {
  struct at_thread *self = &at_self;
  if (AT_UNLIKELY(!at_gate_is_open(self, AT_MODE_EXACT) || block == NULL)) {
    at_traced_free(block);
    return;
  }
  at_returned(self);
  uint64_t address = (uint64_t)(uintptr_t)block;
  struct at_lane *lane = self->lane;
  struct at_live *entry = first_entry(address);
  if (AT_UNLIKELY(entry == NULL || entry->address != address || at_live_crowded || entry->interval != 0 ||
                  entry->site >= self->counts_ready)) {
    at_record_free(self, block);
  } else {
    struct at_site_counts *counts = at_lane_counts_at(lane, entry->site);
    uint64_t size = entry->size;
    int64_t age = (int64_t)(ticks_of(self, lane) - entry->ticks);
    lane->frees += 1;
    counts->frees += 1;
    counts->freed_bytes += size;
    if (AT_LIKELY(age < at_force.young_ticks)) {
      lane->cancelled += 2;
    } else {
      counts->old_frees += 1;
      counts->old_freed_bytes += size;
    }
    at_live_remove(entry);
  }
  at_calling(self);
  at_real.free(block);
  at_leave(self);
}
