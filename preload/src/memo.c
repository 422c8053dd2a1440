#include "memo.h"

#include <string.h>

#include "modules.h"

#define PLACES_LIMIT 0xffff0000u
#define OFFSET_LIMIT 0xffffu

/* Bytes that circles of the process have grown by. */
static uint64_t grown;

static uint32_t growth(const struct at_memo *memo) {
  return memo->words > AT_MEMO_FIRST_WORDS ? (memo->words - AT_MEMO_FIRST_WORDS) * 8 : 0;
}

static void forget(struct at_memo *memo) {
  memo->head = 0;
  memset(memo->slots, 0, sizeof memo->slots);
}

void at_memo_clear(struct at_memo *memo) {
  __atomic_fetch_sub(&grown, growth(memo), __ATOMIC_RELAXED);
  memo->words = 0;
  memset(&memo->own, 0, sizeof memo->own);
  forget(memo);
}

/* A full circle: doubled, if the process may. */
static void grow(struct at_memo *memo) {
  uint64_t bytes = (uint64_t)memo->words * 8;
  if (memo->words >= AT_MEMO_WORDS) return;
  if (__atomic_add_fetch(&grown, bytes, __ATOMIC_RELAXED) > AT_MEMO_BUDGET) {
    __atomic_fetch_sub(&grown, bytes, __ATOMIC_RELAXED);
    return;
  }
  memo->words *= 2;
  forget(memo);
}

/* Place for `words` words in one piece. */
static uint32_t reserve(struct at_memo *memo, uint32_t words) {
  if (memo->words == 0) {
    memo->words = AT_MEMO_FIRST_WORDS;
    forget(memo);
  }
  /* once round; later turns do not ask again until the counter has gone far */
  if (memo->head != 0 && (memo->head & (memo->words - 1)) + words > memo->words && memo->head < 2 * memo->words)
    grow(memo);
  if (memo->head >= PLACES_LIMIT) forget(memo);
  uint32_t room = memo->words - (memo->head & (memo->words - 1));
  if (room < words) memo->head += room;
  uint32_t place = memo->head;
  memo->head += words;
  return place;
}

/* Highest offset of the walk's words; above OFFSET_LIMIT when the entry cannot hold it. */
static uint64_t reach_of(const struct at_walk *walk, uint64_t frame) {
  uint64_t reach = 0;
  for (uint32_t i = 0; i < walk->word_count; i++) {
    uint64_t offset = (walk->words[i].address - frame) / 8;
    if (offset > reach) reach = offset;
  }
  return reach;
}

/* Slot for the key: a dead one, or the oldest. Counts the entries that have the same key. */
static struct at_memo_slot *choose(struct at_memo *memo, struct at_memo_key key, uint64_t stamp, uint64_t where,
                                   uint32_t *alike) {
  struct at_memo_slot *set = &memo->slots[at_memo_set(key.hash)];
  struct at_memo_slot *chosen = NULL;
  *alike = 0;
  for (uint32_t way = 0; way < AT_MEMO_WAYS; way++) {
    const uint64_t *entry = set[way].tag == 0 ? NULL : at_memo_entry(memo, &set[way]);
    bool dead = entry == NULL || entry[0] != stamp;
    if (dead) set[way].tag = 0;
    else if (set[way].tag == at_memo_tag(key.hash) && entry[1] == where) ++*alike;
    if (chosen != NULL && chosen->tag == 0) continue;
    if (dead || chosen == NULL || memo->head - set[way].place > memo->head - chosen->place) chosen = &set[way];
  }
  return chosen;
}

void at_memo_put(struct at_memo *memo, uint64_t frame, uint64_t stamp, uint32_t shape, const struct at_walk *walk,
                 uint32_t site) {
  if (!walk->repeatable || walk->word_count == 0 || (stamp & AT_STAMP_CLOSING) != 0) return;
  uint64_t reach = reach_of(walk, frame);
  if (reach > OFFSET_LIMIT) return;
  uint32_t count = walk->word_count;
  uint64_t where = (uint64_t)shape << 48 | frame;
  uint32_t alike;
  struct at_memo_key key = at_memo_key(memo, frame, stamp, shape);
  choose(memo, key, stamp, where, &alike);
  if (alike >= 2 && key.length < AT_MEMO_DEEPEST) {
    at_rules_deepen(key.last, stamp);
    key = at_memo_key(memo, frame, stamp, shape);
  }
  uint32_t place = reserve(memo, AT_MEMO_HEAD + count + (count + 3) / 4);
  struct at_memo_slot *slot = choose(memo, key, stamp, where, &alike);
  uint64_t *entry = &memo->circle[place & (memo->words - 1)];
  entry[0] = stamp;
  entry[1] = where;
  entry[2] = site | (uint64_t)count << 32 | reach << 48;
  uint16_t *offsets = (uint16_t *)(entry + AT_MEMO_HEAD + count);
  for (uint32_t i = 0; i < count; i++) {
    entry[AT_MEMO_HEAD + i] = walk->words[i].value;
    offsets[i] = (uint16_t)((walk->words[i].address - frame) / 8);
  }
  *slot = (struct at_memo_slot){at_memo_tag(key.hash), place};
}
