/* ring-layout.c - every size, offset and constant of alloc_trace.h, as JSON: what the reader in another language is held to. */
#include "ring-reader.h"

#include <stdio.h>

static const char *between = "";

static void number(const char *name, unsigned long long value) {
  printf("%s\n    \"%s\": %llu", between, name, value);
  between = ",";
}

static void open_object(const char *name, const char *before) {
  printf("%s\n  \"%s\": {", before, name);
  between = "";
}

#define SIZE(type) number(#type, sizeof(struct type))
#define FIELD(type, field)                                                                                        \
  printf("%s\n    \"%s.%s\": { \"offset\": %zu, \"bytes\": %zu }", between, #type, #field,                          \
         __builtin_offsetof(struct type, field), sizeof(((struct type *)0)->field));                                \
  between = ","
#define CONSTANT(name) number(#name, (unsigned long long)(name))

static void print_header_fields(void) {
  FIELD(at_header, magic);
  FIELD(at_header, version);
  FIELD(at_header, header_bytes);
  FIELD(at_header, file_bytes);
  FIELD(at_header, pid);
  FIELD(at_header, parent);
  FIELD(at_header, start_time);
  FIELD(at_header, image);
  FIELD(at_header, clock);
  FIELD(at_header, state);
  FIELD(at_header, refusal);
  FIELD(at_header, applied);
  FIELD(at_header, activated_ticks);
  FIELD(at_header, first);
  FIELD(at_header, last);
  FIELD(at_header, module_count);
  FIELD(at_header, site_count);
  FIELD(at_header, frame_count);
  FIELD(at_header, interval_count);
  FIELD(at_header, populated_bytes);
  FIELD(at_header, dropped_sites);
  FIELD(at_header, dropped_blocks);
  FIELD(at_header, activation);
  FIELD(at_header, control);
  FIELD(at_header, modules);
  FIELD(at_header, sites);
  FIELD(at_header, frames);
  FIELD(at_header, lanes);
  FIELD(at_header, live);
  FIELD(at_header, intervals);
  FIELD(at_header, program);
}

static void print_control_fields(void) {
  FIELD(at_control, mode);
  FIELD(at_control, pulse);
  FIELD(at_control, sample_interval);
  FIELD(at_control, stacks);
  FIELD(at_control, max_frames);
  FIELD(at_control, max_bytes);
  FIELD(at_control, lease_until);
  FIELD(at_control, young_ns);
  FIELD(at_control, generation);
}

static void print_region_fields(void) {
  FIELD(at_region, offset);
  FIELD(at_region, bytes);
  FIELD(at_region, bitmap);
  FIELD(at_region, capacity);
  FIELD(at_region, stride);
  FIELD(at_moment, sequence);
  FIELD(at_moment, ticks);
  FIELD(at_moment, monotonic_ns);
  FIELD(at_moment, realtime_ns);
  FIELD(at_module, start);
  FIELD(at_module, end);
  FIELD(at_module, bias);
  FIELD(at_module, unloaded);
  FIELD(at_module, build_id_bytes);
  FIELD(at_module, path_bytes);
  FIELD(at_module, build_id);
  FIELD(at_module, path);
}

static void print_site_fields(void) {
  FIELD(at_site, hash);
  FIELD(at_site, first_frame);
  FIELD(at_site, depth);
  FIELD(at_site, flags);
  FIELD(at_site, first_ticks);
  FIELD(at_site_counts, allocations);
  FIELD(at_site_counts, frees);
  FIELD(at_site_counts, allocated_bytes);
  FIELD(at_site_counts, freed_bytes);
  FIELD(at_site_counts, old_frees);
  FIELD(at_site_counts, old_freed_bytes);
  FIELD(at_site_estimates, samples);
  FIELD(at_site_estimates, freed_samples);
  FIELD(at_site_estimates, allocations);
  FIELD(at_site_estimates, allocated_bytes);
  FIELD(at_site_estimates, frees);
  FIELD(at_site_estimates, freed_bytes);
  FIELD(at_site_estimates, variance_count);
  FIELD(at_site_estimates, variance_bytes);
}

