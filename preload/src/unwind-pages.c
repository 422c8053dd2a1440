#include <elf.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "ring.h"
#include "unwind.h"

/* A stack of which more than this is in use when the thread is first seen is treated like a foreign one. */
#define OWN_LIMIT ((uint64_t)1 << 20)

/* An address near the end of the main thread's stack, above all frames. */
static uint64_t main_end;
static uint64_t main_block;

#if defined(__x86_64__)
static long mask_call(uint64_t address) {
  long result;
  register long r10 __asm__("r10") = 8;
  /* `how` is none: the kernel copies the set, then refuses */
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"((long)SYS_rt_sigprocmask), "D"(0x7fffL), "S"(address), "d"(0L), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
}

static uint64_t thread_control_block(void) {
  uint64_t address;
  __asm__("movq %%fs:0, %0" : "=r"(address));
  return address;
}
#elif defined(__aarch64__)
static long mask_call(uint64_t address) {
  register long x8 __asm__("x8") = SYS_rt_sigprocmask;
  register long x0 __asm__("x0") = 0x7fff;
  register long x1 __asm__("x1") = (long)address;
  register long x2 __asm__("x2") = 0;
  register long x3 __asm__("x3") = 8;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}

static uint64_t thread_control_block(void) {
  uint64_t address;
  __asm__("mrs %0, tpidr_el0" : "=r"(address));
  return address;
}
#endif

/*
 * Whether a page can be read: rt_sigprocmask reads a signal set from it before it finds that it was not told what to do with
 * it. Changes nothing, takes no lock, leaves errno alone, and no sandbox forbids it.
 */
static bool page_readable(uint64_t page) {
  enum { FAULT = -14 };
  return mask_call(page) != FAULT;
}

bool at_unwind_readable(uint64_t low, uint64_t high) {
  for (uint64_t page = low & ~(uint64_t)(AT_PAGE - 1); page < high; page += AT_PAGE) {
    if (!page_readable(page)) return false;
  }
  return true;
}

void at_unwind_init(void) {
  main_end = (uint64_t)getauxval(AT_RANDOM);
  main_block = thread_control_block();
}

/* Where the thread's own stack ends: the kernel's block of strings (main thread), the thread's control block (others). */
static uint64_t own_end(void) {
  uint64_t block = thread_control_block();
  return (block == main_block ? main_end : block) & ~(uint64_t)15;
}

void at_unwind_own(struct at_own_stack *own, uint64_t sp) {
  if (sp >= own->low && sp < own->high) return;
  if (own->refused != 0 && sp >= own->refused && sp - own->refused < OWN_LIMIT) return;
  uint64_t low = sp & ~(uint64_t)(AT_PAGE - 1);
  uint64_t end = own_end();
  uint64_t known = own->high == 0 ? end : own->low;
  if (low < known && known - low <= OWN_LIMIT && at_unwind_readable(low, known)) {
    own->low = low;
    own->high = end;
    own->refused = 0;
  } else own->refused = low;
}
