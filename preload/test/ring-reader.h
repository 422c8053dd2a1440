/*
 * ring-reader.h - reads a ring file by its definition alone. It shares no code with the library, so that what one gets
 * wrong the other shows. Every offset and count of the file is taken for hostile.
 */
#ifndef RING_READER_H
#define RING_READER_H

#include "../include/alloc_trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
  int fd;
  uint64_t bytes; /* of the file as it is, whatever its header says */
  struct at_header header;
};

/* Sums over all lanes that belong to the present activation. */
struct ring_totals {
  uint64_t allocations, frees, passed_allocations, passed_frees;
  uint64_t cancelled, dropped, unmatched_frees, failed;
  uint64_t lanes_used, lanes_owned;
};

/* Sums of one site over all lanes. */
struct ring_site {
  struct at_site_counts counts;
  struct at_site_estimates estimates;
};

struct ring_live_summary {
  uint64_t blocks, bytes, samples; /* samples: blocks that stand for more than themselves */
  uint64_t busy, torn;             /* entries being written; entries whose check does not fit */
  uint64_t stale;                  /* left by an earlier activation */
};

typedef void ring_live_visitor(void *context, const struct at_live *entry, uint32_t level);

/* Opens the file and its header; NULL, or what is wrong with it. */
const char *ring_open(struct ring *ring, const char *path);
/* The same of a descriptor that stays the caller's. */
const char *ring_adopt(struct ring *ring, int fd);
void ring_close(struct ring *ring);

/* Reads the header again; whether it is still one. */
bool ring_refresh(struct ring *ring);

/* Reads as much as there is and fills up with zeros; whether anything was there. */
bool ring_read(const struct ring *ring, uint64_t offset, void *to, size_t bytes);

bool ring_module(const struct ring *ring, uint32_t index, struct at_module *module);
bool ring_site(const struct ring *ring, uint32_t index, struct at_site *site);
bool ring_frame(const struct ring *ring, uint32_t index, at_frame *frame);
bool ring_lane(const struct ring *ring, uint32_t index, struct at_lane *lane);

/* Published entries, cut down to what the regions can hold. */
uint32_t ring_module_count(const struct ring *ring);
uint32_t ring_site_count(const struct ring *ring);
uint32_t ring_frame_count(const struct ring *ring);

void ring_sum_lanes(const struct ring *ring, struct ring_totals *totals);
/* Adds what every lane says of the sites 0 to count - 1. */
void ring_sum_sites(const struct ring *ring, struct ring_site *sites, uint32_t count);
/* Visits every whole entry; `visit` may be NULL. */
void ring_scan_live(const struct ring *ring, struct ring_live_summary *summary, ring_live_visitor *visit, void *context);

/* Prints every size, offset and constant of alloc_trace.h as one JSON object. */
void ring_print_layout(void);

#endif
