/* ring-reader.c - see ring-reader.h. */
#define _GNU_SOURCE
#include "ring-reader.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool ring_read(const struct ring *ring, uint64_t offset, void *to, size_t bytes) {
  memset(to, 0, bytes);
  if (offset >= ring->bytes) return false;
  if (bytes > ring->bytes - offset) bytes = (size_t)(ring->bytes - offset);
  size_t done = 0;
  while (done < bytes) {
    ssize_t got = pread(ring->fd, (char *)to + done, bytes - done, (off_t)(offset + done));
    if (got <= 0) break;
    done += (size_t)got;
  }
  return done > 0;
}

bool ring_refresh(struct ring *ring) {
  return ring_read(ring, 0, &ring->header, sizeof ring->header) && ring->header.magic == AT_MAGIC;
}

const char *ring_adopt(struct ring *ring, int fd) {
  struct stat status;
  ring->fd = fd;
  if (fstat(fd, &status) != 0 || status.st_size < 0) return "cannot be examined";
  ring->bytes = (uint64_t)status.st_size;
  if (ring->bytes > INT64_MAX / 2) return "is too large";
  if (ring->bytes < sizeof ring->header) return "is shorter than its header";
  if (!ring_read(ring, 0, &ring->header, sizeof ring->header)) return "cannot be read";
  if (ring->header.magic != AT_MAGIC) return "is no ring file";
  if (ring->header.version != AT_VERSION) return "has another version";
  if (ring->header.header_bytes != sizeof ring->header) return "has a header of another size";
  return NULL;
}

const char *ring_open(struct ring *ring, const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "cannot be opened";
  const char *wrong = ring_adopt(ring, fd);
  if (wrong) close(fd);
  return wrong;
}

void ring_close(struct ring *ring) { close(ring->fd); }

static bool fits(const struct ring *ring, const struct at_region *region, uint64_t bytes) {
  return region->offset <= ring->bytes && bytes <= ring->bytes - region->offset && bytes <= region->bytes;
}

/* Entries that a region can hold, by its own words and by the size of the file; 0 when its stride is another. */
static uint32_t room(const struct ring *ring, const struct at_region *region, uint64_t stride, uint32_t most) {
  if (region->stride != stride || region->offset >= ring->bytes) return 0;
  uint64_t entries = region->bytes / stride;
  uint64_t there = (ring->bytes - region->offset) / stride;
  if (entries > there) entries = there;
  if (entries > region->capacity) entries = region->capacity;
  return entries > most ? most : (uint32_t)entries;
}

static bool group_used(const struct ring *ring, const struct at_region *region, uint64_t group) {
  uint8_t bits;
  return ring_read(ring, region->bitmap + group / 8, &bits, 1) && (bits >> (group % 8) & 1);
}

/* Entry of a region, if the group it lies in is used. Entries do not straddle groups: strides divide them. */
static bool entry(const struct ring *ring, const struct at_region *region, uint32_t index, void *to, size_t stride) {
  uint64_t at = (uint64_t)index * stride;
  if (region->stride != stride || index >= region->capacity || !fits(ring, region, at + stride)) return false;
  if (region->bitmap == 0 || region->bitmap > ring->bytes) return false;
  if (!group_used(ring, region, at / AT_GROUP)) return false;
  return ring_read(ring, region->offset + at, to, stride);
}

bool ring_module(const struct ring *ring, uint32_t index, struct at_module *module) {
  if (!entry(ring, &ring->header.modules, index, module, sizeof *module)) return false;
  module->path[sizeof module->path - 1] = 0;
  if (module->build_id_bytes > AT_BUILD_ID_BYTES) module->build_id_bytes = AT_BUILD_ID_BYTES;
  return true;
}

bool ring_site(const struct ring *ring, uint32_t index, struct at_site *site) {
  return entry(ring, &ring->header.sites, index, site, sizeof *site);
}

bool ring_frame(const struct ring *ring, uint32_t index, at_frame *frame) {
  return entry(ring, &ring->header.frames, index, frame, sizeof *frame);
}

bool ring_lane(const struct ring *ring, uint32_t index, struct at_lane *lane) {
  const struct at_region *region = &ring->header.lanes;
  if (index >= room(ring, region, AT_LANE_BYTES, AT_MAX_LANES)) return false;
  return ring_read(ring, region->offset + index * AT_LANE_BYTES, lane, sizeof *lane);
}

static uint32_t at_most(uint32_t count, uint32_t most) { return count < most ? count : most; }

uint32_t ring_module_count(const struct ring *ring) {
  const struct at_region *region = &ring->header.modules;
  return at_most(ring->header.module_count, room(ring, region, sizeof(struct at_module), AT_MAX_MODULES));
}

uint32_t ring_site_count(const struct ring *ring) {
  const struct at_region *region = &ring->header.sites;
  return at_most(ring->header.site_count, room(ring, region, sizeof(struct at_site), AT_MAX_SITES));
}

uint32_t ring_frame_count(const struct ring *ring) {
  const struct at_region *region = &ring->header.frames;
  return at_most(ring->header.frame_count, room(ring, region, sizeof(at_frame), UINT32_MAX));
}

