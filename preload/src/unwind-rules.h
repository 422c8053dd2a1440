/*
 * unwind-rules.h - rules by return address, for the whole process.
 *
 * A fixed table without locks. An entry is three words; the first is made of the other two, the address and the stamp, so
 * that an entry caught half-written, or one of another time, fits no address.
 */
#ifndef TIDEMARK_UNWIND_RULES_H
#define TIDEMARK_UNWIND_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "alloc_trace.h"
#include "unwind-rule.h"

#define AT_RULES_BITS 13u

/* Frame of the library's own code: left out of stacks. */
#define AT_FRAME_OWN UINT64_MAX

struct at_rule_entry {
  uint64_t key;
  uint64_t rule;
  at_frame frame;
  uint64_t reserved;
};
extern struct at_rule_entry at_rules[1u << AT_RULES_BITS] __attribute__((visibility("hidden")));

static inline uint64_t at_rules_mix(uint64_t address) { return address * 0x9e3779b97f4a7c15ULL; }

static inline uint64_t at_rules_key(uint64_t mixed, uint64_t stamp, uint64_t rule, at_frame frame) {
  uint64_t content = rule * 0xd6e8feb86659fd93ULL + frame;
  return mixed ^ (stamp * 0xff51afd7ed558ccdULL) ^ (content ^ content >> 32);
}

static inline bool at_rules_find(uint64_t address, uint64_t stamp, uint64_t *rule, at_frame *frame) {
  uint64_t mixed = at_rules_mix(address);
  const struct at_rule_entry *entry = &at_rules[mixed >> (64 - AT_RULES_BITS)];
  for (int way = 0; way < 2; way++) {
    *rule = __atomic_load_n(&entry->rule, __ATOMIC_RELAXED);
    *frame = __atomic_load_n(&entry->frame, __ATOMIC_RELAXED);
    if (__atomic_load_n(&entry->key, __ATOMIC_RELAXED) == at_rules_key(mixed, stamp, *rule, *frame)) return true;
    entry = &at_rules[(mixed >> (64 - AT_RULES_BITS)) ^ 1];
  }
  return false;
}

/*
 * Rule and frame of a return address (of an interrupted instruction: its address + 1); made when they are not in the
 * table, which takes about a microsecond.
 */
void at_rules_get(uint64_t address, uint64_t stamp, uint64_t *rule, at_frame *frame);

#endif
