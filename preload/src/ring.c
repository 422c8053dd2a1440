#include "ring.h"

#include <errno.h>
#include <sys/mman.h>

#include "extend.h"
#include "file.h"
#include "populate.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* In initialised data, because its mode must not be 0 before the library is set up. */
union at_header_page at_header_page __attribute__((aligned(4096))) = {
    .header.control.mode = AT_MODE_UNREADY,
};

struct at_ring at_ring = {.header = &at_header_page.header, .max_frames = AT_MAX_FRAMES};

/* After a refusal so many attempts are not made, so that a full file system does not cost a system call each time. */
#define ATTEMPTS_LEFT_OUT 1024u

static uint32_t left_out;
static bool cannot_populate; /* the kernel has no MADV_POPULATE_WRITE (before 5.14) */
static uint8_t open_regions; /* bits of modules, sites, frames, (lanes), live[0]: accessible */

void at_populate_forget(void) {
  left_out = 0;
  open_regions = 0;
}

void at_populate_retry(void) {
  __atomic_store_n(&left_out, 0, __ATOMIC_RELAXED);
}

bool at_populate_refuse(uint32_t refusal) {
  __atomic_store_n(&left_out, ATTEMPTS_LEFT_OUT, __ATOMIC_RELAXED);
  __atomic_store_n(&at_ring.header->refusal, refusal, __ATOMIC_RELAXED);
  return false;
}

bool at_populate_holds_back(void) {
  uint32_t waits = __atomic_load_n(&left_out, __ATOMIC_RELAXED);
  if (AT_LIKELY(waits == 0)) return false;
  __atomic_store_n(&left_out, waits - 1, __ATOMIC_RELAXED);
  return true;
}

bool at_populate(struct at_part part, uint64_t bytes) {
  struct at_header *header = at_ring.header;
  if (at_populate_holds_back()) return false;
  uint64_t most = header->control.max_bytes;
  uint64_t has = __atomic_add_fetch(&header->populated_bytes, bytes, __ATOMIC_RELAXED);
  bool room = most == 0 || has <= most;
  if (room && !cannot_populate) {
    if (madvise(part.address, bytes, MADV_POPULATE_WRITE) == 0) return true;
    cannot_populate = errno == EINVAL;
  }
  if (room && cannot_populate && at_file_reserve(part.offset, bytes)) return true;
  __atomic_sub_fetch(&header->populated_bytes, bytes, __ATOMIC_RELAXED);
  return at_populate_refuse(AT_REFUSAL_SPACE);
}

bool at_populate_groups(unsigned char *bitmap, struct at_part part, uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return true;
  for (uint64_t group = offset / AT_GROUP; group <= (offset + bytes - 1) / AT_GROUP; group++) {
    unsigned char bit = (unsigned char)(1u << (group & 7));
    unsigned char *byte = bitmap + (group >> 3);
    if ((__atomic_load_n(byte, __ATOMIC_ACQUIRE) & bit) != 0) continue;
    struct at_part here = {part.address + group * AT_GROUP, part.offset + group * AT_GROUP};
    if (!at_populate(here, AT_GROUP)) return false;
    /* Two threads may have done it at once: the one that comes second takes its count back. */
    if ((__atomic_fetch_or(byte, bit, __ATOMIC_RELEASE) & bit) != 0)
      __atomic_sub_fetch(&at_ring.header->populated_bytes, AT_GROUP, __ATOMIC_RELAXED);
  }
  return true;
}

/* Where a region is mapped, accessible; NULL: it cannot be. */
static unsigned char *open_region(const struct at_region *region) {
  const struct at_region *all = &at_ring.header->modules;
  uint32_t number = 0;
  while (all[number].offset != region->offset || all[number].bytes != region->bytes)
    if (++number == 4 + AT_LEVELS) return NULL;
  if (number > 4) {
    uint32_t level = number - 4;
    unsigned char *mapped = at_extend_level(level);
    if (mapped != NULL) at_ring.live[level] = (struct at_live *)(void *)mapped;
    return mapped;
  }
  uint8_t bit = (uint8_t)(1u << number);
  unsigned char *address = at_ring.base + region->offset;
  if ((__atomic_load_n(&open_regions, __ATOMIC_RELAXED) & bit) != 0) return address;
  if (mprotect(address, region->bytes, PROT_READ | PROT_WRITE) != 0) return NULL;
  __atomic_fetch_or(&open_regions, bit, __ATOMIC_RELAXED);
  return address;
}

bool at_ring_use(const struct at_region *region, uint64_t offset, uint64_t bytes) {
  unsigned char *bitmap = at_ring.base + region->bitmap;
  uint64_t first = offset / AT_GROUP;
  bool in_one = (offset + bytes - 1) / AT_GROUP == first;
  if (AT_LIKELY(in_one && (__atomic_load_n(bitmap + (first >> 3), __ATOMIC_ACQUIRE) & (1u << (first & 7))) != 0)) return true;
  if (bytes > region->bytes || offset > region->bytes - bytes) return false;
  struct at_part part = {open_region(region), region->offset};
  return part.address != NULL && at_populate_groups(bitmap, part, offset, bytes);
}
