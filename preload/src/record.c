#include "record.h"

#include <errno.h>

#include "filter.h"
#include "lane.h"
#include "live.h"
#include "sampler.h"

static void count_drop(struct at_books books) {
  at_add(&books.lane->dropped, 1, books.shared);
  __atomic_fetch_add(&at_ring.header->dropped_blocks, 1, __ATOMIC_RELAXED);
}

static struct at_live *place(uint64_t address) {
  struct at_live *entry = at_live_place(address);
  return entry;
}

static __attribute__((noinline)) struct at_live *place_keeping_errno(uint64_t address) {
  int kept = errno;
  struct at_live *entry = place(address);
  errno = kept;
  return entry;
}

/* An entry of the block: the one that is held, or a new one. */
static inline struct at_live *entry_for(struct at_live *held, uint64_t address) {
  if (AT_UNLIKELY(held != NULL)) return held;
  if (AT_LIKELY(at_live_is_there(&at_levels[0], at_home(address, 0)))) {
    struct at_live *window = at_levels[0].entries + at_home(address, 0);
    if (AT_LIKELY(window->address == 0 && at_live_claim(window, 0, address))) return window;
  }
  return place_keeping_errno(address);
}

/* One exact allocation. `held`: an entry to use, whose address is this one. Returns the site, 0 when dropped. */
static inline __attribute__((always_inline)) uint32_t record_exact(struct at_thread *self, struct at_live *held, uint64_t address, uint64_t bytes,
                                    uint32_t site, const void *frame, uint8_t kind) {
  struct at_books books = at_books_of(self);
  struct at_live what = {.size = bytes, .ticks = at_lane_ticks(self, books), .kind = kind};
  what.site = site != 0 ? site : at_stack_site(self->stack, frame, kind == AT_KIND_MAP ? AT_SITE_MAP : 0);
  at_add(&books.lane->allocations, 1, books.shared);
  struct at_books of_site = books;
  struct at_site_counts *counts = at_lane_counts(&of_site, what.site);
  struct at_live *entry = AT_LIKELY(counts != NULL) ? entry_for(held, address) : NULL;
  if (AT_UNLIKELY(entry == NULL)) {
    if (held != NULL) at_live_remove(held);
    count_drop(books);
    return 0;
  }
  at_add(&counts->allocations, 1, of_site.shared);
  at_add(&counts->allocated_bytes, bytes, of_site.shared);
  at_live_fill(entry, address, &what);
  return what.site;
}

