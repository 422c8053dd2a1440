/*
 * sampler.h - which calls are sampled, and what a sample stands for.
 *
 * Sample points lie on the stream of allocated bytes as a Poisson process with mean distance R, so that a block of s bytes is
 * sampled with P = 1 - exp(-s / R), and 1 / P is the number of blocks that it stands for (Horvitz-Thompson).
 */
#ifndef TIDEMARK_SAMPLER_H
#define TIDEMARK_SAMPLER_H

#include "ring.h"

/* A distance to the next sample point for the interval in force: from the lane's own generator, which is seeded on first use. */
void at_sampler_start(struct at_lane *lane, uint32_t index);
void at_sampler_next(struct at_lane *lane, uint32_t interval);

/* For calls of lane 0, which have no distance of their own: each by itself, with the same P. */
bool at_sampler_toss(struct at_lane *lane, uint64_t bytes, uint32_t interval);

struct at_weight {
  double count;
  double bytes;
  double variance_count;
  double variance_bytes;
};

/* The same for the block and for its free, at any time. */
struct at_weight at_sampler_weight(uint64_t bytes, uint32_t interval);

/* The arithmetic, for tests: natural logarithm of 0 < x <= 1, and 1 - exp(-x) of 0 <= x. */
double at_sampler_log(double x);
double at_sampler_chance(double x);

#endif
