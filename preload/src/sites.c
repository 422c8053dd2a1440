#include "sites.h"

#include <stdbool.h>
#include <string.h>

#include "ring.h"

/*
 * Index: site | epoch << 16 | high half of the hash << 32. An entry of another epoch (a parent's) is as good as none. Twice
 * as many places as there can be sites, so that a search always ends.
 */
#define INDEX_BITS 16u
static uint64_t index_of_sites[1u << INDEX_BITS];

/* Depths of sites, before the ring says them: a reader must never see a number that may yet be given to another stack. */
static uint8_t depths[AT_MAX_SITES];

/* A number taken but not used, with its epoch in the high half; 0: none. */
static uint64_t spare;

_Static_assert(AT_MAX_SITES <= 1u << (INDEX_BITS - 1), "the index is at most half full");

static uint64_t hash_of(const at_frame *frames, uint32_t depth, uint32_t flags) {
  uint64_t even = 0x9e3779b97f4a7c15ULL ^ ((uint64_t)flags << 32 | depth);
  uint64_t odd = 0xc2b2ae3d27d4eb4fULL;
  for (uint32_t i = 0; i < depth; i++) {
    uint64_t *lane = i % 2 == 0 ? &even : &odd;
    *lane = (*lane ^ frames[i]) * 0xff51afd7ed558ccdULL;
    *lane ^= *lane >> 29;
  }
  uint64_t hash = (even ^ (odd << 31 | odd >> 33)) * 0xd6e8feb86659fd93ULL;
  return hash ^ hash >> 32;
}

static uint64_t epoch_bits(void) { return (uint64_t)(at_ring.epoch & 0xffffu) << 16; }

static bool same_site(uint32_t number, uint64_t hash, const at_frame *frames, uint32_t depth, uint32_t flags) {
  const struct at_site *site = &at_ring.sites[number];
  if (site->hash != hash || site->flags != flags) return false;
  if (depths[number] != depth) return false;
  return memcmp(at_ring.frames + site->first_frame, frames, depth * sizeof *frames) == 0;
}

/* First of `depth` new frames in the ring; false: no room. */
static bool take_frames(uint32_t depth, uint32_t *first) {
  const struct at_region *region = &at_ring.header->frames;
  uint32_t *count = &at_ring.header->frame_count;
  *first = __atomic_load_n(count, __ATOMIC_RELAXED);
  do {
    if (depth > region->capacity || *first > region->capacity - depth) return false;
    if (!at_ring_use(region, *first * sizeof(at_frame), depth * sizeof(at_frame))) return false;
  } while (!__atomic_compare_exchange_n(count, first, *first + depth, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
  return true;
}

/* A number whose entry in the ring can be written; AT_SITE_NONE: no room. */
static uint32_t take_number(void) {
  uint64_t kept = __atomic_exchange_n(&spare, 0, __ATOMIC_ACQ_REL);
  if (kept != 0 && (uint32_t)(kept >> 32) == at_ring.epoch) return (uint32_t)kept;
  const struct at_region *region = &at_ring.header->sites;
  uint32_t *count = &at_ring.header->site_count;
  uint32_t seen = __atomic_load_n(count, __ATOMIC_RELAXED);
  uint32_t number;
  do {
    number = seen < AT_FIRST_SITE ? AT_FIRST_SITE : seen;
    if (number >= region->capacity || number >= AT_MAX_SITES) return AT_SITE_NONE;
    if (!at_ring_use(region, number * sizeof(struct at_site), sizeof(struct at_site))) return AT_SITE_NONE;
  } while (!__atomic_compare_exchange_n(count, &seen, number + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
  return number;
}

static void give_back(uint32_t number) {
  __atomic_store_n(&spare, (uint64_t)at_ring.epoch << 32 | number, __ATOMIC_RELEASE);
}

static uint32_t append(uint64_t hash, const at_frame *frames, uint32_t depth, uint32_t flags) {
  uint32_t first;
  uint32_t number = take_number();
  if (number == AT_SITE_NONE) return number;
  if (!take_frames(depth, &first)) {
    give_back(number);
    return AT_SITE_NONE;
  }
  struct at_site *site = &at_ring.sites[number];
  memcpy(at_ring.frames + first, frames, depth * sizeof *frames);
  site->hash = hash;
  site->first_frame = first;
  site->flags = (uint16_t)flags;
  site->first_ticks = at_clock_now();
  site->reserved = 0;
  depths[number] = (uint8_t)depth;
  return number;
}

/* By whoever is first to return the number: the thread that entered it may be stopped, or gone. */
static uint32_t publish(uint32_t number, uint32_t depth) {
  uint16_t *published = &at_ring.sites[number].depth;
  if (__atomic_load_n(published, __ATOMIC_RELAXED) == 0) __atomic_store_n(published, (uint16_t)depth, __ATOMIC_RELEASE);
  return number;
}

static uint32_t overflow(void) {
  __atomic_fetch_add(&at_ring.header->dropped_sites, 1, __ATOMIC_RELAXED);
  return AT_SITE_OVERFLOW;
}

uint32_t at_sites_number(const at_frame *frames, uint32_t depth, uint32_t flags) {
  uint64_t hash = hash_of(frames, depth, flags);
  uint64_t tag = (hash & ~(uint64_t)0xffffffffu) | epoch_bits();
  uint32_t place = (uint32_t)hash & ((1u << INDEX_BITS) - 1);
  uint32_t number = AT_SITE_NONE;
  for (;; place = (place + 1) & ((1u << INDEX_BITS) - 1)) {
    uint64_t entry = __atomic_load_n(&index_of_sites[place], __ATOMIC_ACQUIRE);
    while (entry == 0 || (entry & 0xffff0000u) != epoch_bits()) {
      if (number == AT_SITE_NONE) number = append(hash, frames, depth, flags);
      if (number == AT_SITE_NONE) return overflow();
      if (__atomic_compare_exchange_n(&index_of_sites[place], &entry, tag | number, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return publish(number, depth);
    }
    if ((entry & ~(uint64_t)0xffffu) != tag) continue;
    uint32_t found = (uint32_t)entry & 0xffffu;
    if (!same_site(found, hash, frames, depth, flags)) continue;
    if (number != AT_SITE_NONE) give_back(number); /* another thread was faster; the frames are named by nobody */
    return publish(found, depth);
  }
}
