/*
 * unwind.h - walks a stack.
 *
 * No address is read that is not known to be mapped: the thread's own stack, from a frame it is running in up to its
 * end, was looked at page by page before; elsewhere (fibers, signal stacks, frames that lead astray) each page is looked
 * at in each walk. Frames without tables (generated code) are followed by the frame pointer.
 */
#ifndef TIDEMARK_UNWIND_H
#define TIDEMARK_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

#include "alloc_trace.h"

/* Two words a frame, and the first frame's own. */
#define AT_MAX_WORDS (2u * AT_MAX_FRAMES + 2u)

struct at_word {
  uint64_t address;
  uint64_t value;
};

/* Part of the thread's own stack that is known to be mapped as long as the thread runs. All 0: nothing is known. */
struct at_own_stack {
  uint64_t low;
  uint64_t high;
  uint64_t refused; /* do not try again for stack pointers above this */
};

struct at_walk {
  at_frame frames[AT_MAX_FRAMES]; /* innermost first */
  uint32_t depth;
  bool truncated;

  /* Every word of the stack that the outcome depends on. Not complete when `repeatable` is false. */
  bool repeatable;
  uint32_t word_count;
  struct at_word *words; /* AT_MAX_WORDS; NULL: nobody wants them */

  uint64_t low; /* readable now */
  uint64_t high;
};

void at_unwind_init(void);

/* Extends what is known of the thread's own stack to `sp`, if that is where it points. */
void at_unwind_own(struct at_own_stack *own, uint64_t sp);

/* Whether all pages of [low, high) can be read. */
bool at_unwind_readable(uint64_t low, uint64_t high);

/*
 * Walks from the frame of an exported hook: rbp of the hook's caller is at `hook_frame`, the return address behind it.
 * `own` is what is known of the thread's stack, or NULL. Sets all of `walk` but `words`.
 */
void at_unwind(struct at_walk *walk, const void *hook_frame, const struct at_own_stack *own, uint64_t stamp,
               uint32_t max_frames);

#endif
