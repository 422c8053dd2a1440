#include "filter.h"

#include <string.h>

uint8_t at_filter[AT_FILTER_BYTES] __attribute__((aligned(4096)));
static bool used;

void at_filter_clear(bool perhaps) {
  if (used || perhaps) memset(at_filter, perhaps ? UINT8_MAX : 0, sizeof at_filter);
  used = perhaps;
  at_filter[at_filter_place(0)] = UINT8_MAX;
}

static void change(uint64_t address, int by) {
  uint8_t *place = &at_filter[at_filter_place(address)];
  uint8_t found = __atomic_load_n(place, __ATOMIC_RELAXED);
  do {
    if (found == UINT8_MAX || (by < 0 && found == 0)) return;
  } while (!__atomic_compare_exchange_n(place, &found, (uint8_t)(found + by), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

void at_filter_add(uint64_t address) {
  used = true;
  change(address, 1);
}

void at_filter_remove(uint64_t address) {
  change(address, -1);
}
