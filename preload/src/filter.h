/*
 * filter.h - says of most blocks that they are no sample, after one look.
 *
 * Bytes that count the sampled blocks of their hash value. A byte that is full stays so: it then only says "perhaps".
 */
#ifndef TIDEMARK_FILTER_H
#define TIDEMARK_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

#define AT_FILTER_BYTES 262144u

extern uint8_t at_filter[AT_FILTER_BYTES] AT_INTERNAL;

/* It says "no" of everything, or "perhaps": of NULL it always says "perhaps". */
void at_filter_clear(bool perhaps);
void at_filter_add(uint64_t address);
void at_filter_remove(uint64_t address);

static inline uint32_t at_filter_place(uint64_t address) {
  return (uint32_t)(((address >> 4) * 0x9e3779b97f4a7c15ULL) >> 46);
}

static inline bool at_filter_may_have(uint64_t address) {
  return __atomic_load_n(&at_filter[at_filter_place(address)], __ATOMIC_RELAXED) != 0;
}

#endif
