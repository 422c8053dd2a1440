/*
 * ring-dump.c - prints a ring file as JSON.
 *
 *   ring-dump FILE                 header, totals, lanes, modules and sites
 *   ring-dump --live FILE          ... and every live block
 *   ring-dump --layout             sizes, offsets and constants of the format
 *
 * What a double cannot hold (addresses, ticks, hashes) is printed as text: addresses and hashes hexadecimal with 0x, ticks and
 * nanoseconds decimal. Exit status 2 when the file is none that can be read.
 */
#include "ring-reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_text(const char *text, size_t most) {
  putchar('"');
  for (size_t i = 0; i < most && text[i]; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (byte == '"' || byte == '\\') printf("\\%c", byte);
    else if (byte < 0x20 || byte > 0x7e) printf("\\u%04x", byte); /* each byte its own: read as latin1 */
    else putchar(byte);
  }
  putchar('"');
}

static void print_double(const char *name, double value) {
  if (isfinite(value)) printf(", \"%s\": %.17g", name, value);
  else printf(", \"%s\": null", name);
}

static void print_count(const char *name, uint64_t value) { printf(", \"%s\": %" PRIu64, name, value); }

static void print_moment(const char *name, const struct at_moment *moment) {
  printf(",\n  \"%s\": { \"sequence\": %u, \"ticks\": \"%" PRIu64 "\", \"monotonicNs\": \"%" PRIu64
         "\", \"realtimeNs\": \"%" PRIu64 "\" }",
         name, moment->sequence, moment->ticks, moment->monotonic_ns, moment->realtime_ns);
}

static void print_control(const struct at_control *control) {
  printf(",\n  \"control\": { \"mode\": %u", control->mode);
  print_count("pulse", control->pulse);
  print_count("sampleInterval", control->sample_interval);
  print_count("stacks", control->stacks);
  print_count("maxFrames", control->max_frames);
  print_count("maxBytes", control->max_bytes);
  print_count("leaseUntil", control->lease_until);
  print_count("youngNs", control->young_ns);
  print_count("generation", control->generation);
  printf(" }");
}

static void print_header(const struct ring *ring) {
  const struct at_header *header = &ring->header;
  printf("{\n  \"fileBytes\": %" PRIu64, header->file_bytes);
  print_count("actualBytes", ring->bytes);
  print_count("pid", header->pid);
  print_count("parent", header->parent);
  print_count("startTime", header->start_time);
  print_count("image", header->image);
  print_count("clock", header->clock);
  print_count("state", header->state);
  print_count("refusal", header->refusal);
  print_count("applied", header->applied);
  printf(", \"program\": ");
  print_text(header->program, sizeof header->program);
  printf(",\n  \"activatedTicks\": \"%" PRIu64 "\"", header->activated_ticks);
  print_count("activation", header->activation);
  print_count("moduleCount", header->module_count);
  print_count("siteCount", header->site_count);
  print_count("frameCount", header->frame_count);
  print_count("intervalCount", header->interval_count);
  print_count("populatedBytes", header->populated_bytes);
  print_count("droppedSites", header->dropped_sites);
  print_count("droppedBlocks", header->dropped_blocks);
  print_moment("first", &header->first);
  print_moment("last", &header->last);
  print_control(&header->control);
  printf(",\n  \"intervals\": [");
  for (uint32_t i = 0; i <= AT_MAX_INTERVALS && i <= header->interval_count; i++)
    printf("%s%" PRIu64, i ? ", " : "", header->intervals[i]);
  printf("]");
}

static void print_totals(const struct ring *ring, const struct ring_live_summary *live) {
  struct ring_totals totals;
  ring_sum_lanes(ring, &totals);
  uint64_t allocations = totals.allocations + totals.passed_allocations;
  uint64_t frees = totals.frees + totals.passed_frees;
  uint64_t cancelled = totals.cancelled + totals.passed_allocations + totals.passed_frees;
  printf(",\n  \"totals\": { \"allocations\": %" PRIu64, allocations);
  print_count("frees", frees);
  print_count("issued", allocations + frees);
  print_count("recorded", allocations + frees - cancelled - totals.dropped);
  print_count("cancelled", cancelled);
  print_count("dropped", totals.dropped);
  print_count("passedAllocations", totals.passed_allocations);
  print_count("passedFrees", totals.passed_frees);
  print_count("unmatchedFrees", totals.unmatched_frees);
  print_count("failed", totals.failed);
  print_count("lanesUsed", totals.lanes_used);
  print_count("lanesOwned", totals.lanes_owned);
  print_count("liveBlocks", live->blocks);
  print_count("liveBytes", live->bytes);
  print_count("liveSamples", live->samples);
  print_count("busy", live->busy);
  print_count("torn", live->torn);
  print_count("stale", live->stale);
  printf(" }");
}

static void print_lanes(const struct ring *ring) {
  struct at_lane lane;
  const char *before = "";
  printf(",\n  \"lanes\": [");
  for (uint32_t index = 0; ring_lane(ring, index, &lane); index++) {
    if (lane.owner == 0 && lane.allocations + lane.frees + lane.passed_allocations + lane.passed_frees == 0) continue;
    printf("%s\n    { \"lane\": %u, \"owner\": %u", before, index, lane.owner);
    print_count("activation", lane.activation);
    print_count("allocations", lane.allocations);
    print_count("frees", lane.frees);
    print_count("passedAllocations", lane.passed_allocations);
    print_count("passedFrees", lane.passed_frees);
    print_count("cancelled", lane.cancelled);
    print_count("dropped", lane.dropped);
    print_count("unmatchedFrees", lane.unmatched_frees);
    print_count("failed", lane.failed);
    printf(" }");
    before = ",";
  }
  printf("]");
}

