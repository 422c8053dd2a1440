/*
 * stack-stand.h - what the tests of the stacks need around them: a ring in plain memory, a hook to call, and stacks to
 * compare with.
 */
#ifndef STACK_STAND_H
#define STACK_STAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STAND_MAX_FRAMES 256

/* Empty regions, full stacks of 64 frames. Ends the program when there is no memory. */
void stand_start(void);
/* As a forked child that gets a file of its own. */
void stand_renew(void);
void stand_stacks(uint32_t stacks, uint32_t max_frames);
/* Entries that the sites' region has from now on. */
void stand_site_capacity(uint32_t sites);

/* State of the calling thread; made at its first call. */
struct at_stack_state *stand_state(void);

/* The exported hook: site of its caller. */
uint32_t stand_hook(void);
/* The same without a state. */
uint32_t stand_hook_alone(void);
/* The hook, compared with a walk without a state: must be the same site. */
uint32_t stand_hook_twice(void);
/*
 * The hook and libgcc's unwinder, compared frame by frame: must be the same addresses. Uses the state when `remember`.
 * A site that found no room is not compared.
 */
uint32_t stand_hook_compared(bool remember);
/* The same from a signal handler, where the walk must not use the state. */
void stand_compare_in_handler(void);

struct stand_figures {
  uint64_t compared; /* stacks that were compared and equal */
  uint64_t frames;
  uint64_t differing;
  uint64_t wrong_memo;
};
extern struct stand_figures stand_figures;

/* Absolute return addresses of a site; returns how many. */
size_t stand_frames(uint32_t site, uint64_t *addresses, uint32_t *flags);
const char *stand_path(uint32_t site, size_t frame);

/* Ends the program with status 1 and `what` when `condition` does not hold. */
void stand_must(bool condition, const char *what);

#ifdef __cplusplus
}
#endif

#endif
