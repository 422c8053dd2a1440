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

#endif
