/*
 * layout.h - where the regions lie in a new ring file.
 */
#ifndef TIDEMARK_LAYOUT_H
#define TIDEMARK_LAYOUT_H

#include "ring.h"

/*
 * Fills in the regions and file_bytes: the largest layout that fits the limits of the process for files and address space.
 * false: even the smallest does not.
 */
bool at_layout(struct at_header *header);

/* Bytes at the beginning of the file that are mapped from the start: up to the first page of lane 0. */
uint64_t at_layout_first_part(const struct at_header *header);

/* Whether the limit of address space, if there is one, leaves the library so much. */
bool at_layout_may_map(uint64_t bytes);

#endif
