#include "unwind.h"

#include <stddef.h>

#include "ring.h"
#include "unwind-rules.h"

/* A frame pointer further away than this is none. */
#define POINTER_LIMIT ((uint64_t)1 << 20)

#define STEP_LIMIT (4u * AT_MAX_FRAMES)

/* Where a register's value is: it is read when it is needed, so that no walk depends on words it has no use for. */
#define NOWHERE 1u

/* Registers that the kernel saved, from the stack pointer at the trampoline (struct ucontext of x86-64). */
enum { SIGNAL_RBP = 120, SIGNAL_RBX = 128, SIGNAL_RSP = 160, SIGNAL_RIP = 168 };

struct cursor {
  uint64_t pc; /* return address, or interrupted address + 1; 0: no caller */
  uint64_t sp;
  uint64_t rbp_at;
  uint64_t rbx_at;
};

/* Out of line: the first word of a page that was not looked at yet. */
static __attribute__((noinline)) bool reach(struct at_walk *walk, uint64_t address) {
  uint64_t page = address & ~(uint64_t)(AT_PAGE - 1);
  if (!at_unwind_readable(page, page + 1)) return false;
  if (page != walk->high) walk->low = page;
  walk->high = page + AT_PAGE;
  return true;
}

static inline __attribute__((always_inline)) bool read_word(struct at_walk *walk, uint64_t address, uint64_t *value) {
  if (address % 8 != 0) return false;
  if (AT_UNLIKELY(address < walk->low || address >= walk->high) && !reach(walk, address)) return false;
  *value = *(const uint64_t *)(uintptr_t)address;
  if (walk->words == NULL) return true;
  if (AT_UNLIKELY(walk->word_count == AT_MAX_WORDS)) walk->repeatable = false;
  else walk->words[walk->word_count++] = (struct at_word){address, *value};
  return true;
}

static inline uint64_t code_address(uint64_t value) {
#if defined(__aarch64__)
  register uint64_t x30 __asm__("x30") = value;
  __asm__("hint 7" : "+r"(x30)); /* xpaclri: without the signature that the address may carry */
  return x30;
#else
  return value;
#endif
}

/* Sets pc to 0 at the end of a chain; false: there is none. */
static bool step_pointer(struct at_walk *walk, struct cursor *cursor) {
  uint64_t pointer;
  uint64_t back;
  if (cursor->rbp_at == NOWHERE || !read_word(walk, cursor->rbp_at, &pointer)) return false;
  if (pointer == 0) {
    cursor->pc = 0;
    return true;
  }
  if (pointer < cursor->sp || pointer - cursor->sp > POINTER_LIMIT || !read_word(walk, pointer + 8, &back)) return false;
  cursor->pc = code_address(back);
  cursor->sp = pointer + 16;
  cursor->rbp_at = pointer;
  cursor->rbx_at = NOWHERE;
  return true;
}

#if defined(__x86_64__)
static bool step_signal(struct at_walk *walk, struct cursor *cursor) {
  uint64_t sp = cursor->sp;
  walk->repeatable = false; /* the interrupted stack may be anywhere */
  if (!read_word(walk, sp + SIGNAL_RIP, &cursor->pc) || !read_word(walk, sp + SIGNAL_RSP, &cursor->sp)) return false;
  cursor->pc += 1;
  cursor->rbp_at = sp + SIGNAL_RBP;
  cursor->rbx_at = sp + SIGNAL_RBX;
  return true;
}

static bool frame_address(struct at_walk *walk, const struct cursor *cursor, uint64_t rule, uint64_t *cfa) {
  int64_t offset = at_rule_offset(rule);
  uint64_t base = cursor->sp;
  switch (at_rule_kind(rule)) {
    case AT_RULE_RSP: break;
    case AT_RULE_RBP:
    case AT_RULE_AT_RBP:
      if (cursor->rbp_at == NOWHERE || !read_word(walk, cursor->rbp_at, &base)) return false;
      break;
    case AT_RULE_RBX:
      if (cursor->rbx_at == NOWHERE || !read_word(walk, cursor->rbx_at, &base)) return false;
      break;
    case AT_RULE_AT_RSP: break;
    default: return false;
  }
  if (at_rule_kind(rule) >= AT_RULE_AT_RBP) {
    if (!read_word(walk, base + (uint64_t)(offset >> 8), &base)) return false;
    offset &= 255;
  }
  *cfa = base + (uint64_t)offset;
  return true;
}

