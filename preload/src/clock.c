#include "clock.h"

#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

bool at_clock_counter;
static struct at_moment started;

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec now = {0, 0};
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool counter_is_steady(void) {
#if defined(__x86_64__)
  /* Intel SDM, CPUID leaf 80000007H, EDX bit 8: the counter runs at a constant rate in all states. */
  unsigned a, b, c, d;
  return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & (1u << 8)) != 0;
#elif defined(__aarch64__)
  return true;
#else
  return false;
#endif
}

uint64_t at_clock_now(void) {
  if (at_clock_counter) return at_clock_read();
  return nanoseconds(CLOCK_MONOTONIC);
}

void at_clock_moment(struct at_moment *moment) {
  moment->ticks = at_clock_now();
  moment->monotonic_ns = nanoseconds(CLOCK_MONOTONIC);
  moment->realtime_ns = nanoseconds(CLOCK_REALTIME);
}

void at_clock_init(void) {
  at_clock_counter = counter_is_steady();
  at_clock_moment(&started);
  if (!at_clock_counter) return;
  /* A first rate, good to about a percent, for those who are traced from the start; later it is much better. */
  while (nanoseconds(CLOCK_MONOTONIC) - started.monotonic_ns < 20000u) {
  }
}

int64_t at_clock_ticks(uint64_t ns) {
  struct at_moment now;
  at_clock_moment(&now);
  if (!at_clock_counter || now.monotonic_ns <= started.monotonic_ns)
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
  double rate = (double)(now.ticks - started.ticks) / (double)(now.monotonic_ns - started.monotonic_ns);
  double ticks = (double)ns * rate;
  return ticks >= 9.2e18 ? INT64_MAX : (int64_t)ticks;
}
