/*
 * signals.c - a timer interrupts a program that allocates without end, and its handler allocates too. Needs an allocator that bears
 * that (safe-allocator.c). Prints its own counts and those seen.
 *
 *   signals INTERRUPTIONS MICROSECONDS
 */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static struct tally inside; /* the handler's; it never interrupts itself */
static volatile sig_atomic_t interruptions;
static void *kept_blocks[8];

static void on_timer(int number) {
  (void)number;
  int before = errno;
  unsigned which = (unsigned)interruptions % 8;
  if (kept_blocks[which]) {
    free(kept_blocks[which]);
    tally_free(&inside, 24);
  }
  kept_blocks[which] = malloc(24);
  tally_allocation(&inside, kept_blocks[which], 24);
  void *brief = kept(malloc(100));
  tally_allocation(&inside, brief, 100);
  free(brief);
  tally_free(&inside, 100);
  interruptions++;
  if (errno != before) _Exit(9);
}

int main(int argc, char **argv) {
  int wanted = argc > 1 ? atoi(argv[1]) : 1000;
  int interval = argc > 2 ? atoi(argv[2]) : 1000;
  struct tally outside = { 0 };
  struct probe before, after;
  probe_open();
  struct sigaction action = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
  struct itimerval timer = { { 0, interval }, { 0, interval } };
  sigaction(SIGALRM, &action, NULL);
  probe_take(&before);
  setitimer(ITIMER_REAL, &timer, NULL);
  void *own[64] = { 0 };
  for (unsigned step = 0; interruptions < wanted; step++) {
    void **slot = &own[step % 64];
    if (*slot) {
      free(*slot);
      tally_free(&outside, 48);
    }
    *slot = malloc(48);
    tally_allocation(&outside, *slot, 48);
  }
  memset(&timer, 0, sizeof timer);
  setitimer(ITIMER_REAL, &timer, NULL);
  signal(SIGALRM, SIG_IGN);
  probe_take(&after);
  struct tally sum = { outside.allocations + inside.allocations, outside.frees + inside.frees,
                       outside.failed + inside.failed, outside.live_blocks + inside.live_blocks,
                       outside.live_bytes + inside.live_bytes };
  say_case("signals", &sum, &before, &after);
  say("{\"inside\":{\"allocations\":%lld,\"frees\":%lld}}\n", (long long)inside.allocations, (long long)inside.frees);
  return 0;
}