static inline __attribute__((always_inline)) bool saved_at(struct at_walk *walk, const struct cursor *cursor,
                                                            uint32_t saved, uint64_t cfa, uint64_t *at) {
  uint64_t base;
  switch (at_saved_kind(saved)) {
    case AT_SAVED_SAME: return true;
    case AT_SAVED_CFA: *at = cfa + (uint64_t)at_saved_bytes(saved); return true;
    case AT_SAVED_RBP:
      if (cursor->rbp_at == NOWHERE || !read_word(walk, cursor->rbp_at, &base)) return false;
      *at = base + (uint64_t)at_saved_bytes(saved);
      return true;
    default: *at = NOWHERE; return true;
  }
}

static inline __attribute__((always_inline)) bool step_table(struct at_walk *walk, struct cursor *cursor, uint64_t rule) {
  uint64_t cfa;
  if (AT_LIKELY(at_rule_kind(rule) == AT_RULE_RSP)) cfa = cursor->sp + (uint64_t)at_rule_offset(rule);
  else if (!frame_address(walk, cursor, rule, &cfa)) return false;
  if (cfa <= cursor->sp) return false;
  struct cursor next = {0, cfa, cursor->rbp_at, cursor->rbx_at};
  if (!read_word(walk, cfa - 8, &next.pc)) return false;
  if (!saved_at(walk, cursor, at_rule_rbp(rule), cfa, &next.rbp_at)) return false;
  if (!saved_at(walk, cursor, at_rule_rbx(rule), cfa, &next.rbx_at)) return false;
  *cursor = next;
  return true;
}
#endif

static inline __attribute__((always_inline)) bool step(struct at_walk *walk, struct cursor *cursor, uint64_t rule) {
#if defined(__x86_64__)
  if (AT_LIKELY(at_rule_kind(rule) >= AT_RULE_RSP)) return step_table(walk, cursor, rule);
  if (at_rule_kind(rule) == AT_RULE_SIGNAL) return step_signal(walk, cursor);
#endif
  return at_rule_kind(rule) == AT_RULE_POINTER && step_pointer(walk, cursor);
}

static void start(struct at_walk *walk, uint64_t frame, const struct at_own_stack *own) {
  walk->depth = 0;
  walk->truncated = false;
  walk->repeatable = true;
  walk->word_count = 0;
  walk->low = frame;
  walk->high = frame + 16;
  if (own == NULL || frame < own->low || frame >= own->high) return;
  walk->low = own->low;
  walk->high = own->high;
}

void at_unwind(struct at_walk *walk, const void *hook_frame, const struct at_own_stack *own, uint64_t stamp,
               uint32_t max_frames) {
  uint64_t frame = (uint64_t)(uintptr_t)hook_frame;
  struct cursor cursor = {0, frame + 16, frame, NOWHERE};
  start(walk, frame, own);
  if (!read_word(walk, frame + 8, &cursor.pc)) return;
  cursor.pc = code_address(cursor.pc);
  /* a stack that is not one could lead around in signal frames for ever */
  for (uint32_t steps = 0; cursor.pc != 0; steps++) {
    uint64_t rule;
    at_frame name;
    at_rules_get(cursor.pc, stamp, &rule, &name);
    if (name != AT_FRAME_OWN) {
      if (walk->depth == max_frames) {
        walk->truncated = true;
        return;
      }
      walk->frames[walk->depth++] = name;
    }
    if (at_rule_kind(rule) == AT_RULE_END) return;
    if (steps == STEP_LIMIT || !step(walk, &cursor, rule)) {
      walk->truncated = true;
      return;
    }
  }
}
