#include "live.h"

#include <string.h>

struct at_level at_levels[AT_LEVELS];
bool at_live_there[AT_LEVEL_ENTRIES(0) / AT_LIVE_PER_GROUP];
uint32_t at_levels_used;
bool at_live_crowded;
static const char many_threads = 0;
const char *at_live_single = &many_threads;

void at_live_open(void) {
  at_levels_used = 0;
  memset(at_live_there, 0, sizeof at_live_there);
  at_live_crowded = false;
  for (uint32_t level = 0; level < AT_LEVELS; level++) {
    const struct at_region *region = &at_ring.header->live[level];
    at_levels[level].entries = at_ring.live[level];
    at_levels[level].groups = at_ring.base + region->bitmap;
  }
}

static void note_level(uint32_t level) {
  uint32_t used = __atomic_load_n(&at_levels_used, __ATOMIC_RELAXED);
  while (used <= level && !__atomic_compare_exchange_n(&at_levels_used, &used, level + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static struct at_live *claim_in(struct at_live *window, uint64_t address) {
  for (uint32_t i = 0; i < AT_WINDOW; i++) {
    uint64_t found = __atomic_load_n(&window[i].address, __ATOMIC_ACQUIRE);
    bool free = found == 0 || (at_live_crowded && (found & 1) == 0 && at_live_is_stale(&window[i]));
    if (free && at_live_claim(&window[i], found, address)) return &window[i];
  }
  return NULL;
}

static struct at_live *window_of(uint32_t level, uint32_t home) {
  return __atomic_load_n(&at_levels[level].entries, __ATOMIC_ACQUIRE) + home;
}

/* Whether entries of the window can be touched; asks for memory where there is none yet. */
static bool make_room(uint32_t level, uint32_t home) {
  struct at_level *table = &at_levels[level];
  bool mapped = __atomic_load_n(&table->entries, __ATOMIC_ACQUIRE) != NULL;
  if (AT_LIKELY(mapped && at_live_is_there(table, home))) return true;
  uint64_t offset = (uint64_t)home * sizeof(struct at_live);
  if (!at_ring_use(&at_ring.header->live[level], offset, AT_WINDOW * sizeof(struct at_live))) return false;
  if (level == 0) __atomic_store_n(&at_live_there[home / AT_LIVE_PER_GROUP], true, __ATOMIC_RELEASE);
  if (!mapped) __atomic_store_n(&table->entries, at_ring.live[level], __ATOMIC_RELEASE);
  return true;
}

static uint32_t choices_in(uint32_t level) {
  return level == 0 ? 1 : AT_CHOICES;
}

struct at_live *at_live_claim_elsewhere(uint64_t address) {
  for (uint32_t level = 0; level < AT_LEVELS && at_ring.header->live[level].capacity != 0; level++) {
    for (uint32_t choice = 0; choice < choices_in(level); choice++) {
      uint32_t home = at_home_of_choice(address, level, choice);
      if (!make_room(level, home)) return NULL;
      /* Before the claim: who frees the block must look here. */
      note_level(level);
      struct at_live *entry = claim_in(window_of(level, home), address);
      if (entry != NULL) return entry;
    }
  }
  return NULL;
}

static struct at_live *find_in(uint32_t level, uint32_t home, uint64_t address) {
  if (!at_live_is_there(&at_levels[level], home)) return NULL;
  struct at_live *window = window_of(level, home);
  for (uint32_t i = 0; i < AT_WINDOW; i++)
    if (at_live_is_of(&window[i], address)) return &window[i];
  return NULL;
}

struct at_live *at_live_find_elsewhere(uint64_t address) {
  for (uint32_t level = 1; level < __atomic_load_n(&at_levels_used, __ATOMIC_RELAXED); level++) {
    for (uint32_t choice = 0; choice < AT_CHOICES; choice++) {
      struct at_live *entry = find_in(level, at_home_of_choice(address, level, choice), address);
      if (entry != NULL) return entry;
    }
  }
  return NULL;
}
