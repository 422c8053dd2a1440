#include "maps.h"

#include "record.h"

/* Programs that map more than this at a time have the rest counted as dropped. */
#define MAPS 4096u

struct range {
  uint64_t start; /* 0: free; 1: being written */
  uint64_t end;
};

static struct range ranges[MAPS];
static uint32_t high; /* ranges from here on were never used */

void at_maps_forget(void) {
  for (uint32_t i = 0; i < high; i++) ranges[i].start = 0;
  high = 0;
}

static struct range *claim(void) {
  for (uint32_t i = 0; i < MAPS; i++) {
    uint64_t found = __atomic_load_n(&ranges[i].start, __ATOMIC_RELAXED);
    if (found != 0) continue;
    if (!__atomic_compare_exchange_n(&ranges[i].start, &found, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) continue;
    uint32_t before = __atomic_load_n(&high, __ATOMIC_RELAXED);
    while (before <= i && !__atomic_compare_exchange_n(&high, &before, i + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return &ranges[i];
  }
  return NULL;
}

static uint64_t whole_pages(uint64_t bytes) {
  return (bytes + AT_PAGE - 1) & ~(uint64_t)(AT_PAGE - 1);
}

void at_maps_add(struct at_thread *self, uint64_t start, uint64_t bytes, uint32_t site, const void *frame) {
  struct range *range = claim();
  if (range == NULL) {
    at_record_dropped(self);
    return;
  }
  bool recorded = at_record_map(self, start, bytes, site, frame) != 0;
  range->end = start + whole_pages(bytes);
  __atomic_store_n(&range->start, recorded ? start : 0, __ATOMIC_RELEASE);
}

static void take_one(struct at_thread *self, struct range *range, uint64_t from, uint64_t to, struct at_maps_taken *taken) {
  uint64_t start = range->start, end = range->end;
  uint32_t site = at_record_unmap(self, start);
  __atomic_store_n(&range->start, 0, __ATOMIC_RELEASE);
  if (site == 0) return;
  if (taken->count < AT_MAPS_PARTS) {
    uint32_t part = taken->count++;
    taken->parts[part].start = start < from ? from : start;
    taken->parts[part].end = end > to ? to : end;
    taken->parts[part].site = site;
  }
  if (start < from) at_maps_add(self, start, from - start, site, NULL);
  if (end > to) at_maps_add(self, to, end - to, site, NULL);
}

void at_maps_take(struct at_thread *self, uint64_t start, uint64_t end, struct at_maps_taken *taken) {
  taken->count = 0;
  uint32_t count = __atomic_load_n(&high, __ATOMIC_ACQUIRE);
  for (uint32_t i = 0; i < count; i++) {
    uint64_t at = __atomic_load_n(&ranges[i].start, __ATOMIC_ACQUIRE);
    if (at > 1 && at < end && ranges[i].end > start) take_one(self, &ranges[i], start, end, taken);
  }
}

void at_maps_return(struct at_thread *self, const struct at_maps_taken *taken) {
  for (uint32_t i = 0; i < taken->count; i++)
    at_maps_add(self, taken->parts[i].start, taken->parts[i].end - taken->parts[i].start, taken->parts[i].site, NULL);
}