/* A double that only its thread changes, or that several do. */
static void add_double(double *sum, double value, bool shared) {
  if (!shared) {
    *sum += value;
    return;
  }
  union {
    uint64_t bits;
    double number;
  } before, after;
  uint64_t *bits = (uint64_t *)(void *)sum;
  before.bits = __atomic_load_n(bits, __ATOMIC_RELAXED);
  do after.number = before.number + value;
  while (!__atomic_compare_exchange_n(bits, &before.bits, after.bits, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

static __attribute__((noinline)) void record_sample(struct at_thread *self, struct at_live *held, uint64_t address,
                                                    uint64_t bytes, const void *frame) {
  struct at_books books = at_books_of(self);
  uint32_t interval = self->interval != 0 ? self->interval : at_force.interval;
  struct at_live what = {.size = bytes, .ticks = at_lane_ticks(self, books), .interval = (uint8_t)interval};
  what.site = at_stack_site(self->stack, frame, 0);
  at_add(&books.lane->allocations, 1, books.shared);
  struct at_books of_site = books;
  int kept = errno;
  struct at_site_estimates *sums = at_lane_estimates(&of_site, what.site);
  struct at_live *entry = sums == NULL ? NULL : held != NULL ? held : place(address);
  errno = kept;
  if (entry == NULL) {
    if (held != NULL) at_live_remove(held);
    count_drop(books);
    return;
  }
  struct at_weight weight = at_sampler_weight(bytes, interval);
  at_add(&sums->samples, 1, of_site.shared);
  add_double(&sums->allocations, weight.count, of_site.shared);
  add_double(&sums->allocated_bytes, weight.bytes, of_site.shared);
  add_double(&sums->variance_count, weight.variance_count, of_site.shared);
  add_double(&sums->variance_bytes, weight.variance_bytes, of_site.shared);
  at_filter_add(address);
  at_live_fill(entry, address, &what);
}

/* Whether the sampler takes a block of this size; what it passes over is counted. */
static inline bool sampler_takes(struct at_thread *self, uint64_t bytes) {
  struct at_lane *lane = self->lane;
  if (AT_UNLIKELY(lane == NULL)) {
    if (at_sampler_toss(at_lane_shared, bytes, at_force.interval)) return true;
    at_add(&at_lane_shared->passed_allocations, 1, true);
    return false;
  }
  lane->remaining -= (int64_t)bytes;
  if (AT_LIKELY(lane->remaining >= 0)) {
    at_add(&lane->passed_allocations, 1, false);
    return false;
  }
  at_sampler_next(lane, self->interval);
  return true;
}

static __attribute__((noinline, cold)) void record_failure(struct at_thread *self) {
  struct at_books books = at_books_of(self);
  at_add(&books.lane->failed, 1, books.shared);
  self->outer = NULL;
}

/* Where the stack begins: the frames of operator new are the allocator's own. One that an exception left behind is not near. */
static inline const void *first_frame(struct at_thread *self, const void *frame) {
  const void *outer = self->outer;
  if (AT_LIKELY(outer == NULL)) return frame;
  self->outer = NULL;
  return (uintptr_t)outer - (uintptr_t)frame < 4096u ? outer : frame;
}

void at_record_allocation(struct at_thread *self, const void *block, uint64_t bytes, const void *frame) {
  if (AT_UNLIKELY(block == NULL)) {
    record_failure(self);
    return;
  }
  self->last = (void *)(uintptr_t)block;
  frame = first_frame(self, frame);
  if (at_force.mode == AT_MODE_EXACT)
    record_exact(self, NULL, (uint64_t)(uintptr_t)block, bytes, 0, frame, AT_KIND_HEAP);
  else if (AT_UNLIKELY(sampler_takes(self, bytes)))
    record_sample(self, NULL, (uint64_t)(uintptr_t)block, bytes, frame);
}

void at_record_exact(struct at_thread *self, const void *block, uint64_t bytes, uint32_t site) {
  record_exact(self, NULL, (uint64_t)(uintptr_t)block, bytes, site, NULL, AT_KIND_HEAP);
}

void at_record_sample(struct at_thread *self, const void *block, uint64_t bytes, const void *frame) {
  if (block == NULL) {
    record_failure(self);
    return;
  }
  at_sampler_next(self->lane, self->interval);
  record_sample(self, NULL, (uint64_t)(uintptr_t)block, bytes, first_frame(self, frame));
}

/* Counts of a block that ends, as its entry says. */
static void free_sample(struct at_books books, const struct at_live *entry) {
  struct at_weight weight = at_sampler_weight(entry->size, entry->interval);
  struct at_site_estimates *sums = at_lane_estimates(&books, entry->site);
  if (sums == NULL) return;
  at_add(&sums->freed_samples, 1, books.shared);
  add_double(&sums->frees, weight.count, books.shared);
  add_double(&sums->freed_bytes, weight.bytes, books.shared);
}

static inline __attribute__((always_inline)) void count_free(struct at_thread *self, const struct at_live *entry) {
  struct at_books books = at_books_of(self);
  at_add(&books.lane->frees, 1, books.shared);
  if (AT_UNLIKELY(entry->interval != 0)) {
    free_sample(books, entry);
    return;
  }
  uint64_t size = entry->size;
  int64_t age = (int64_t)(at_lane_ticks(self, books) - entry->ticks);
  struct at_books of_site = books;
  struct at_site_counts *counts = at_lane_counts(&of_site, entry->site);
  if (AT_UNLIKELY(counts == NULL)) return;
  at_add(&counts->frees, 1, of_site.shared);
  at_add(&counts->freed_bytes, size, of_site.shared);
  if (AT_LIKELY(age < at_force.young_ticks)) {
    at_add(&books.lane->cancelled, 2, books.shared);
    return;
  }
  at_add(&counts->old_frees, 1, of_site.shared);
  at_add(&counts->old_freed_bytes, size, of_site.shared);
}

static void count_unmatched(struct at_thread *self) {
  struct at_books books = at_books_of(self);
  if (at_force.mode == AT_MODE_SAMPLED) {
    at_add(&books.lane->passed_frees, 1, books.shared);
    return;
  }
  at_add(&books.lane->frees, 1, books.shared);
  at_add(&books.lane->unmatched_frees, 1, books.shared);
}

/* Whether the table can know the block at all. */
static inline bool may_be_known(uint64_t address) {
  return at_force.mode == AT_MODE_EXACT || at_filter_may_have(address);
}

void at_record_free(struct at_thread *self, const void *block) {
  uint64_t address = (uint64_t)(uintptr_t)block;
  struct at_live *entry = may_be_known(address) ? at_live_find(address) : NULL;
  if (entry == NULL) {
    count_unmatched(self);
    return;
  }
  count_free(self, entry);
  if (AT_UNLIKELY(entry->interval != 0)) at_filter_remove(address);
  at_live_remove(entry);
}

struct at_resize at_record_resize_begin(const void *block) {
  uint64_t address = (uint64_t)(uintptr_t)block;
  struct at_live *entry = may_be_known(address) ? at_live_find(address) : NULL;
  if (entry != NULL) at_live_hold(entry);
  return (struct at_resize){entry};
}

void at_record_resize_end(struct at_thread *self, struct at_resize resize, const void *from, const void *to, uint64_t bytes,
                          bool gone, const void *frame) {
  struct at_live *entry = resize.entry;
  if (to == NULL && !gone) {
    if (entry != NULL) at_live_release(entry);
    at_record_allocation(self, NULL, bytes, frame);
    return;
  }
  if (entry == NULL) {
    count_unmatched(self);
  } else {
    count_free(self, entry);
    if (entry->interval != 0) at_filter_remove((uint64_t)(uintptr_t)from);
    if (to != from || at_force.mode != AT_MODE_EXACT) {
      at_live_remove(entry);
      entry = NULL;
    }
  }
  if (to == NULL) return;
  if (entry == NULL) {
    at_record_allocation(self, to, bytes, frame);
    return;
  }
  self->last = (void *)(uintptr_t)to;
  record_exact(self, entry, (uint64_t)(uintptr_t)to, bytes, 0, frame, AT_KIND_HEAP);
}

uint32_t at_record_map(struct at_thread *self, uint64_t address, uint64_t bytes, uint32_t site, const void *frame) {
  return record_exact(self, NULL, address, bytes, site, frame, AT_KIND_MAP);
}

uint32_t at_record_unmap(struct at_thread *self, uint64_t address) {
  struct at_live *entry = at_live_find(address);
  if (entry == NULL || entry->kind != AT_KIND_MAP) return 0;
  uint32_t site = entry->site;
  count_free(self, entry);
  at_live_remove(entry);
  return site;
}

void at_record_dropped(struct at_thread *self) {
  struct at_books books = at_books_of(self);
  at_add(&books.lane->allocations, 1, books.shared);
  count_drop(books);
}
