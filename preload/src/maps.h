/*
 * maps.h - which anonymous mappings are recorded, so that a part of one can be found when it goes.
 */
#ifndef TIDEMARK_MAPS_H
#define TIDEMARK_MAPS_H

#include "thread.h"

#define AT_MAPS_PARTS 8u

/* What was taken out of the record, in case the kernel refuses the call. */
struct at_maps_taken {
  uint32_t count;
  struct {
    uint64_t start;
    uint64_t end;
    uint32_t site;
  } parts[AT_MAPS_PARTS];
};

/* A new mapping. `site` 0: that of the caller, by its frame. */
void at_maps_add(struct at_thread *self, uint64_t start, uint64_t bytes, uint32_t site, const void *frame);

/*
 * The range [start, end) is going to be unmapped. A mapping of which some is left counts as a free of all of it and an
 * allocation, at the same site, of each rest.
 */
void at_maps_take(struct at_thread *self, uint64_t start, uint64_t end, struct at_maps_taken *taken);

/* The call was refused: what was taken is there as before. */
void at_maps_return(struct at_thread *self, const struct at_maps_taken *taken);

/* Nothing is recorded: a forked child, or a new activation. */
void at_maps_forget(void);

#endif