static void print_modules(const struct ring *ring) {
  struct at_module module;
  const char *before = "";
  printf(",\n  \"modules\": [");
  for (uint32_t index = 1; index < ring_module_count(ring); index++) {
    if (!ring_module(ring, index, &module)) continue;
    printf("%s\n    { \"module\": %u, \"start\": \"0x%" PRIx64 "\", \"end\": \"0x%" PRIx64 "\", \"bias\": \"0x%" PRIx64
           "\", \"unloaded\": %u, \"buildId\": \"",
           before, index, module.start, module.end, module.bias, module.unloaded);
    for (uint32_t i = 0; i < module.build_id_bytes; i++) printf("%02x", module.build_id[i]);
    printf("\", \"path\": ");
    print_text(module.path, sizeof module.path);
    printf(" }");
    before = ",";
  }
  printf("]");
}

static void print_frames(const struct ring *ring, const struct at_site *site) {
  printf(", \"frames\": [");
  for (uint32_t i = 0; i < site->depth && i < AT_MAX_FRAMES; i++) {
    at_frame frame = 0;
    if (site->first_frame > UINT32_MAX - i || !ring_frame(ring, site->first_frame + i, &frame)) break;
    printf("%s{ \"module\": %u, \"address\": \"0x%" PRIx64 "\" }", i ? ", " : "", AT_FRAME_MODULE(frame),
           (uint64_t)AT_FRAME_ADDRESS(frame));
  }
  printf("]");
}

static void print_site(const struct ring *ring, uint32_t number, const struct at_site *site,
                       const struct ring_site *sums) {
  printf("{ \"site\": %u, \"hash\": \"0x%" PRIx64 "\", \"depth\": %u, \"flags\": %u, \"firstTicks\": \"%" PRIu64 "\"",
         number, site->hash, site->depth, site->flags, site->first_ticks);
  print_count("allocations", sums->counts.allocations);
  print_count("frees", sums->counts.frees);
  print_count("allocatedBytes", sums->counts.allocated_bytes);
  print_count("freedBytes", sums->counts.freed_bytes);
  print_count("oldFrees", sums->counts.old_frees);
  print_count("oldFreedBytes", sums->counts.old_freed_bytes);
  printf(",\n      \"estimates\": { \"samples\": %" PRIu64, sums->estimates.samples);
  print_count("freedSamples", sums->estimates.freed_samples);
  print_double("allocations", sums->estimates.allocations);
  print_double("allocatedBytes", sums->estimates.allocated_bytes);
  print_double("frees", sums->estimates.frees);
  print_double("freedBytes", sums->estimates.freed_bytes);
  print_double("varianceCount", sums->estimates.variance_count);
  print_double("varianceBytes", sums->estimates.variance_bytes);
  printf(" }");
  print_frames(ring, site);
  printf(" }");
}

static void print_sites(const struct ring *ring) {
  uint32_t count = ring_site_count(ring);
  const char *before = "";
  struct ring_site *sums = calloc((size_t)count + 1, sizeof *sums);
  printf(",\n  \"sites\": [");
  if (sums) ring_sum_sites(ring, sums, count);
  for (uint32_t index = AT_SITE_OVERFLOW; sums && index < count; index++) {
    struct at_site site;
    if (!ring_site(ring, index, &site)) memset(&site, 0, sizeof site);
    uint64_t calls = sums[index].counts.allocations + sums[index].counts.frees + sums[index].estimates.samples;
    if (calls == 0 && site.depth == 0) continue;
    printf("%s\n    ", before);
    print_site(ring, index, &site, &sums[index]);
    before = ",";
  }
  free(sums);
  printf("]");
}

struct live_output {
  const char *before;
};

static void print_live(void *context, const struct at_live *entry, uint32_t level) {
  struct live_output *output = context;
  printf("%s\n    { \"address\": \"0x%" PRIx64 "\", \"size\": %" PRIu64 ", \"ticks\": \"%" PRIu64
         "\", \"site\": %u, \"interval\": %u, \"kind\": %u, \"level\": %u }",
         output->before, entry->address, entry->size, entry->ticks, entry->site, entry->interval, entry->kind, level);
  output->before = ",";
}

static void dump(const struct ring *ring, bool with_live) {
  struct ring_live_summary live;
  ring_scan_live(ring, &live, NULL, NULL);
  print_header(ring);
  print_totals(ring, &live);
  print_lanes(ring);
  print_modules(ring);
  print_sites(ring);
  if (with_live) {
    struct live_output output = { "" };
    printf(",\n  \"live\": [");
    ring_scan_live(ring, &live, print_live, &output);
    printf("]");
  }
  printf("\n}\n");
}

#ifndef RING_DUMP_NO_MAIN
int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--layout") == 0) {
    ring_print_layout();
    return 0;
  }
  bool with_live = argc == 3 && strcmp(argv[1], "--live") == 0;
  if (argc != 2 && !with_live) {
    fprintf(stderr, "usage: ring-dump [--live] FILE | ring-dump --layout\n");
    return 1;
  }
  struct ring ring;
  const char *wrong = ring_open(&ring, argv[argc - 1]);
  if (wrong) {
    fprintf(stderr, "ring-dump: %s %s\n", argv[argc - 1], wrong);
    return 2;
  }
  dump(&ring, with_live);
  ring_close(&ring);
  return 0;
}
#endif
