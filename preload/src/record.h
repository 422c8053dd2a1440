/*
 * record.h - what a call leaves in the ring. All of it keeps errno; none of it is to be called but between at_enter and the
 * thread's way out.
 */
#ifndef TIDEMARK_RECORD_H
#define TIDEMARK_RECORD_H

#include "thread.h"

/* After a successful or failed (block NULL) allocation. `frame` is the hook's __builtin_frame_address(0). */
void at_record_allocation(struct at_thread *self, const void *block, uint64_t bytes, const void *frame);

/* The same in exact mode, for a site that is known. */
void at_record_exact(struct at_thread *self, const void *block, uint64_t bytes, uint32_t site);

/* The same of a block that the sampler has taken, after its size was taken off at_lane.remaining. */
void at_record_sample(struct at_thread *self, const void *block, uint64_t bytes, const void *frame);

/* Before a block is given back. */
void at_record_free(struct at_thread *self, const void *block);

/* A block on its way through realloc. */
struct at_resize {
  struct at_live *entry; /* held; NULL: the block is not in the table */
};

/* Before and after the real realloc of a block that is not NULL. `to` NULL and `gone`: the block was freed. */
struct at_resize at_record_resize_begin(const void *block);
void at_record_resize_end(struct at_thread *self, struct at_resize resize, const void *from, const void *to, uint64_t bytes,
                          bool gone, const void *frame);

/*
 * Mappings are recorded exactly in every mode. `site` 0: the site of the caller. The site is returned; 0: it was dropped.
 */
uint32_t at_record_map(struct at_thread *self, uint64_t address, uint64_t bytes, uint32_t site, const void *frame);

/* The mapping recorded at this address, if there is one, ends. Its site, or 0. */
uint32_t at_record_unmap(struct at_thread *self, uint64_t address);

/* An allocation for which there is no room at all. */
void at_record_dropped(struct at_thread *self);

#endif