static void print_lane_fields(void) {
  FIELD(at_lane, owner);
  FIELD(at_lane, activation);
  FIELD(at_lane, allocations);
  FIELD(at_lane, frees);
  FIELD(at_lane, passed_allocations);
  FIELD(at_lane, passed_frees);
  FIELD(at_lane, cancelled);
  FIELD(at_lane, dropped);
  FIELD(at_lane, unmatched_frees);
  FIELD(at_lane, failed);
  FIELD(at_lane, remaining);
  FIELD(at_lane, random);
  FIELD(at_lane, ticks);
  FIELD(at_lane, ticks_uses);
  FIELD(at_lane, ticks_pulse);
  FIELD(at_lane, counts_groups);
  FIELD(at_lane, estimates_groups);
  FIELD(at_live, address);
  FIELD(at_live, size);
  FIELD(at_live, ticks);
  FIELD(at_live, site);
  FIELD(at_live, check);
  FIELD(at_live, interval);
  FIELD(at_live, kind);
}

static void print_limits(void) {
  CONSTANT(AT_VERSION);
  CONSTANT(AT_PAGE);
  CONSTANT(AT_GROUP);
  CONSTANT(AT_CACHE_LINE);
  CONSTANT(AT_MAX_FRAMES);
  CONSTANT(AT_MAX_SITES);
  CONSTANT(AT_MAX_MODULES);
  CONSTANT(AT_MAX_LANES);
  CONSTANT(AT_LEVELS);
  CONSTANT(AT_MAX_INTERVALS);
  CONSTANT(AT_BUILD_ID_BYTES);
  CONSTANT(AT_SITE_NONE);
  CONSTANT(AT_SITE_OVERFLOW);
  CONSTANT(AT_FIRST_SITE);
  CONSTANT(AT_CONTROL_OFFSET);
  CONSTANT(AT_LANE_COUNTS_OFFSET);
  CONSTANT(AT_LANE_COUNTS_BYTES);
  CONSTANT(AT_LANE_ESTIMATES_OFFSET);
  CONSTANT(AT_LANE_ESTIMATES_BYTES);
  CONSTANT(AT_LANE_BYTES);
  CONSTANT(AT_WINDOW);
}

static void print_enums(void) {
  CONSTANT(AT_MODE_DORMANT);
  CONSTANT(AT_MODE_SAMPLED);
  CONSTANT(AT_MODE_EXACT);
  CONSTANT(AT_STACKS_FULL);
  CONSTANT(AT_STACKS_CALLER);
  CONSTANT(AT_STATE_STARTING);
  CONSTANT(AT_STATE_READY);
  CONSTANT(AT_STATE_EXITED);
  CONSTANT(AT_STATE_EXECED);
  CONSTANT(AT_REFUSAL_NONE);
  CONSTANT(AT_REFUSAL_SPACE);
  CONSTANT(AT_REFUSAL_ADDRESS);
  CONSTANT(AT_REFUSAL_MODE);
  CONSTANT(AT_CLOCK_TSC);
  CONSTANT(AT_CLOCK_MONOTONIC);
  CONSTANT(AT_KIND_HEAP);
  CONSTANT(AT_KIND_MAP);
  CONSTANT(AT_SITE_TRUNCATED);
  CONSTANT(AT_SITE_CALLER);
  CONSTANT(AT_SITE_MAP);
}

void ring_print_layout(void) {
  /* The one constant that a double cannot hold. */
  printf("{\n  \"AT_MAGIC\": \"%llx\"", (unsigned long long)AT_MAGIC);
  open_object("sizes", ",");
  SIZE(at_control);
  SIZE(at_region);
  SIZE(at_moment);
  SIZE(at_header);
  SIZE(at_module);
  SIZE(at_site);
  SIZE(at_site_counts);
  SIZE(at_site_estimates);
  SIZE(at_lane);
  SIZE(at_live);
  number("at_frame", sizeof(at_frame));
  open_object("fields", "\n  },");
  print_header_fields();
  print_control_fields();
  print_region_fields();
  print_site_fields();
  print_lane_fields();
  open_object("constants", "\n  },");
  print_limits();
  print_enums();
  for (uint32_t level = 0; level < AT_LEVELS; level++) {
    char name[32];
    snprintf(name, sizeof name, "AT_LEVEL_ENTRIES.%u", level);
    number(name, AT_LEVEL_ENTRIES(level));
  }
  open_object("examples", "\n  },");
  number("at_home(0x7f1234567890,0)", at_home(0x7f1234567890ULL, 0));
  number("at_home(0x7f1234567890,3)", at_home(0x7f1234567890ULL, 3));
  number("at_check(0x7f1234567890,48,123456789,7)", at_check(0x7f1234567890ULL, 48, 123456789, 7));
  printf("\n  }\n}\n");
}
