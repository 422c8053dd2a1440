/*
 * unwind-rule.h - how to get from a frame to its caller, in 64 bits.
 *
 *   bits 0-3    enum at_rule_kind
 *   bits 5-17   where the caller's rbp is: enum at_saved_kind (2 bits), offset in words (11 bits, signed)
 *   bits 18-30  the same of rbx
 *   bits 32-63  offset of the canonical frame address (CFA), signed
 *
 * The return address is always at CFA - 8: a rule that would need another place is AT_RULE_LOST.
 */
#ifndef TIDEMARK_UNWIND_RULE_H
#define TIDEMARK_UNWIND_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum at_rule_kind {
  AT_RULE_POINTER = 0, /* no table: by the frame pointer */
  AT_RULE_END = 1,     /* outermost frame */
  AT_RULE_SIGNAL = 2,  /* return trampoline of a signal handler: the interrupted registers are on the stack */
  AT_RULE_LOST = 3,    /* the table says something that cannot be followed */
  AT_RULE_RSP = 4,     /* CFA = rsp + offset */
  AT_RULE_RBP = 5,     /* CFA = rbp + offset */
  AT_RULE_RBX = 6,     /* CFA = rbx + offset */
  AT_RULE_AT_RBP = 7,  /* CFA = word at (rbp + offset / 256) + offset % 256: realigned frames */
  AT_RULE_AT_RSP = 8,  /* CFA = word at (rsp + offset / 256) + offset % 256 */
};

enum at_saved_kind {
  AT_SAVED_SAME = 0,   /* not changed by the frame */
  AT_SAVED_CFA = 1,    /* at CFA + 8 * offset */
  AT_SAVED_RBP = 2,    /* at the frame's rbp + 8 * offset */
  AT_SAVED_UNKNOWN = 3 /* lost */
};

#define AT_SAVED_LIMIT 1024

static inline uint32_t at_rule_kind(uint64_t rule) { return (uint32_t)rule & 15u; }
static inline int64_t at_rule_offset(uint64_t rule) { return (int64_t)rule >> 32; }

/* 13 bits of a saved register. */
static inline uint32_t at_saved(uint32_t kind, int64_t words) { return kind | (((uint32_t)words & 0x7ffu) << 2); }
static inline uint32_t at_saved_kind(uint32_t saved) { return saved & 3u; }
static inline int64_t at_saved_bytes(uint32_t saved) { return (int64_t)((int32_t)(saved << 19) >> 21) * 8; }

static inline uint32_t at_rule_rbp(uint64_t rule) { return (uint32_t)(rule >> 5) & 0x1fffu; }
static inline uint32_t at_rule_rbx(uint64_t rule) { return (uint32_t)(rule >> 18) & 0x1fffu; }

static inline uint64_t at_rule(uint32_t kind, int64_t offset, uint32_t rbp, uint32_t rbx) {
  return kind | ((uint64_t)rbp << 5) | ((uint64_t)rbx << 18) | ((uint64_t)offset << 32);
}

#endif