void ring_sum_lanes(const struct ring *ring, struct ring_totals *totals) {
  struct at_lane lane;
  memset(totals, 0, sizeof *totals);
  for (uint32_t index = 0; ring_lane(ring, index, &lane); index++) {
    totals->lanes_owned += lane.owner != 0;
    if (lane.activation != ring->header.activation) continue;
    totals->allocations += lane.allocations;
    totals->frees += lane.frees;
    totals->passed_allocations += lane.passed_allocations;
    totals->passed_frees += lane.passed_frees;
    totals->cancelled += lane.cancelled;
    totals->dropped += lane.dropped;
    totals->unmatched_frees += lane.unmatched_frees;
    totals->failed += lane.failed;
    totals->lanes_used += lane.allocations + lane.frees + lane.passed_allocations + lane.passed_frees > 0;
  }
}

static void add_counts(struct at_site_counts *sum, const struct at_site_counts *more) {
  sum->allocations += more->allocations;
  sum->frees += more->frees;
  sum->allocated_bytes += more->allocated_bytes;
  sum->freed_bytes += more->freed_bytes;
  sum->old_frees += more->old_frees;
  sum->old_freed_bytes += more->old_freed_bytes;
}

static void add_estimates(struct at_site_estimates *sum, const struct at_site_estimates *more) {
  sum->samples += more->samples;
  sum->freed_samples += more->freed_samples;
  sum->allocations += more->allocations;
  sum->allocated_bytes += more->allocated_bytes;
  sum->frees += more->frees;
  sum->freed_bytes += more->freed_bytes;
  sum->variance_count += more->variance_count;
  sum->variance_bytes += more->variance_bytes;
}

#define PER_GROUP (AT_GROUP / sizeof(struct at_site_counts))

union group {
  struct at_site_counts counts[PER_GROUP];
  struct at_site_estimates estimates[PER_GROUP];
};

static bool bit(const uint8_t *bits, uint32_t index) { return bits[index / 8] >> (index % 8) & 1; }

void ring_sum_sites(const struct ring *ring, struct ring_site *sites, uint32_t count) {
  static union group group;
  struct at_lane lane;
  for (uint32_t index = 0; ring_lane(ring, index, &lane); index++) {
    if (lane.activation != ring->header.activation) continue;
    uint64_t base = ring->header.lanes.offset + index * AT_LANE_BYTES;
    for (uint32_t first = 0; first < count; first += PER_GROUP) {
      uint32_t number = first / PER_GROUP;
      uint32_t here = at_most(count - first, PER_GROUP);
      uint64_t at = base + AT_LANE_COUNTS_OFFSET + (uint64_t)number * AT_GROUP;
      if (bit(lane.counts_groups, number) && ring_read(ring, at, &group, sizeof group))
        for (uint32_t i = 0; i < here; i++) add_counts(&sites[first + i].counts, &group.counts[i]);
      at = base + AT_LANE_ESTIMATES_OFFSET + (uint64_t)number * AT_GROUP;
      if (bit(lane.estimates_groups, number) && ring_read(ring, at, &group, sizeof group))
        for (uint32_t i = 0; i < here; i++) add_estimates(&sites[first + i].estimates, &group.estimates[i]);
    }
  }
}

#define LIVE_PER_GROUP (AT_GROUP / sizeof(struct at_live))

struct scan {
  const struct ring *ring;
  struct ring_live_summary *summary;
  ring_live_visitor *visit;
  void *context;
};

static void scan_group(const struct scan *scan, const struct at_live *entries, uint32_t count, uint32_t level) {
  struct ring_live_summary *summary = scan->summary;
  for (uint32_t i = 0; i < count; i++) {
    const struct at_live *one = &entries[i];
    if (one->address == 0) continue;
    if (one->address & 1) {
      summary->busy++;
    } else if (one->check != at_check(one->address, one->size, one->ticks, one->site)) {
      summary->torn++;
    } else if (one->ticks < scan->ring->header.activated_ticks) {
      summary->stale++;
    } else {
      summary->blocks++;
      summary->bytes += one->size;
      summary->samples += one->interval != 0;
      if (scan->visit) scan->visit(scan->context, one, level);
    }
  }
}

#define LIVE_BITMAP_BYTES ((AT_LEVEL_ENTRIES(AT_LEVELS - 1) / LIVE_PER_GROUP + 7) / 8)

void ring_scan_live(const struct ring *ring, struct ring_live_summary *summary, ring_live_visitor *visit,
                    void *context) {
  static struct at_live entries[LIVE_PER_GROUP];
  static uint8_t bitmap[LIVE_BITMAP_BYTES];
  struct scan scan = { ring, summary, visit, context };
  memset(summary, 0, sizeof *summary);
  for (uint32_t level = 0; level < AT_LEVELS; level++) {
    const struct at_region *region = &ring->header.live[level];
    uint32_t capacity = room(ring, region, sizeof(struct at_live), AT_LEVEL_ENTRIES(level));
    if (region->bitmap == 0 || !ring_read(ring, region->bitmap, bitmap, sizeof bitmap)) continue;
    for (uint32_t first = 0; first < capacity; first += LIVE_PER_GROUP) {
      uint32_t group = first / LIVE_PER_GROUP;
      if (!bit(bitmap, group)) continue;
      if (!ring_read(ring, region->offset + (uint64_t)group * AT_GROUP, entries, sizeof entries)) continue;
      scan_group(&scan, entries, at_most(capacity - first, LIVE_PER_GROUP), level);
    }
  }
}
