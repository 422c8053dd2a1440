/*
 * live.h - the table of live blocks.
 */
#ifndef TIDEMARK_LIVE_H
#define TIDEMARK_LIVE_H

#include "force.h"
#include "ring.h"

struct at_level {
  struct at_live *entries; /* NULL: not mapped, which the first level always is */
  const unsigned char *groups; /* bitmap */
};
extern struct at_level at_levels[AT_LEVELS] AT_INTERNAL;
#define AT_LIVE_PER_GROUP (AT_GROUP / (uint32_t)sizeof(struct at_live))
extern bool at_live_there[AT_LEVEL_ENTRIES(0) / AT_LIVE_PER_GROUP] AT_INTERNAL; /* groups of the first level with memory */
extern uint32_t at_levels_used AT_INTERNAL; /* levels from here on hold nothing */
extern bool at_live_crowded AT_INTERNAL;    /* entries of an earlier activation may be in the table */
extern const char *at_live_single AT_INTERNAL; /* __libc_single_threaded, or a NUL byte where there is no such thing */

/* Finds the regions of the file that has been made. */
void at_live_open(void);

static inline bool at_live_is_there(const struct at_level *level, uint32_t home) {
  uint32_t group = home / AT_LIVE_PER_GROUP;
  return (__atomic_load_n(level->groups + (group >> 3), __ATOMIC_ACQUIRE) & (1u << (group & 7))) != 0;
}

/* What an earlier activation left: may name a block that has been freed unseen. */
static inline bool at_live_is_stale(const struct at_live *entry) {
  return entry->ticks < at_force.activated_ticks;
}

static inline bool at_live_claim(struct at_live *entry, uint64_t found, uint64_t address) {
#if defined(__x86_64__)
  if (*(const volatile char *)at_live_single != 0) {
    /* One thread alone: whole against its own signal handlers, which is what an instruction is without a lock as well. */
    bool done;
    __asm__ volatile("cmpxchgq %3, %1" : "=@ccz"(done), "+m"(entry->address), "+a"(found) : "r"(address | 1) : "memory");
    return done;
  }
#endif
  return __atomic_compare_exchange_n(&entry->address, &found, address | 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Fills in a claimed entry and publishes it. */
static inline void at_live_fill(struct at_live *entry, uint64_t address, const struct at_live *what) {
  entry->size = what->size;
  entry->ticks = what->ticks;
  entry->site = what->site;
  entry->check = at_check(address, what->size, what->ticks, what->site);
  entry->interval = what->interval;
  entry->kind = what->kind;
  __atomic_store_n(&entry->address, address, __ATOMIC_RELEASE);
}

/*
 * Whether the entry is of this block. One that an earlier activation left under the same address is taken out on the way;
 * another thread may claim it at that moment, which changes the address before all else.
 */
static inline bool at_live_is_of(struct at_live *entry, uint64_t address) {
  if (__atomic_load_n(&entry->address, __ATOMIC_RELAXED) != address) return false;
  if (AT_LIKELY(!at_live_crowded)) return true;
  bool stale = __atomic_load_n(&entry->ticks, __ATOMIC_ACQUIRE) < at_force.activated_ticks;
  if (__atomic_load_n(&entry->address, __ATOMIC_RELAXED) != address) return false;
  uint64_t found = address;
  if (stale) __atomic_compare_exchange_n(&entry->address, &found, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return !stale;
}

struct at_live *at_live_claim_elsewhere(uint64_t address);
struct at_live *at_live_find_elsewhere(uint64_t address);

/* A claimed entry for a block, to be filled; NULL: no room. May change errno. */
static inline struct at_live *at_live_place(uint64_t address) {
  const struct at_level *level = &at_levels[0];
  uint32_t home = at_home(address, 0);
  if (AT_LIKELY(at_live_is_there(level, home))) {
    struct at_live *window = level->entries + home;
    for (uint32_t i = 0; i < AT_WINDOW; i++)
      if (__atomic_load_n(&window[i].address, __ATOMIC_RELAXED) == 0 && at_live_claim(&window[i], 0, address)) return &window[i];
  }
  return at_live_claim_elsewhere(address);
}

/* The entry of a block of this activation, or NULL. Only who may free the block may ask. */
static inline struct at_live *at_live_find(uint64_t address) {
  const struct at_level *level = &at_levels[0];
  uint32_t home = at_home(address, 0);
  if (AT_LIKELY(at_live_is_there(level, home))) {
    struct at_live *window = level->entries + home;
    for (uint32_t i = 0; i < AT_WINDOW; i++)
      if (at_live_is_of(&window[i], address)) return &window[i];
  }
  if (AT_LIKELY(__atomic_load_n(&at_levels_used, __ATOMIC_RELAXED) <= 1)) return NULL;
  return at_live_find_elsewhere(address);
}

static inline void at_live_remove(struct at_live *entry) {
  __atomic_store_n(&entry->address, 0, __ATOMIC_RELEASE);
}

/* While a block is being resized its entry is nobody's: readers pass over it, and nobody claims it. */
static inline void at_live_hold(struct at_live *entry) {
  __atomic_store_n(&entry->address, __atomic_load_n(&entry->address, __ATOMIC_RELAXED) | 1, __ATOMIC_RELEASE);
}

static inline void at_live_release(struct at_live *entry) {
  __atomic_store_n(&entry->address, __atomic_load_n(&entry->address, __ATOMIC_RELAXED) & ~(uint64_t)1, __ATOMIC_RELEASE);
}

#endif
