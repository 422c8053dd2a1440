#define _GNU_SOURCE
#include "stack-stand.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unwind.h>

#include "ring.h"
#include "stack.h"

union at_header_page at_header_page;
struct at_ring at_ring = {.header = &at_header_page.header};
struct stand_figures stand_figures;

static _Thread_local struct at_stack_state *own_state;

void stand_must(bool condition, const char *what) {
  if (condition) return;
  fprintf(stderr, "failed: %s\n", what);
  exit(1);
}

static void *memory(size_t bytes) {
  void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  stand_must(start != MAP_FAILED, "memory for the ring");
  return start;
}

static void *region(struct at_region *region, uint32_t capacity, uint32_t stride) {
  *region = (struct at_region){0, (uint64_t)capacity * stride, 0, capacity, stride};
  return memory((size_t)capacity * stride);
}

bool at_ring_use(const struct at_region *region, uint64_t offset, uint64_t bytes) {
  return offset + bytes <= (uint64_t)region->capacity * region->stride;
}

uint64_t at_clock_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void stand_renew(void) {
  struct at_header *header = at_ring.header;
  header->module_count = header->site_count = header->frame_count = 0;
  at_ring.modules = region(&header->modules, AT_MAX_MODULES, sizeof(struct at_module));
  at_ring.sites = region(&header->sites, AT_MAX_SITES, sizeof(struct at_site));
  at_ring.frames = region(&header->frames, AT_MAX_SITES * AT_MAX_FRAMES, sizeof(at_frame));
  at_ring.epoch++;
}

void stand_start(void) {
  stand_renew();
  stand_stacks(AT_STACKS_FULL, AT_MAX_FRAMES);
  at_stack_init();
  void *warm[1];
  backtrace(warm, 1); /* loads libgcc */
}

void stand_stacks(uint32_t stacks, uint32_t max_frames) {
  at_ring.stacks = stacks;
  at_ring.max_frames = max_frames;
}

void stand_site_capacity(uint32_t sites) { at_ring.header->sites.capacity = sites; }

struct at_stack_state *stand_state(void) {
  if (own_state == NULL) own_state = memory(at_stack_state_bytes());
  return own_state;
}

uint32_t stand_hook(void) { return at_stack_site(stand_state(), __builtin_frame_address(0), 0); }

uint32_t stand_hook_alone(void) { return at_stack_site(NULL, __builtin_frame_address(0), 0); }

uint32_t stand_hook_twice(void) {
  uint32_t site = at_stack_site(stand_state(), __builtin_frame_address(0), 0);
  uint32_t fresh = at_stack_site(NULL, __builtin_frame_address(0), 0);
  if (site != fresh) __atomic_fetch_add(&stand_figures.wrong_memo, 1, __ATOMIC_RELAXED);
  return site;
}

size_t stand_frames(uint32_t number, uint64_t *addresses, uint32_t *flags) {
  stand_must(number >= AT_FIRST_SITE && number < at_ring.header->site_count, "a site of the ring");
  const struct at_site *site = &at_ring.sites[number];
  for (uint32_t i = 0; i < site->depth; i++) {
    at_frame frame = at_ring.frames[site->first_frame + i];
    uint32_t module = AT_FRAME_MODULE(frame);
    stand_must(module < AT_MAX_MODULES && (module == 0 || module < at_ring.header->module_count), "a module of the ring");
    addresses[i] = AT_FRAME_ADDRESS(frame) + (module == 0 ? 0 : at_ring.modules[module].bias);
  }
  *flags = site->flags;
  return site->depth;
}

const char *stand_path(uint32_t number, size_t frame) {
  uint32_t module = AT_FRAME_MODULE(at_ring.frames[at_ring.sites[number].first_frame + frame]);
  return module == 0 ? NULL : at_ring.modules[module].path;
}

struct oracle {
  uint64_t first; /* return address where it starts */
  bool started;
  size_t count;
  uint64_t addresses[STAND_MAX_FRAMES];
};

static _Unwind_Reason_Code collect(struct _Unwind_Context *context, void *into) {
  struct oracle *oracle = into;
  int before = 0;
  uint64_t address = (uint64_t)_Unwind_GetIPInfo(context, &before) + (before ? 1 : 0);
  if (address == oracle->first) oracle->started = true;
  if (!oracle->started || oracle->count == STAND_MAX_FRAMES) return _URC_NO_REASON;
  if (address > 1) oracle->addresses[oracle->count++] = address;
  return _URC_NO_REASON;
}

static void describe(const struct oracle *oracle, const uint64_t *walked, size_t depth) {
  for (size_t i = 0; i < oracle->count || i < depth; i++) {
    uint64_t theirs = i < oracle->count ? oracle->addresses[i] : 0;
    uint64_t ours = i < depth ? walked[i] : 0;
    fprintf(stderr, "  %2zu %#18lx %#18lx%s\n", i, (unsigned long)theirs, (unsigned long)ours,
            theirs == ours ? "" : "  <--");
  }
}

static void compare(uint32_t site, uint64_t first) {
  struct oracle oracle = {.first = first, .started = false, .count = 0};
  uint64_t walked[AT_MAX_FRAMES];
  uint32_t flags;
  _Unwind_Backtrace(collect, &oracle);
  size_t depth = stand_frames(site, walked, &flags);
  size_t expected = oracle.count < at_ring.max_frames ? oracle.count : at_ring.max_frames;
  bool truncated = oracle.count > at_ring.max_frames;
  bool same = depth == expected && ((flags & AT_SITE_TRUNCATED) != 0) == truncated;
  for (size_t i = 0; same && i < depth; i++) same = walked[i] == oracle.addresses[i];
  if (same) {
    __atomic_fetch_add(&stand_figures.compared, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&stand_figures.frames, depth, __ATOMIC_RELAXED);
    return;
  }
  if (__atomic_fetch_add(&stand_figures.differing, 1, __ATOMIC_RELAXED) != 0) return;
  fprintf(stderr, "differs (theirs, ours), flags %u:\n", flags);
  describe(&oracle, walked, depth);
}

uint32_t stand_hook_compared(bool remember) {
  uint32_t site = at_stack_site(remember ? stand_state() : NULL, __builtin_frame_address(0), 0);
  if (site != AT_SITE_OVERFLOW) compare(site, (uint64_t)(uintptr_t)__builtin_return_address(0));
  return site;
}

void stand_compare_in_handler(void) { stand_hook_compared(false); }
