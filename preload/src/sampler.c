#include "sampler.h"

#include <string.h>

#include "clock.h"
#include "force.h"
#include "settings.h"

#define LN2 0.693147180559945309417232121458

static uint64_t mix(uint64_t z) {
  /* SplitMix64 (Steele, Lea, Flood 2014). */
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

static double uniform(uint64_t random) {
  return ((double)(random >> 11) + 0.5) * 0x1p-53;
}

/* x = m 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh((m - 1) / (m + 1)), whose series ends at 2e-15 there. */
double at_sampler_log(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  int exponent = (int)(bits >> 52) - 1023;
  bits = (bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
  double m;
  memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent++;
  }
  double f = (m - 1) / (m + 1), square = f * f, sum = 0;
  for (int k = 17; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return 2 * f * sum + exponent * LN2;
}

/* Below 1/2 by its own series, so that small blocks keep all digits; above by exp(-x) = exp(-x / 2^k)^(2^k). */
double at_sampler_chance(double x) {
  if (x > 50) return 1;
  int halvings = 0;
  while (x > 0.5) {
    x *= 0.5;
    halvings++;
  }
  double term = x, sum = 0;
  for (int k = 2; k <= 18; k++) {
    sum += term;
    term *= -x / k;
  }
  for (; halvings > 0; halvings--) sum = sum * (2 - sum); /* 1 - (1 - p)^2 */
  return sum;
}

static double mean_of(uint32_t interval) {
  uint64_t mean = at_ring.header->intervals[interval & AT_MAX_INTERVALS];
  return mean == 0 ? 1 : (double)mean;
}

static void seed(struct at_lane *lane, uint32_t index) {
  uint64_t base = at_settings.seed;
  if (base == 0) base = at_clock_read() ^ ((uint64_t)at_ring.header->pid << 32) ^ (uint64_t)(uintptr_t)lane;
  lane->random = mix(base + (uint64_t)(index + 1) * 0x9e3779b97f4a7c15ULL) | 1;
}

void at_sampler_start(struct at_lane *lane, uint32_t index) {
  if (lane->random == 0) seed(lane, index);
  if (at_force.interval != 0) at_sampler_next(lane, at_force.interval);
}

void at_sampler_next(struct at_lane *lane, uint32_t interval) {
  lane->random += 0x9e3779b97f4a7c15ULL;
  double gap = -mean_of(interval) * at_sampler_log(uniform(mix(lane->random)));
  lane->remaining = gap >= 9e18 ? INT64_MAX : (int64_t)gap;
}

bool at_sampler_toss(struct at_lane *lane, uint64_t bytes, uint32_t interval) {
  if (lane->random == 0) seed(lane, 0);
  uint64_t state = __atomic_add_fetch(&lane->random, 0x9e3779b97f4a7c15ULL, __ATOMIC_RELAXED);
  return uniform(mix(state)) < at_sampler_chance((double)bytes / mean_of(interval));
}

struct at_weight at_sampler_weight(uint64_t bytes, uint32_t interval) {
  double size = (double)bytes;
  double chance = at_sampler_chance(size / mean_of(interval));
  if (chance <= 0) chance = 1; /* a block of no bytes is never sampled */
  double spread = (1 - chance) / (chance * chance);
  return (struct at_weight){1 / chance, size / chance, spread, size * size * spread};
}
