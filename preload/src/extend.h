/*
 * extend.h - maps more of the ring file without its descriptor, which is long closed.
 *
 * A shared mapping can be made a second time, and longer, from any page of it (mremap with an old size of 0). Lanes and levels lie
 * one behind the other in the file: each is mapped with the first page of the next, so that the next can be made from it. A process
 * that is not traced, or has few threads and blocks, so takes little address space.
 */
#ifndef TIDEMARK_EXTEND_H
#define TIDEMARK_EXTEND_H

#include "ring.h"

/* Maps a range of the file without access, for this process alone; NULL: the kernel refuses. */
unsigned char *at_extend_map(int file, uint64_t offset, uint64_t bytes);

/* The first pages of lane 0 and of level 1 (NULL: there is no level 1), and how much is mapped. */
void at_extend_begin(unsigned char *lane, unsigned char *level, uint64_t mapped);

/* Mapped and accessible, but perhaps without memory; NULL and a refusal: there is no address space. May change errno. */
unsigned char *at_extend_lane(uint32_t number);
unsigned char *at_extend_level(uint32_t level);
unsigned char *at_extend_lane_if_mapped(uint32_t number);

/* In a forked child: private memory in place of everything, or nothing there. */
void at_extend_replace(void);
void at_extend_forget(void);

#endif
