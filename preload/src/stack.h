/*
 * stack.h - which site a call comes from.
 *
 * The caller's stack is walked with the tables that the compiler left for exceptions (.eh_frame), interned, and remembered
 * per thread: the next call with the same words on its stack gets the same site without a walk. Nothing here allocates,
 * locks or waits; all of it may run in signal handlers, and while other threads load and unload objects.
 */
#ifndef TIDEMARK_STACK_H
#define TIDEMARK_STACK_H

#include <stddef.h>
#include <stdint.h>

struct at_stack_state;

/*
 * Looks for what the C library offers, and takes note of the objects that are loaded. Once, outside of any hook and before
 * the first at_stack_site; not in forked children.
 */
void at_stack_init(void);

/*
 * Bytes of what is remembered for one thread: zeroed anonymous memory, aligned to 64, of which only what is used is touched.
 * It belongs to the thread whose stack it was used on; before another thread gets it, it must be zero again, or
 * at_stack_leave must have been called.
 */
size_t at_stack_state_bytes(void);
void at_stack_leave(struct at_stack_state *state);

/*
 * Site of the call into the exported hook whose __builtin_frame_address(0) is `hook_frame`, in at_ring as it stands.
 *
 * `state` is NULL for calls that interrupted another one in the same thread, and for threads without one: they walk.
 * `flags` are enum at_site_flags to be added (AT_SITE_MAP). AT_SITE_OVERFLOW when there is no room for another site, which is counted
 * in at_header.dropped_sites. Keeps errno.
 */
uint32_t at_stack_site(struct at_stack_state *state, const void *hook_frame, uint32_t flags);

/* Calls of this thread that had to walk, and those that did not (0 unless built with AT_STACK_COUNT_HITS). */
struct at_stack_figures {
  uint64_t walks;
  uint64_t hits;
};
struct at_stack_figures at_stack_figures(const struct at_stack_state *state);

#endif
