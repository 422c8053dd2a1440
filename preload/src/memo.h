/*
 * memo.h - what a thread remembers of its walks.
 *
 * An entry holds every word of the stack that a walk depended on (return addresses, and saved frame pointers where a frame
 * was found through one) and the site that came out. It is used only when all of these words are the same again: then
 * the walk would come to the same site. Entries are found by stack pointer and return address; where that was seen to
 * take different callers for each other (behind a shared allocation function), by the return addresses further out too.
 *
 * Entries lie in a circle of words: the oldest are overwritten. The circle starts small and grows as long as the process
 * has some of AT_MEMO_BUDGET left.
 */
#ifndef TIDEMARK_MEMO_H
#define TIDEMARK_MEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"
#include "unwind-rules.h"
#include "unwind.h"

#define AT_MEMO_WAYS 4u
#define AT_MEMO_SET_BITS 8u
#define AT_MEMO_FIRST_WORDS 4096u                /* 32 KiB */
#define AT_MEMO_WORDS 32768u                     /* 256 KiB */
#define AT_MEMO_BUDGET ((uint64_t)2 << 20)       /* bytes beyond the first, all threads together */
#define AT_MEMO_DEEPEST 8u                       /* return addresses in a key */
#define AT_MEMO_HEAD 3u

struct at_memo_slot {
  uint32_t tag;
  uint32_t place; /* where its entry begins, counted through all turns of the circle */
};

/*
 * Entry: stamp; frame address | shape << 48; site | count << 32 | reach << 48; `count` values; `count` offsets of 16 bits from the
 * frame address, in words. `reach` is the highest offset.
 */
struct at_memo {
  struct at_own_stack own;
  uint32_t head; /* where the next entry begins; entries between head - words and head are whole */
  uint32_t words; /* size of the circle, a power of two; 0: not used yet */
  struct at_memo_slot slots[(1u << AT_MEMO_SET_BITS) * AT_MEMO_WAYS];
  uint64_t circle[AT_MEMO_WORDS];
};

/* Where a call would be found. */
struct at_memo_key {
  uint64_t hash;
  uint64_t last; /* outermost return address that went into it */
  uint32_t length;
};

/* Remembers what a repeatable walk came to, if it fits. */
void at_memo_put(struct at_memo *memo, uint64_t frame, uint64_t stamp, uint32_t shape, const struct at_walk *walk,
                 uint32_t site);

/* Forgets everything. */
void at_memo_clear(struct at_memo *memo);

static inline uint64_t at_memo_word(uint64_t address) { return *(const uint64_t *)(uintptr_t)address; }

static inline bool at_memo_owns(const struct at_memo *memo, uint64_t address) {
  return address >= memo->own.low && address < memo->own.high;
}

/* One frame outwards by a rule that at_rules_deepen allows; false: the words are not known to be there. */
static inline bool at_memo_step(const struct at_memo *memo, uint64_t rule, uint64_t *sp, uint64_t *rbp_at, uint64_t *pc) {
  uint64_t base = *sp;
  if (at_rule_kind(rule) == AT_RULE_RBP) {
    if (!at_memo_owns(memo, *rbp_at) || *rbp_at % 8 != 0) return false;
    base = at_memo_word(*rbp_at);
  }
  uint64_t cfa = base + (uint64_t)at_rule_offset(rule);
  if (cfa <= *sp || !at_memo_owns(memo, cfa - 8) || cfa % 8 != 0) return false;
  uint32_t saved = at_rule_rbp(rule);
  if (at_saved_kind(saved) == AT_SAVED_CFA) *rbp_at = cfa + (uint64_t)at_saved_bytes(saved);
  else if (at_saved_kind(saved) != AT_SAVED_SAME) *rbp_at = 0;
  *pc = at_memo_word(cfa - 8);
  *sp = cfa;
  return true;
}

static inline uint64_t at_memo_mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
  return hash ^ hash >> 32;
}

static inline struct at_memo_key at_memo_key(const struct at_memo *memo, uint64_t frame, uint64_t stamp, uint32_t shape) {
  uint64_t sp = frame + 16;
  uint64_t rbp_at = frame;
  uint64_t pc = at_memo_word(frame + 8);
  uint64_t rule;
  at_frame name;
  struct at_memo_key key = {at_memo_mix(pc, frame << 16 | shape), pc, 1};
  while (at_rules_find(pc, stamp, &rule, &name) && AT_UNLIKELY((rule & AT_RULE_DEEP) != 0)) {
    if (key.length == AT_MEMO_DEEPEST || !at_memo_step(memo, rule, &sp, &rbp_at, &pc)) break;
    key.hash = at_memo_mix(key.hash, pc);
    key.last = pc;
    key.length++;
  }
  return key;
}

static inline uint32_t at_memo_tag(uint64_t hash) { return (uint32_t)hash | 1u; }

static inline uint32_t at_memo_set(uint64_t hash) { return (uint32_t)(hash >> (64 - AT_MEMO_SET_BITS)) * AT_MEMO_WAYS; }

/* The entry of a slot; NULL: it was overwritten. */
static inline const uint64_t *at_memo_entry(const struct at_memo *memo, const struct at_memo_slot *slot) {
  if (memo->head - slot->place > memo->words) return NULL;
  return &memo->circle[slot->place & (memo->words - 1)];
}

static inline uint32_t at_memo_count(const uint64_t *entry) { return (uint32_t)(entry[2] >> 32) & 0xffffu; }

/* Whether all words of the entry can be read: checked on stacks that are not known to be the thread's own. */
static inline bool at_memo_within(const struct at_memo *memo, const uint64_t *entry, uint64_t frame) {
  uint64_t last = frame + (entry[2] >> 48) * 8;
  if (AT_LIKELY(frame >= memo->own.low && last < memo->own.high)) return true;
  return at_unwind_readable(frame, last + 8);
}

static inline __attribute__((always_inline)) bool at_memo_same(const uint64_t *entry, uint64_t frame) {
  uint32_t count = at_memo_count(entry);
  const uint64_t *value = entry + AT_MEMO_HEAD;
  const uint16_t *offset = (const uint16_t *)(value + count);
  for (uint32_t i = 0; i < count; i++) {
    if (at_memo_word(frame + offset[i] * 8u) != value[i]) return false;
  }
  return true;
}

/* Site of the call, if it is known; AT_SITE_NONE: it has to be walked. */
static inline uint32_t at_memo_find(const struct at_memo *memo, uint64_t frame, uint64_t stamp, uint32_t shape) {
  uint64_t hash = at_memo_key(memo, frame, stamp, shape).hash;
  uint32_t tag = at_memo_tag(hash);
  const struct at_memo_slot *slot = &memo->slots[at_memo_set(hash)];
  for (uint32_t way = 0; way < AT_MEMO_WAYS; way++, slot++) {
    if (slot->tag != tag) continue;
    const uint64_t *entry = at_memo_entry(memo, slot);
    if (entry == NULL || entry[0] != stamp || entry[1] != ((uint64_t)shape << 48 | frame)) continue;
    if (AT_LIKELY(at_memo_within(memo, entry, frame) && at_memo_same(entry, frame))) return (uint32_t)entry[2];
  }
  return AT_SITE_NONE;
}

#endif
