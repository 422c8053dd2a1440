#include "memo.h"

#include <string.h>

#include "modules.h"
#include "unwind-rules.h"

#define PLACES_LIMIT 0xffff0000u
#define OFFSET_LIMIT 0xffffu

/* Bytes that circles of the process have grown by. */
static uint64_t grown;

static uint32_t growth(const struct at_memo *memo) {
  return memo->words > AT_MEMO_FIRST_WORDS ? (memo->words - AT_MEMO_FIRST_WORDS) * 8 : 0;
}

static void forget(struct at_memo *memo) {
  memo->head = 0;
  memset(memo->deep, 0, sizeof memo->deep);
  memset(memo->slots, 0, sizeof memo->slots);
}

void at_memo_clear(struct at_memo *memo) {
  __atomic_fetch_sub(&grown, growth(memo), __ATOMIC_RELAXED);
  memo->words = 0;
  memo->stamp = 0;
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

static bool owns(const struct at_memo *memo, uint64_t address) {
  return address % 8 == 0 && address >= memo->own.low && address < memo->own.high;
}

bool at_memo_same_foreign(const uint64_t *entry, uint64_t frame) {
  uint64_t count = (entry[1] & ~AT_MEMO_FOREIGN) >> 32;
  const uint64_t *values = entry + AT_MEMO_HEAD;
  const uint16_t *offsets = (const uint16_t *)(values + count);
  uint64_t known = 0; /* page that was looked at last */
  for (uint64_t i = 0; i < count; i++) {
    uint64_t address = frame + offsets[i] * 8u;
    if ((address ^ known) >= AT_PAGE && !at_unwind_readable(address, address + 8)) return false;
    known = address & ~(uint64_t)(AT_PAGE - 1);
    if (at_memo_word(address) != values[i]) return false;
  }
  return true;
}

/* Has keys that end at this address go one frame further from now on, if its rule is one of the simple ones. */
static void deepen(struct at_memo *memo, uint64_t address) {
  uint64_t rule;
  at_frame name;
  if (!at_rules_find(address, memo->stamp, &rule, &name)) return;
  uint32_t saved = at_saved_kind(at_rule_rbp(rule));
  if (at_rule_kind(rule) != AT_RULE_RSP && at_rule_kind(rule) != AT_RULE_RBP) return;
  if (at_rule_offset(rule) % 8 != 0 || saved == AT_SAVED_RBP || saved == AT_SAVED_UNKNOWN) return;
  struct at_memo_deep *deep = &memo->deep[at_memo_deep(address)];
  deep->address = address;
  deep->cfa = (int32_t)at_rule_offset(rule);
  deep->saved = saved == AT_SAVED_CFA ? (int16_t)at_saved_bytes(at_rule_rbp(rule)) : 0;
  deep->by_rbp = at_rule_kind(rule) == AT_RULE_RBP;
}

/* Slot for the key: a dead one, or the oldest. Counts the entries that have the same key. */
static struct at_memo_slot *choose(struct at_memo *memo, uint64_t hash, uint64_t where, uint32_t *alike) {
  struct at_memo_slot *set = &memo->slots[at_memo_set(hash)];
  struct at_memo_slot *chosen = NULL;
  *alike = 0;
  for (uint32_t way = 0; way < AT_MEMO_WAYS; way++) {
    const uint64_t *entry = set[way].tag == 0 ? NULL : at_memo_entry(memo, &set[way]);
    if (entry == NULL) set[way].tag = 0;
    else if (set[way].tag == at_memo_tag(hash) && entry[0] == where) ++*alike;
    if (chosen != NULL && chosen->tag == 0) continue;
    if (entry == NULL || chosen == NULL || memo->head - set[way].place > memo->head - chosen->place) chosen = &set[way];
  }
  return chosen;
}

static void write_entry(struct at_memo *memo, uint32_t place, uint64_t where, const struct at_walk *walk, uint32_t site,
                        uint32_t count) {
  uint64_t frame = where & 0xffffffffffffu;
  uint64_t *values = &memo->circle[place & (memo->words - 1)] + AT_MEMO_HEAD;
  uint16_t *offsets = (uint16_t *)(values + count);
  uint64_t foreign = 0;
  for (uint32_t i = 0; i < count; i++) {
    const struct at_word *word = &walk->words[i < walk->word_count ? i : walk->word_count - 1];
    values[i] = word->value;
    offsets[i] = (uint16_t)((word->address - frame) / 8);
    if (!owns(memo, word->address)) foreign = AT_MEMO_FOREIGN;
  }
  values[-2] = where;
  values[-1] = site | (uint64_t)count << 32 | foreign;
}

void at_memo_put(struct at_memo *memo, uint64_t frame, uint64_t stamp, uint32_t shape, const struct at_walk *walk,
                 uint32_t site) {
  if (!walk->repeatable || walk->word_count == 0 || (stamp & AT_STAMP_CLOSING) != 0) return;
  if (frame >> 48 != 0 || reach_of(walk, frame) > OFFSET_LIMIT) return;
  if (memo->stamp != stamp) {
    forget(memo);
    memo->stamp = stamp;
  }
  uint32_t count = (walk->word_count + AT_MEMO_GROUP - 1) & ~(AT_MEMO_GROUP - 1);
  uint64_t where = at_memo_where(frame, shape);
  uint32_t alike;
  struct at_memo_key key = at_memo_key(memo, frame, shape);
  choose(memo, key.hash, where, &alike);
  /* a few candidates are told apart faster by their words than by a longer key */
  if (alike == AT_MEMO_WAYS) {
    deepen(memo, key.address);
    key = at_memo_key(memo, frame, shape);
  }
  uint32_t place = reserve(memo, AT_MEMO_HEAD + count + count / 4);
  struct at_memo_slot *slot = choose(memo, key.hash, where, &alike);
  write_entry(memo, place, where, walk, site, count);
  *slot = (struct at_memo_slot){at_memo_tag(key.hash), place};
}
