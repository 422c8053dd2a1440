#define _GNU_SOURCE
#include "extend.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layout.h"
#include "populate.h"

static unsigned char *first_of_lanes;
static unsigned char *first_of_levels; /* of level 1 */
static unsigned char *lanes[AT_MAX_LANES];
static unsigned char *levels[AT_LEVELS];
static uint64_t mapped;

static unsigned char *keep_private(void *address, uint64_t bytes) {
  if (address == MAP_FAILED) return NULL;
  /* Neither children nor core files get it. */
  madvise(address, bytes, MADV_DONTFORK);
  madvise(address, bytes, MADV_DONTDUMP);
  return address;
}

unsigned char *at_extend_map(int file, uint64_t offset, uint64_t bytes) {
  return keep_private((void *)syscall(SYS_mmap, NULL, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, file, offset), bytes);
}

void at_extend_begin(unsigned char *lane, unsigned char *level, uint64_t bytes) {
  at_extend_forget();
  first_of_lanes = lane;
  first_of_levels = level;
  mapped = bytes;
}

/* Whoever comes second with the same piece takes his own away again: nobody waits. */
static unsigned char *extend(unsigned char *page, uint64_t bytes, unsigned char **slot) {
  if (at_populate_holds_back()) return NULL;
  uint64_t all = bytes + AT_PAGE;
  uint64_t most = __atomic_add_fetch(&mapped, all, __ATOMIC_RELAXED);
  unsigned char *made = NULL;
  if (at_layout_may_map(most)) made = keep_private((void *)syscall(SYS_mremap, page, 0, all, MREMAP_MAYMOVE), all);
  if (made != NULL && mprotect(made, bytes, PROT_READ | PROT_WRITE) != 0) {
    syscall(SYS_munmap, made, all);
    made = NULL;
  }
  unsigned char *found = NULL;
  if (made != NULL && __atomic_compare_exchange_n(slot, &found, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return made;
  __atomic_sub_fetch(&mapped, all, __ATOMIC_RELAXED);
  if (made != NULL) syscall(SYS_munmap, made, all);
  if (found == NULL) at_populate_refuse(AT_REFUSAL_ADDRESS);
  return found;
}

unsigned char *at_extend_lane_if_mapped(uint32_t number) {
  return __atomic_load_n(&lanes[number], __ATOMIC_ACQUIRE);
}

unsigned char *at_extend_lane(uint32_t number) {
  uint32_t next = number;
  while (next > 0 && at_extend_lane_if_mapped(next) == NULL) next--;
  for (; next <= number; next++) {
    if (at_extend_lane_if_mapped(next) != NULL) continue;
    unsigned char *page = next == 0 ? first_of_lanes : lanes[next - 1] + AT_LANE_BYTES;
    if (extend(page, AT_LANE_BYTES, &lanes[next]) == NULL) return NULL;
  }
  return lanes[number];
}

unsigned char *at_extend_level(uint32_t level) {
  unsigned char *found = __atomic_load_n(&levels[level], __ATOMIC_ACQUIRE);
  if (found != NULL || first_of_levels == NULL) return found;
  const struct at_region *regions = at_ring.header->live;
  if (level > 1 && levels[level - 1] == NULL) return NULL;
  unsigned char *page = level == 1 ? first_of_levels : levels[level - 1] + regions[level - 1].bytes;
  return extend(page, regions[level].bytes, &levels[level]);
}

static void replace(void *address, uint64_t bytes) {
  static const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  if (address != NULL) syscall(SYS_mmap, address, bytes, PROT_READ | PROT_WRITE, flags, -1, 0L);
}

void at_extend_replace(void) {
  replace(at_ring.base, at_layout_first_part(at_ring.header));
  for (uint32_t i = 0; i < AT_MAX_LANES; i++) replace(lanes[i], AT_LANE_BYTES);
  for (uint32_t i = 1; i < AT_LEVELS; i++) replace(levels[i], at_ring.header->live[i].bytes);
}

void at_extend_forget(void) {
  memset(lanes, 0, sizeof lanes);
  memset(levels, 0, sizeof levels);
}
