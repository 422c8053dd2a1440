#include "layout.h"

#include <sys/resource.h>

/* What a small limit leaves away: lanes, then the larger levels of the table of blocks. */
struct shape {
  uint32_t lanes;
  uint32_t frames;
  uint32_t levels;
};

static const struct shape shapes[] = {
    {AT_MAX_LANES, 1u << 20, 4},
    {64, 1u << 20, 3},
    {16, 1u << 19, 2},
    {4, 1u << 17, 1},
};

/* The host may need what mappings take of its address space: no more than this part of the limit. */
#define ADDRESS_SHARE 4u

static uint64_t end_of_file;
static uint64_t end_of_bitmaps;

static void place(struct at_region *region, uint32_t capacity, uint64_t stride, bool bitmap) {
  region->capacity = capacity;
  region->stride = (uint32_t)stride;
  region->bytes = ((uint64_t)capacity * stride + AT_GROUP - 1) & ~(uint64_t)(AT_GROUP - 1);
  region->offset = end_of_file;
  region->bitmap = 0;
  end_of_file += region->bytes;
  if (!bitmap) return;
  region->bitmap = end_of_bitmaps;
  end_of_bitmaps += (region->bytes / AT_GROUP + 63) / 64 * 8;
}

static void place_all(struct at_header *header, const struct shape *shape) {
  end_of_bitmaps = AT_PAGE; /* the page after the header holds all bitmaps */
  end_of_file = AT_GROUP;
  place(&header->modules, AT_MAX_MODULES, sizeof(struct at_module), true);
  place(&header->sites, AT_MAX_SITES, sizeof(struct at_site), true);
  place(&header->frames, shape->frames, sizeof(at_frame), true);
  for (uint32_t level = 0; level < AT_LEVELS; level++) {
    place(&header->live[level], level < shape->levels ? AT_LEVEL_ENTRIES(level) : 0, sizeof(struct at_live), true);
    if (level == 0) place(&header->lanes, shape->lanes, AT_LANE_BYTES, false);
  }
  header->file_bytes = end_of_file;
}

static uint64_t limit_of(int resource) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  return limit.rlim_cur;
}

uint64_t at_layout_first_part(const struct at_header *header) {
  return header->lanes.offset + AT_PAGE;
}

bool at_layout_may_map(uint64_t bytes) {
  return bytes <= limit_of(RLIMIT_AS) / ADDRESS_SHARE;
}

bool at_layout(struct at_header *header) {
  uint64_t most = limit_of(RLIMIT_FSIZE);
  for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    place_all(header, &shapes[i]);
    if (header->file_bytes <= most && at_layout_may_map(at_layout_first_part(header))) return true;
  }
  return false;
}

_Static_assert(AT_LANE_BYTES % AT_GROUP == 0, "lanes begin at a group");
_Static_assert(AT_LANE_BYTES <= UINT32_MAX, "stride");
