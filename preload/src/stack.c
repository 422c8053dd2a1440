#include "stack.h"

#include <errno.h>
#include <stdlib.h>

#include "memo.h"
#include "modules.h"
#include "sites.h"
#include "unwind-rules.h"
#include "unwind.h"

#define CALLERS_BITS 8u

/* Site of a return address, when only callers are asked for. As good for one thread as for another. */
struct caller {
  uint64_t address;
  uint64_t stamp;
  uint32_t flags;
  uint32_t site;
};

struct at_stack_state {
  uint64_t walks;
  uint64_t hits;
  struct at_memo memo;
  struct caller callers[1u << CALLERS_BITS];
  struct at_walk walk;
  struct at_word words[AT_MAX_WORDS];
};

size_t at_stack_state_bytes(void) { return sizeof(struct at_stack_state); }

void at_stack_leave(struct at_stack_state *state) {
  if (state->memo.own.low != 0 || state->memo.words != 0 || state->memo.own.refused != 0) at_memo_clear(&state->memo);
}

struct at_stack_figures at_stack_figures(const struct at_stack_state *state) {
  return (struct at_stack_figures){state->walks, state->hits};
}

void at_stack_init(void) {
  at_unwind_init();
  at_modules_init();
}

static uint32_t caller_site(struct at_stack_state *state, const void *hook_frame, uint32_t flags) {
  uint64_t stamp = at_stamp();
  uint64_t address = ((const uint64_t *)hook_frame)[1];
  struct caller *caller = NULL;
  if (state != NULL) {
    caller = &state->callers[at_rules_mix(address) >> (64 - CALLERS_BITS)];
    if (AT_LIKELY(caller->address == address && caller->stamp == stamp && caller->flags == flags)) return caller->site;
  }
  int kept = errno;
  uint64_t rule;
  at_frame frame;
  at_rules_get(address, stamp, &rule, &frame);
  if (frame == AT_FRAME_OWN) frame = AT_FRAME_ADDRESS(address);
  uint32_t site = at_sites_number(&frame, 1, flags | AT_SITE_CALLER);
  errno = kept;
  if (caller == NULL || site == AT_SITE_OVERFLOW || (stamp & AT_STAMP_CLOSING) != 0) return site;
  *caller = (struct caller){address, stamp, flags, site};
  return site;
}

static uint32_t site_of(const struct at_walk *walk, uint32_t flags) {
  int kept = errno;
  /* a stack of which nothing is known is still a stack */
  static const at_frame nothing = 0;
  uint32_t all = flags | (walk->truncated ? AT_SITE_TRUNCATED : 0u);
  uint32_t site = walk->depth == 0 ? at_sites_number(&nothing, 1, all | AT_SITE_TRUNCATED)
                                   : at_sites_number(walk->frames, walk->depth, all);
  errno = kept;
  return site;
}

static __attribute__((noinline)) uint32_t walk_alone(const void *hook_frame, uint32_t flags) {
  struct at_walk walk;
  walk.words = NULL;
  at_unwind(&walk, hook_frame, NULL, at_stamp(), at_ring.max_frames);
  return site_of(&walk, flags);
}

static __attribute__((noinline)) uint32_t walk_and_remember(struct at_stack_state *state, const void *hook_frame,
                                                            uint64_t stamp, uint32_t flags) {
  uint64_t frame = (uint64_t)(uintptr_t)hook_frame;
  state->walks++;
  at_unwind_own(&state->memo.own, frame);
  state->walk.words = state->words;
  at_unwind(&state->walk, hook_frame, &state->memo.own, stamp, at_ring.max_frames);
  uint32_t site = site_of(&state->walk, flags);
  if (site != AT_SITE_OVERFLOW) {
    at_memo_put(&state->memo, frame, stamp, at_ring.max_frames | flags << 7, &state->walk, site);
  }
  return site;
}

uint32_t at_stack_site(struct at_stack_state *state, const void *hook_frame, uint32_t flags) {
  if (at_ring.stacks == AT_STACKS_CALLER) return caller_site(state, hook_frame, flags);
  if (AT_UNLIKELY(state == NULL)) return walk_alone(hook_frame, flags);
  uint64_t stamp = at_stamp();
  uint32_t shape = at_ring.max_frames | flags << 7;
  uint32_t site = at_memo_find(&state->memo, (uint64_t)(uintptr_t)hook_frame, stamp, shape);
  if (AT_UNLIKELY(site == AT_SITE_NONE)) return walk_and_remember(state, hook_frame, stamp, flags);
#ifdef AT_STACK_COUNT_HITS
  state->hits++;
#endif
#ifdef AT_MEMO_VERIFY
  if (walk_alone(hook_frame, flags) != site) abort();
#endif
  return site;
}
