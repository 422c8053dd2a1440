/*
 * sampler-test.c - the arithmetic of sampling by itself: functions against those of libm, and the estimates over 1,000 seeds while the
 * interval changes: their bias, and how often the intervals of 95 % hold the truth.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "force.h"
#include "sampler.h"
#include "settings.h"

/* What sampler.c needs of the library. */
union at_header_page at_header_page;
struct at_ring at_ring = { .header = &at_header_page.header };
struct at_force at_force;
struct at_settings at_settings;
bool at_clock_counter;
uint64_t at_clock_now(void) { return 1; }

enum { SEEDS = 1000, BLOCKS = 40000, INTERVALS = 3 };
static const uint64_t means[INTERVALS + 1] = { 0, 4096, 16384, 65536 };

struct sums {
  double count, bytes, variance_count, variance_bytes;
};

static uint64_t pattern;

/* The same blocks for every seed: mixed sizes, two thirds freed again; the large ones are rare. */
static uint64_t next_block(int *freed) {
  pattern = pattern * 6364136223846793005ull + 1442695040888963407ull;
  uint64_t random = pattern >> 33;
  *freed = random % 3 != 0;
  switch (random % 101) {
    case 0: return 20000 + random % 300000;
    case 1: case 2: case 3: return 2000 + random % 8000;
    default: return 64 + random % 700;
  }
}

static void add(struct sums *sums, uint64_t size, uint32_t interval) {
  struct at_weight weight = at_sampler_weight(size, interval);
  sums->count += weight.count;
  sums->bytes += weight.bytes;
  sums->variance_count += weight.variance_count;
  sums->variance_bytes += weight.variance_bytes;
}

/* One process: either by distances along the stream of bytes, as a lane does, or by tosses, as lane 0 does. */
static struct sums estimate(uint64_t seed, int by_tosses, struct sums *truth) {
  struct at_lane lane;
  struct sums sums = { 0 };
  memset(&lane, 0, sizeof lane);
  memset(truth, 0, sizeof *truth);
  at_settings.seed = seed;
  at_force.interval = 1;
  at_sampler_start(&lane, 1);
  pattern = 42;
  for (int block = 0; block < BLOCKS; block++) {
    uint32_t interval = 1 + (uint32_t)(block / 1000) % INTERVALS;
    int freed, sampled;
    uint64_t size = next_block(&freed);
    if (interval != at_force.interval) {
      at_force.interval = interval;
      at_sampler_next(&lane, interval);
    }
    if (by_tosses) {
      sampled = at_sampler_toss(&lane, size, interval);
    } else {
      lane.remaining -= (int64_t)size;
      sampled = lane.remaining < 0;
      if (sampled) at_sampler_next(&lane, interval);
    }
    if (freed) continue;
    truth->count++;
    truth->bytes += (double)size;
    if (sampled) add(&sums, size, interval);
  }
  return sums;
}

static int failures;

static void must(int condition, const char *what, double value) {
  if (condition) return;
  failures++;
  fprintf(stderr, "%s: %g\n", what, value);
}

static void check_estimates(int by_tosses) {
  const char *name = by_tosses ? "tosses" : "distances";
  double count = 0, bytes = 0, covered_count = 0, covered_bytes = 0, squares = 0, variances = 0;
  struct sums truth;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct sums one = estimate(seed, by_tosses, &truth);
    double error_bytes = one.bytes - truth.bytes, error_count = one.count - truth.count;
    count += error_count / truth.count / SEEDS;
    bytes += error_bytes / truth.bytes / SEEDS;
    covered_count += fabs(error_count) <= 1.959964 * sqrt(one.variance_count);
    covered_bytes += fabs(error_bytes) <= 1.959964 * sqrt(one.variance_bytes);
    squares += error_bytes * error_bytes / SEEDS;
    variances += one.variance_bytes / SEEDS;
  }
  printf("{\"by\":\"%s\",\"liveBytes\":%.0f,\"biasOfBytes\":%.5f,\"biasOfCount\":%.5f,\"coverageOfBytes\":%.3f,"
         "\"coverageOfCount\":%.3f,\"varianceStated\":%.4g,\"varianceSeen\":%.4g}\n",
         name, truth.bytes, bytes, count, covered_bytes / SEEDS, covered_count / SEEDS, variances, squares);
  must(fabs(bytes) < 0.005, "bias of live bytes", bytes);
  must(fabs(count) < 0.005, "bias of the count", count);
  must(covered_bytes >= 0.93 * SEEDS && covered_bytes <= 0.97 * SEEDS, "coverage of bytes", covered_bytes);
  must(covered_count >= 0.93 * SEEDS && covered_count <= 0.97 * SEEDS, "coverage of the count", covered_count);
  /* The variance of a variance over 1,000 seeds is some 5 %. */
  must(fabs(variances / squares - 1) < 0.2, "variance stated against variance seen", variances / squares);
}

static void check_functions(void) {
  for (double x = 1e-300; x <= 1; x *= 1.000917) {
    double log_seen = at_sampler_log(x), log_true = log(x);
    must(fabs(log_seen - log_true) <= 1e-14 * (1 + fabs(log_true)), "logarithm of", x);
  }
  for (double x = 1e-12; x < 1e4; x *= 1.000917) {
    double chance = at_sampler_chance(x), expected = -expm1(-x);
    must(fabs(chance - expected) <= 2e-14 * expected, "chance of", x);
  }
  must(at_sampler_chance(0) == 0, "chance of a block of no bytes", at_sampler_chance(0));
  must(at_sampler_log(1) == 0, "logarithm of 1", at_sampler_log(1));
  struct at_weight nothing = at_sampler_weight(0, 1), huge = at_sampler_weight(1ull << 60, 1);
  must(isfinite(nothing.count) && isfinite(nothing.bytes), "weight of a block of no bytes", nothing.count);
  must(huge.count == 1 && huge.variance_bytes == 0, "weight of a block that is always sampled", huge.count);
}

/* The gaps of distances are exponential: mean R and variance R squared. */
static void check_gaps(void) {
  enum { GAPS = 1000000 };
  struct at_lane lane;
  memset(&lane, 0, sizeof lane);
  at_settings.seed = 99;
  at_force.interval = 2;
  at_sampler_start(&lane, 3);
  double sum = 0, squares = 0;
  for (int i = 0; i < GAPS; i++) {
    at_sampler_next(&lane, 2);
    must(lane.remaining >= 0, "a gap", (double)lane.remaining);
    sum += (double)lane.remaining / GAPS;
    squares += (double)lane.remaining * (double)lane.remaining / GAPS;
  }
  double mean = (double)means[2];
  must(fabs(sum / mean - 1) < 0.004, "mean of the gaps", sum / mean);
  must(fabs((squares - sum * sum) / (mean * mean) - 1) < 0.02, "variance of the gaps", squares);
}

int main(void) {
  memcpy(at_header_page.header.intervals, means, sizeof means);
  check_functions();
  check_gaps();
  check_estimates(0);
  check_estimates(1);
  return failures ? 1 : 0;
}
