/*
 * fuzz-ring.c - damages a ring file in all kinds of ways and reads it, again and again, in one process: built with sanitizers, which
 * end it when the reader touches what it must not.
 *
 *   fuzz-ring RING ROUNDS SEED
 */
#define _GNU_SOURCE
#include "ring-reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_CHANGES 8
#define MOST_EXTENTS 4096

struct extent {
  off_t start, end;
};
static struct extent extents[MOST_EXTENTS];
static int extent_count;
static uint64_t state;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

/* Copies what holds data; holes stay holes. */
static int copy_sparse(int from) {
  static char buffer[AT_GROUP];
  int to = memfd_create("ring", 0);
  off_t size = lseek(from, 0, SEEK_END);
  if (to < 0 || ftruncate(to, size) != 0) return -1;
  for (off_t at = 0; extent_count < MOST_EXTENTS;) {
    off_t start = lseek(from, at, SEEK_DATA);
    if (start < 0) break;
    off_t end = lseek(from, start, SEEK_HOLE);
    extents[extent_count++] = (struct extent){ start, end };
    for (off_t done = start; done < end; done += AT_GROUP) {
      size_t bytes = end - done < AT_GROUP ? (size_t)(end - done) : AT_GROUP;
      ssize_t got = pread(from, buffer, bytes, done);
      if (got <= 0 || pwrite(to, buffer, (size_t)got, done) != got) return -1;
    }
    at = end;
  }
  return to;
}

static uint64_t wild_value(uint64_t before) {
  static const uint64_t wild[] = { 0, 1, 2, 63, 64, 65, 4095, 65535, 65536, UINT32_MAX, 1ull << 31, 1ull << 32, 1ull << 48,
                                   INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 4095 };
  switch (next_random() % 4) {
    case 0: return before ^ (1ull << (next_random() % 64));
    case 1: return next_random();
    case 2: return before + next_random() % 16 - 8;
    default: return wild[next_random() % (sizeof wild / sizeof wild[0])];
  }
}

/* Most damage goes to the header, where counts and offsets are. */
static off_t some_place(void) {
  if (next_random() % 2) return (off_t)(next_random() % (sizeof(struct at_header) - 8));
  const struct extent *extent = &extents[next_random() % (uint64_t)extent_count];
  if (extent->end - extent->start <= 8) return extent->start;
  return extent->start + (off_t)(next_random() % (uint64_t)(extent->end - extent->start - 8));
}

static uint64_t checksum;

static void look_at(void *context, const struct at_live *entry, uint32_t level) {
  (void)context;
  checksum += entry->address + level;
}

static void read_all(int fd) {
  struct ring ring;
  struct ring_totals totals;
  struct ring_live_summary live;
  if (ring_adopt(&ring, fd) != NULL) return;
  ring_sum_lanes(&ring, &totals);
  ring_scan_live(&ring, &live, look_at, NULL);
  uint32_t sites = ring_site_count(&ring);
  struct ring_site *sums = calloc((size_t)sites + 1, sizeof *sums);
  ring_sum_sites(&ring, sums, sites);
  for (uint32_t i = 0; i < sites; i++) {
    struct at_site site;
    at_frame frame;
    if (ring_site(&ring, i, &site))
      for (uint32_t f = 0; f < site.depth && f < AT_MAX_FRAMES; f++)
        if (ring_frame(&ring, site.first_frame + f, &frame)) checksum += frame;
  }
  for (uint32_t i = 0; i < ring_module_count(&ring); i++) {
    struct at_module module;
    if (ring_module(&ring, i, &module)) checksum += strlen(module.path);
  }
  free(sums);
}

static void one_round(int fd, off_t size) {
  struct {
    off_t at;
    uint64_t before;
  } changes[MOST_CHANGES];
  int count = 1 + (int)(next_random() % MOST_CHANGES);
  for (int i = 0; i < count; i++) {
    uint64_t value;
    changes[i].at = some_place();
    if (pread(fd, &changes[i].before, 8, changes[i].at) != 8) changes[i].before = 0;
    value = wild_value(changes[i].before);
    if (pwrite(fd, &value, next_random() % 8 + 1, changes[i].at) < 0) abort();
  }
  read_all(fd);
  for (int i = count; i-- > 0;)
    if (pwrite(fd, &changes[i].before, 8, changes[i].at) != 8) abort();
  (void)size;
}

/* Shorter and shorter, down to nothing. */
static void truncate_slowly(int fd, off_t size) {
  while (size > 0) {
    size = (off_t)((uint64_t)size * 7 / 8) - (off_t)(next_random() % 5000);
    if (size < 0) size = 0;
    if (ftruncate(fd, size) != 0) abort();
    read_all(fd);
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int from = open(argv[1], O_RDONLY);
  if (from < 0) return 3;
  state = strtoull(argv[3], NULL, 10) * 2 + 1;
  uint64_t rounds = strtoull(argv[2], NULL, 10);
  off_t size = lseek(from, 0, SEEK_END);
  int fd = copy_sparse(from);
  if (fd < 0 || extent_count == 0) return 4;
  for (uint64_t i = 0; i < rounds; i++) one_round(fd, size);
  truncate_slowly(fd, size);
  printf("{\"rounds\":%" PRIu64 ",\"extents\":%d,\"checksum\":%" PRIu64 "}\n", rounds, extent_count, checksum);
  return 0;
}
