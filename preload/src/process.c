#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "extend.h"
#include "file.h"
#include "hide.h"
#include "hooks.h"
#include "identity.h"
#include "lane.h"
#include "live.h"
#include "maps.h"
#include "populate.h"
#include "real.h"
#include "settings.h"
#include "thread.h"

/* So many calls of a forked child show that it is going to stay, rather than to call exec. */
#define CALLS_TO_WAIT 100u

enum start {
  NOT_STARTED,
  FINDING,
  FOUND,
  STARTING,
  STARTED,
};

static uint32_t start_state = NOT_STARTED;
static uint32_t calls_waited;
static volatile uint32_t calls_while_starting;
static bool published;

static void set_mode(uint32_t mode) {
  __atomic_store_n(&at_header_page.header.control.mode, mode, __ATOMIC_RELEASE);
}

static bool make_ring(void) {
  if (!at_file_make()) return false;
  struct at_header *header = at_ring.header;
  at_ring.modules = (struct at_module *)(void *)(at_ring.base + header->modules.offset);
  at_ring.sites = (struct at_site *)(void *)(at_ring.base + header->sites.offset);
  at_ring.frames = (at_frame *)(void *)(at_ring.base + header->frames.offset);
  memset(at_ring.live, 0, sizeof at_ring.live);
  at_ring.live[0] = (struct at_live *)(void *)(at_ring.base + header->live[0].offset);
  at_live_open();
  at_ring.epoch++;
  at_control_own();
  header->state = AT_STATE_READY;
  header->control.mode = at_settings.mode;
  published = at_file_publish();
  if (!published) set_mode(AT_MODE_DORMANT);
  return published;
}

/*
 * Where another definition of malloc is before ours, calls pass us by, and a table of them would lie. The address alone does
 * not tell: an executable at a fixed address that takes that of malloc has a stub for it, which is what everybody then
 * finds, and which leads to whoever is first. So it is tried.
 */
static bool is_first(void) {
  void *found = at_real_first("malloc");
  if (found == (void *)(uintptr_t)at_hooks_own_malloc) return true;
  void *release = at_real_first("free");
  if (found == NULL || release == NULL) return false;
  uint32_t before = calls_while_starting;
  void *block = ((void *(*)(size_t))(uintptr_t)found)(1);
  bool came_by = calls_while_starting != before;
  ((void (*)(void *))(uintptr_t)release)(block);
  return came_by;
}

static void wipe_on_fork(void) {
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
  /* The page must be private memory of no file. */
  static const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  syscall(SYS_mmap, &at_owner_page, sizeof at_owner_page, PROT_READ | PROT_WRITE, flags, -1, 0L);
  at_owner_checked = madvise(&at_owner_page, sizeof at_owner_page, MADV_WIPEONFORK) == 0;
}

static void start(void) {
  at_settings_read();
  /* Pages of another size cannot be laid over one of ours. */
  if (getauxval(AT_SECURE) != 0 || getauxval(AT_PAGESZ) != AT_PAGE || !is_first()) {
    set_mode(AT_MODE_DORMANT);
    return;
  }
  at_clock_init();
  at_hide_begin();
  at_hooks_find_exec();
  wipe_on_fork();
  const char *single = at_real_first("__libc_single_threaded");
  if (single != NULL) at_live_single = single;
  at_stack_init();
  if (!make_ring()) set_mode(AT_MODE_DORMANT);
}

void at_process_start(void) {
  int kept = errno;
  calls_while_starting++;
  uint32_t state = NOT_STARTED;
  if (__atomic_compare_exchange_n(&start_state, &state, FINDING, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    at_real_find();
    __atomic_store_n(&start_state, FOUND, __ATOMIC_RELEASE);
  }
  state = FOUND;
  /* The C library sets environ before any constructor but its own runs. */
  if (environ != NULL &&
      __atomic_compare_exchange_n(&start_state, &state, STARTING, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    start();
    __atomic_store_n(&start_state, STARTED, __ATOMIC_RELEASE);
  }
  errno = kept;
}

bool at_process_is_owner(void) {
  return at_ring.base != NULL && at_identity_is(at_header_page.header.pid);
}

void at_process_state(uint32_t state) {
  __atomic_store_n(&at_header_page.header.state, state, __ATOMIC_RELEASE);
}

void at_process_leave(bool inside) {
  int kept = errno;
  struct at_thread *self = &at_self;
  /* A signal handler may have forked inside a hook, which goes on in the child: what it still writes goes nowhere. */
  if (inside && at_ring.base != NULL) at_extend_replace();
  bool stays = published && (at_settings.follow || !at_settings.hide);
  at_file_detach(stays ? AT_MODE_PENDING : AT_MODE_DORMANT);
  if (!inside) at_ring.base = NULL;
  self->key = AT_NO_KEY;
  self->lane = NULL;
  self->stack = NULL;
  self->gate = &self->own_gate;
  self->open = self->own_gate = 0;
  published = false;
  calls_waited = 0;
  memset(&at_owner_page, 0, sizeof at_owner_page);
  at_control_forget();
  at_populate_forget();
  at_lane_forget();
  at_extend_forget();
  at_maps_forget();
  errno = kept;
}

void at_process_wait(void) {
  uint32_t calls = at_settings.follow ? 1 : CALLS_TO_WAIT;
  if (__atomic_add_fetch(&calls_waited, 1, __ATOMIC_RELAXED) != calls) return;
  int kept = errno;
  if (!make_ring()) set_mode(AT_MODE_DORMANT);
  errno = kept;
}

static bool forked_inside;

static void before_fork(void) {
  forked_inside = !at_gate_is_outside(&at_self);
}

/* Forked by fork(): what raw system calls make is seen at the gate. */
static void in_child(void) {
  if (at_ring.base != NULL) at_process_leave(forked_inside);
}

static __attribute__((constructor)) void begin(void) {
  at_process_start();
  /* Not in the first hook: that may be called by pthread_atfork itself, which holds its lock. */
  pthread_atfork(before_fork, NULL, in_child);
}

void at_process_end(void) {
  int kept = errno;
  if (at_process_is_owner()) {
    at_process_state(AT_STATE_EXITED);
    if (at_header_page.header.activation == 0 && !at_settings.keep) at_file_remove();
  }
  errno = kept;
}

static __attribute__((destructor)) void end(void) {
  at_process_end();
}
