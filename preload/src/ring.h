/*
 * ring.h - the mapped ring file, as the rest of the library sees it.
 *
 * All of it may be called inside a hook: nothing here allocates, locks or waits.
 */
#ifndef TIDEMARK_RING_H
#define TIDEMARK_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc_trace.h"

#define AT_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define AT_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Of this library alone, which lets the compiler reach it without the table of global offsets. */
#define AT_INTERNAL __attribute__((visibility("hidden")))

/*
 * Values of at_control.mode that only the library's own memory holds, never the file: while they stand, the page under
 * at_header_page is private. They make the one test of the hot path fail, so that the slow path looks.
 */
#define AT_MODE_UNREADY 0x80000000u /* not set up yet */
#define AT_MODE_PENDING 0x40000000u /* forked child that has not made a file of its own yet */

/*
 * The header page of the file, mapped over this page of the library's own data. Before there is a file, and when there
 * can be none, it is private memory, so that it can always be read and written.
 */
union at_header_page {
  struct at_header header;
  unsigned char bytes[AT_PAGE];
};
extern union at_header_page at_header_page AT_INTERNAL;

/*
 * What an active mode needs. The pointers are valid, and the regions readable and writable where at_ring_use has said so,
 * as long as an active mode lasts and after it: nothing is unmapped but in a forked child, where the addresses below are
 * not mapped (and not to be touched) until the child has a file of its own.
 */
struct at_ring {
  struct at_header *header; /* &at_header_page.header */
  unsigned char *base;      /* first part of the file, up to the first level of the table of blocks; NULL: no file */
  struct at_module *modules;
  struct at_site *sites;
  at_frame *frames;
  struct at_live *live[AT_LEVELS]; /* of the levels that are mapped; at_ring_use maps them */

  uint32_t epoch;      /* changes when a process gets a file of its own: what is remembered of the file before is void */
  uint32_t stacks;     /* enum at_stacks of the request in force, checked */
  uint32_t max_frames; /* 1 to AT_MAX_FRAMES, checked */
};
extern struct at_ring at_ring AT_INTERNAL;

/*
 * Makes sure that memory stands behind `bytes` bytes at `offset` of a region (or of a part with a bitmap), so that
 * touching them cannot fault. Cheap when it does already. false: there is none (no space, or the bound of the request):
 * the bytes must not be touched. May change errno.
 */
bool at_ring_use(const struct at_region *region, uint64_t offset, uint64_t bytes);

/* Ticks of the clock named in the header, not cached. */
uint64_t at_clock_now(void);

#endif
