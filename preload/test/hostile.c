/*
 * hostile.c - a program that does to itself what servers, sandboxes and daemons do, and goes on allocating.
 *
 *   hostile chroot|close|daemon|address-space|file-size|mlockall|setuid|plain BLOCKS [DIRECTORY]
 *
 * Prints one JSON line: its counts since the deed. The ring's counts before are in it, so that whoever reads the file afterwards can
 * compare.
 */
#define _GNU_SOURCE
#include "probe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static struct tally tally;

static void work(size_t blocks) {
  void **all = malloc(blocks * sizeof *all);
  tally_allocation(&tally, all, blocks * sizeof *all);
  for (size_t i = 0; i < blocks; i++) {
    all[i] = malloc(20 + i % 100);
    tally_allocation(&tally, all[i], 20 + i % 100);
    if (all[i]) memset(all[i], 1, 20 + i % 100);
  }
  for (size_t i = 0; i < blocks; i += 2) {
    if (!all[i]) continue;
    free(all[i]);
    tally_free(&tally, 20 + i % 100);
  }
  kept(all);
}

static int limit(int what, rlim_t most) {
  struct rlimit bound = { most, most };
  return setrlimit(what, &bound);
}

static int become_daemon(void) {
  /* The parent waits, so that whoever started it sees the end. */
  return daemon(0, 1);
}

static int close_all(void) {
  for (int fd = 3; fd < 1024; fd++) close(fd);
  return 0;
}

static int do_it(const char *deed, const char *directory) {
  if (strcmp(deed, "plain") == 0) return 0;
  if (strcmp(deed, "chroot") == 0) return chroot(directory) == 0 ? chdir("/") : -1;
  if (strcmp(deed, "close") == 0) return close_all();
  if (strcmp(deed, "daemon") == 0) return become_daemon();
  if (strcmp(deed, "address-space") == 0) return limit(RLIMIT_AS, 64ul << 20);
  if (strcmp(deed, "file-size") == 0) return limit(RLIMIT_FSIZE, 4096);
  if (strcmp(deed, "mlockall") == 0) return mlockall(MCL_CURRENT | MCL_FUTURE);
  if (strcmp(deed, "setuid") == 0) return setgid(65534) == 0 ? setuid(65534) : -1;
  return -1;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  struct probe before;
  probe_open();
  probe_take(&before);
  probe_close();
  if (do_it(argv[1], argc > 3 ? argv[3] : NULL) != 0) return 3;
  work(strtoull(argv[2], NULL, 10));
  say("{\"pid\":%d,\"allocations\":%" PRId64 ",\"frees\":%" PRId64 ",\"failed\":%" PRId64 ",\"liveBlocks\":%" PRId64
      ",\"liveBytes\":%" PRId64 ",",
      (int)getpid(), tally.allocations, tally.frees, tally.failed, tally.live_blocks, tally.live_bytes);
  say("\"before\":{\"allocations\":%" PRIu64 ",\"frees\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"liveBlocks\":%" PRIu64
      ",\"liveBytes\":%" PRIu64 "}}\n",
      before.allocations, before.frees, before.failed, before.live_blocks, before.live_bytes);
  return 0;
}
