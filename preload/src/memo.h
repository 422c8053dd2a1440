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
#include "unwind-rule.h"
#include "unwind.h"

#define AT_MEMO_WAYS 4u
#define AT_MEMO_SET_BITS 10u
#define AT_MEMO_FIRST_WORDS 4096u          /* 32 KiB */
#define AT_MEMO_WORDS 131072u              /* 1 MiB */
#define AT_MEMO_BUDGET ((uint64_t)4 << 20) /* bytes beyond the first, all threads together */
#define AT_MEMO_DEEPEST 8u                 /* return addresses in a key */
#define AT_MEMO_DEEP_BITS 8u
#define AT_MEMO_HEAD 2u
#define AT_MEMO_GROUP 4u /* words compared at once; an entry's last is repeated to fill a group */

struct at_memo_slot {
  uint32_t tag;
  uint32_t place; /* where its entry begins, counted through all turns of the circle */
};

/* A return address behind which several callers were taken for each other: keys go on to the frame further out. */
struct at_memo_deep {
  uint64_t address;
  int32_t cfa;   /* from the stack pointer, or from rbp */
  int16_t saved; /* where the caller's rbp is, from the CFA; 0: where it was */
  int16_t by_rbp;
};

/*
 * Entry: frame address | shape << 48; site | count << 32 | foreign << 63; `count` values; `count` offsets of 16 bits from
 * the frame address, in words. `count` is a multiple of AT_MEMO_GROUP. Foreign entries reach beyond what is known of the
 * thread's own stack. `shape` is what else the site depends on: 16 bits, whatever the caller makes of them.
 */
struct at_memo {
  struct at_own_stack own; /* only ever grows while entries are remembered */
  uint64_t stamp;          /* of all that is remembered */
  uint32_t head;           /* where the next entry begins; entries between head - words and head are whole */
  uint32_t words;          /* size of the circle, a power of two; 0: not used yet */
  struct at_memo_deep deep[1u << AT_MEMO_DEEP_BITS];
  struct at_memo_slot slots[(1u << AT_MEMO_SET_BITS) * AT_MEMO_WAYS];
  uint64_t circle[AT_MEMO_WORDS];
};

#define AT_MEMO_FOREIGN ((uint64_t)1 << 63)

/* Remembers what a repeatable walk came to, if it fits. `stamp` is that of before the walk. */
void at_memo_put(struct at_memo *memo, uint64_t frame, uint64_t stamp, uint32_t shape, const struct at_walk *walk,
                 uint32_t site);

/* Forgets everything, the thread's stack too. */
void at_memo_clear(struct at_memo *memo);

/* As at_memo_same, for an entry that is foreign. */
bool at_memo_same_foreign(const uint64_t *entry, uint64_t frame);

static inline uint64_t at_memo_word(uint64_t address) { return *(const uint64_t *)(uintptr_t)address; }

static inline uint64_t at_memo_hash(uint64_t address, uint64_t frame, uint32_t shape) {
  uint64_t hash = (address ^ frame << 16 ^ shape) * 0x9e3779b97f4a7c15ULL;
  return hash ^ hash >> 32;
}

/* Where a call would be found. */
struct at_memo_key {
  uint64_t hash;
  uint64_t address; /* outermost of the return addresses that went into it */
};

static inline uint32_t at_memo_deep(uint64_t address) {
  return (uint32_t)(address ^ address >> AT_MEMO_DEEP_BITS) & ((1u << AT_MEMO_DEEP_BITS) - 1);
}

