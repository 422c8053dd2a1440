/* probe.c - see probe.h. */
#define _GNU_SOURCE
#include "probe.h"
#include "ring-reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ring ring;
static int opened;

int probe_open(void) {
  char path[512];
  const char *directory = getenv("TEST_RINGS");
  if (!directory) directory = getenv("TIDEMARK_DIR");
  if (!directory) return 0;
  snprintf(path, sizeof path, "%s/%d.ring", directory, (int)getpid());
  opened = ring_open(&ring, path) == NULL;
  return opened;
}

void probe_take_counts(struct probe *probe) {
  struct ring_totals totals;
  memset(probe, 0, sizeof *probe);
  if (!opened || !ring_refresh(&ring)) return;
  ring_sum_lanes(&ring, &totals);
  probe->allocations = totals.allocations + totals.passed_allocations;
  probe->frees = totals.frees + totals.passed_frees;
  probe->failed = totals.failed;
  probe->cancelled = totals.cancelled + totals.passed_allocations + totals.passed_frees;
  probe->dropped = totals.dropped;
  probe->unmatched = totals.unmatched_frees;
}

void probe_take(struct probe *probe) {
  struct ring_live_summary live;
  probe_take_counts(probe);
  if (!opened) return;
  ring_scan_live(&ring, &live, NULL, NULL);
  probe->live_blocks = live.blocks;
  probe->live_bytes = live.bytes;
}

void probe_close(void) {
  if (opened) ring_close(&ring);
  opened = 0;
}

void say(const char *format, ...) {
  char text[4096];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length > (int)sizeof text - 1) length = (int)sizeof text - 1;
  for (int done = 0; done < length;) {
    ssize_t wrote = write(STDOUT_FILENO, text + done, (size_t)(length - done));
    if (wrote <= 0) return;
    done += (int)wrote;
  }
}

void say_case(const char *name, const struct tally *expected, const struct probe *before, const struct probe *after) {
  say("{\"case\":\"%s\",\"expected\":{\"allocations\":%" PRId64 ",\"frees\":%" PRId64 ",\"failed\":%" PRId64
      ",\"liveBlocks\":%" PRId64 ",\"liveBytes\":%" PRId64 "},",
      name, expected->allocations, expected->frees, expected->failed, expected->live_blocks, expected->live_bytes);
  say("\"seen\":{\"allocations\":%" PRIu64 ",\"frees\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"liveBlocks\":%" PRId64
      ",\"liveBytes\":%" PRId64 "},\"unmatched\":%" PRIu64 ",\"dropped\":%" PRIu64 "}\n",
      after->allocations - before->allocations, after->frees - before->frees, after->failed - before->failed,
      (int64_t)(after->live_blocks - before->live_blocks), (int64_t)(after->live_bytes - before->live_bytes),
      after->unmatched - before->unmatched, after->dropped - before->dropped);
}
