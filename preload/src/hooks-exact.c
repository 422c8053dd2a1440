/*
 * The same as the general functions of hooks.c and record.c do, for threads with a lane, blocks in the first level of the
 * table, and sites whose counts have memory: without a branch for anything else. What does not fit goes to the general ones.
 */
#include "hooks-exact.h"

#include "hooks.h"
#include "lane.h"
#include "live.h"

/* The entry with this address (0: a free one) in the first level's window of the block; NULL: there is none. */
static inline struct at_live *entry_with(uint64_t address, uint64_t block) {
  uint32_t home = at_home(block, 0);
  if (AT_UNLIKELY(!at_live_there[home / AT_LIVE_PER_GROUP])) return NULL;
  struct at_live *entry = at_levels[0].entries + home;
  for (uint32_t i = 0; i < AT_WINDOW; i++, entry++)
    if (AT_LIKELY(__atomic_load_n(&entry->address, __ATOMIC_RELAXED) == address)) return entry;
  return NULL;
}

static inline uint64_t ticks_of(struct at_thread *self, struct at_lane *lane) {
  return at_lane_ticks(self, (struct at_books){lane, false});
}

static inline void set_gate(uint64_t *gate, uint64_t value) {
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(gate, value, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void *at_exact_malloc(size_t bytes) {
  struct at_thread *self = &at_self;
  if (AT_UNLIKELY(!at_gate_is_open(self, AT_MODE_EXACT))) return at_traced_malloc(bytes);
  const void *frame = __builtin_frame_address(0);
  uint64_t *gate = self->gate, open = *gate;
  set_gate(gate, AT_GATE_IN_REAL);
  void *block = at_real.malloc(bytes);
  set_gate(gate, AT_GATE_IN_OURS);
  if (AT_UNLIKELY(block == NULL || self->outer != NULL)) {
    at_record_allocation(self, block, bytes, frame);
    set_gate(gate, open);
    return block;
  }
  self->last = block;
  uint64_t address = (uint64_t)(uintptr_t)block;
  struct at_lane *lane = self->lane;
  /* The table is larger than the caches: its line is on the way while the site is looked for. */
  __builtin_prefetch(at_levels[0].entries + at_home(address, 0), 1);
  uint32_t site = at_stack_site(self->stack, frame, 0);
  struct at_live *entry = entry_with(0, address);
  if (AT_UNLIKELY(entry == NULL || site >= self->counts_ready || !at_live_claim(entry, 0, address))) {
    at_record_exact(self, block, bytes, site);
    set_gate(gate, open);
    return block;
  }
  struct at_live what = {.size = bytes, .ticks = ticks_of(self, lane), .site = site};
  struct at_site_counts *counts = at_lane_counts_at(lane, site);
  lane->allocations += 1;
  counts->allocations += 1;
  counts->allocated_bytes += bytes;
  at_live_fill(entry, address, &what);
  set_gate(gate, open);
  return block;
}

void at_exact_free(void *block) {
  struct at_thread *self = &at_self;
  if (AT_UNLIKELY(!at_gate_is_open(self, AT_MODE_EXACT) || block == NULL)) {
    at_traced_free(block);
    return;
  }
  uint64_t *gate = self->gate, open = *gate;
  set_gate(gate, AT_GATE_IN_OURS);
  uint64_t address = (uint64_t)(uintptr_t)block;
  struct at_lane *lane = self->lane;
  struct at_live *entry = entry_with(address, address);
  if (AT_UNLIKELY(entry == NULL || at_live_crowded || entry->interval != 0 ||
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
  /* Left before: the real free has nothing to call that would be taken for the program's. */
  set_gate(gate, open);
  at_real.free(block);
}