/* Key of a call whose return address is deep. Reads words of the thread's own stack only. */
static inline __attribute__((always_inline)) struct at_memo_key at_memo_extend(const struct at_memo *memo,
                                                                               struct at_memo_key key, uint64_t frame) {
  uint64_t sp = frame + 16;
  uint64_t rbp_at = frame;
  uint64_t high = memo->own.high;
  if (AT_UNLIKELY(frame < memo->own.low || sp > high)) return key;
  for (uint32_t length = 1; length < AT_MEMO_DEEPEST; length++) {
    const struct at_memo_deep *deep = &memo->deep[at_memo_deep(key.address)];
    if (deep->address != key.address) break;
    uint64_t base = sp;
    if (deep->by_rbp != 0) {
      if (rbp_at < frame || rbp_at >= high) break;
      base = at_memo_word(rbp_at);
    }
    uint64_t at = base + (uint64_t)(int64_t)deep->cfa - 8;
    if (at < sp || at >= high || at % 8 != 0) break;
    key.address = at_memo_word(at);
    key.hash = at_memo_hash(key.address, key.hash, length);
    sp = at + 8;
    if (deep->saved != 0) rbp_at = sp + (uint64_t)(int64_t)deep->saved;
  }
  return key;
}

static inline __attribute__((always_inline)) struct at_memo_key at_memo_key(const struct at_memo *memo, uint64_t frame,
                                                                            uint32_t shape) {
  uint64_t address = at_memo_word(frame + 8);
  struct at_memo_key key = {at_memo_hash(address, frame, shape), address};
  if (memo->deep[at_memo_deep(address)].address != address) return key;
  return at_memo_extend(memo, key, frame);
}

static inline uint32_t at_memo_tag(uint64_t hash) { return (uint32_t)hash | 1u; }

static inline uint32_t at_memo_set(uint64_t hash) { return (uint32_t)(hash >> (64 - AT_MEMO_SET_BITS)) * AT_MEMO_WAYS; }

static inline uint64_t at_memo_where(uint64_t frame, uint32_t shape) { return (uint64_t)shape << 48 | frame; }

/* The entry of a slot; NULL: it was overwritten. */
static inline const uint64_t *at_memo_entry(const struct at_memo *memo, const struct at_memo_slot *slot) {
  if (memo->head - slot->place > memo->words) return NULL;
  return &memo->circle[slot->place & (memo->words - 1)];
}

/* Whether the words of an entry are on the stack now. */
static inline __attribute__((always_inline)) bool at_memo_same(const uint64_t *entry, uint64_t frame) {
  const uint64_t *value = entry + AT_MEMO_HEAD;
  const uint64_t *end = value + (entry[1] >> 32);
  const uint16_t *offset = (const uint16_t *)end;
  const uint64_t *stack = (const uint64_t *)(uintptr_t)frame;
  do {
    if (stack[offset[0]] != value[0]) return false;
    if (stack[offset[1]] != value[1]) return false;
    if (stack[offset[2]] != value[2]) return false;
    if (stack[offset[3]] != value[3]) return false;
    value += AT_MEMO_GROUP;
    offset += AT_MEMO_GROUP;
  } while (value != end);
  return true;
}

static inline __attribute__((always_inline)) uint32_t at_memo_lookup(const struct at_memo *memo, uint64_t hash,
                                                                     uint64_t frame, uint32_t shape) {
  const struct at_memo_slot *slot = &memo->slots[at_memo_set(hash)];
  const struct at_memo_slot *end = slot + AT_MEMO_WAYS;
  do {
    if (slot->tag != at_memo_tag(hash)) continue;
    const uint64_t *entry = at_memo_entry(memo, slot);
    if (entry == NULL || entry[0] != at_memo_where(frame, shape)) continue;
    if (AT_UNLIKELY((int64_t)entry[1] < 0) && at_memo_same_foreign(entry, frame)) return (uint32_t)entry[1];
    if (AT_LIKELY((int64_t)entry[1] >= 0 && at_memo_same(entry, frame))) return (uint32_t)entry[1];
  } while (++slot != end);
  return AT_SITE_NONE;
}

/* Site of the call, if it is known; AT_SITE_NONE: it has to be walked. */
static inline __attribute__((always_inline)) uint32_t at_memo_find(const struct at_memo *memo, uint64_t frame,
                                                                   uint64_t stamp, uint32_t shape) {
  if (AT_UNLIKELY(memo->stamp != stamp)) return AT_SITE_NONE;
  return at_memo_lookup(memo, at_memo_key(memo, frame, shape).hash, frame, shape);
}

#endif
