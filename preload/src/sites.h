/*
 * sites.h - numbers for stacks: equal stacks have equal numbers, in all threads.
 *
 * The index is private and lock-free; frames and sites are appended to the ring. Two threads that enter the same stack at the
 * same moment may both take a number; one of them wins, and the other number is kept for the next stack.
 */
#ifndef TIDEMARK_SITES_H
#define TIDEMARK_SITES_H

#include <stdint.h>

#include "alloc_trace.h"

/*
 * Site of `depth` frames (1 to AT_MAX_FRAMES) with `flags` (enum at_site_flags). AT_SITE_OVERFLOW, and counted, when
 * there is no room. May change errno.
 */
uint32_t at_sites_number(const at_frame *frames, uint32_t depth, uint32_t flags);

#endif
