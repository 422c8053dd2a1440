/*
 * Stacks walked by the library and by libgcc's unwinder must be the same, frame by frame, for all shapes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "alloc_trace.h"
#include "ring.h"
#include "stack-shapes.h"
#include "stack-stand.h"

static void leaf(void) {
  stand_hook_compared(true);
  stand_hook_compared(true);
  stand_hook_compared(false);
}

static void all_shapes(void) {
  for (int depth = 0; depth < 75; depth += 3) {
    shape_recursion(leaf, depth);
    shape_variable(leaf, depth);
    shape_realigned(leaf, depth);
    shape_many_arguments(leaf, depth);
    shape_tail(leaf, depth);
    shape_registers(leaf, depth);
  }
  shape_large_frame(leaf);
  shape_library_callback(leaf);
  shape_exceptions(leaf, 9);
  shape_containers(leaf);
}

static void *in_thread(void *unused) {
  all_shapes();
  return unused;
}

static void in_threads(void) {
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) stand_must(pthread_create(&threads[i], NULL, in_thread, NULL) == 0, "a thread");
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static void on_signal(int signal) {
  (void)signal;
  stand_compare_in_handler();
}

static void raise_here(void) { raise(SIGUSR1); }

static void in_signals(void) {
  struct sigaction action = {.sa_handler = on_signal};
  static char room[1 << 16];
  stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
  sigaction(SIGUSR1, &action, NULL);
  shape_recursion(raise_here, 5);
  shape_realigned(raise_here, 5);
  shape_exceptions(raise_here, 4);
  sigaltstack(&stack, NULL);
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, NULL);
  shape_recursion(raise_here, 5);
  shape_registers(raise_here, 8);
}

#if defined(__x86_64__)
static void on_step(int signal) {
  (void)signal;
  stand_compare_in_handler();
}

/* Sets or clears the trap flag; with tables of its own, since the steps begin and end inside. */
#define STEPPING(name, change)                                                                                          \
  __asm__(".text\n" #name ": .cfi_startproc\n pushfq\n .cfi_adjust_cfa_offset 8\n " change                               \
          ", (%rsp)\n popfq\n .cfi_adjust_cfa_offset -8\n ret\n .cfi_endproc\n")
STEPPING(stepping_on, "orq $0x100");
STEPPING(stepping_off, "andq $~0x100");
void stepping_on(void) __asm__("stepping_on");
void stepping_off(void) __asm__("stepping_off");

static void nothing(void) {}

/* Every instruction, so that prologues, epilogues and the procedure linkage table are among them. */
static void step_by_step(void) {
  struct sigaction action = {.sa_handler = on_step};
  sigaction(SIGTRAP, &action, NULL);
  stepping_on();
  shape_recursion(nothing, 3);
  shape_variable(nothing, 3);
  shape_many_arguments(nothing, 3);
  shape_tail(nothing, 4);
  shape_registers(nothing, 4);
  shape_library_callback(nothing);
  shape_linkage(2);
  stepping_off();
}
#else
static void step_by_step(void) {}
#endif

static uint32_t generated_sites[3];
static int generated_count;

static void through_generated_code(void) {
  uint32_t site = stand_hook();
  stand_hook_twice();
  stand_must(stand_figures.wrong_memo == 0, "what is remembered is what a walk finds");
  generated_sites[generated_count++] = site;
}

#if defined(__x86_64__)
/* Code that no table knows, as a run-time compiler makes it: calls its first argument. */
static void in_generated_code(void) {
  static const unsigned char with_pointer[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
  /* sub $8,%rsp; call *%rdi; add $8,%rsp; ret */
  static const unsigned char without[] = {0x48, 0x83, 0xec, 0x08, 0xff, 0xd7, 0x48, 0x83, 0xc4, 0x08, 0xc3};
  /* push %rbp; mov $imm32,%rbp; call *%rdi; pop %rbp; ret */
  static const unsigned char astray[] = {0x55, 0x48, 0xc7, 0xc5, 0xf8, 0xff, 0xff, 0x7f, 0xff, 0xd7, 0x5d, 0xc3};
  unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stand_must(code != MAP_FAILED, "room for code");
  memcpy(code, with_pointer, sizeof with_pointer);
  memcpy(code + 64, without, sizeof without);
  memcpy(code + 128, astray, sizeof astray);
  for (int i = 0; i < 3; i++) {
    void (*run)(void (*)(void));
    *(void **)&run = code + i * 64;
    run(through_generated_code);
  }
  uint64_t addresses[AT_MAX_FRAMES];
  uint32_t flags;
  for (int i = 0; i < 3; i++) {
    size_t depth = stand_frames(generated_sites[i], addresses, &flags);
    uint64_t first = (uint64_t)(uintptr_t)code + (uint64_t)i * 64;
    stand_must(depth >= 2 && addresses[1] > first && addresses[1] < first + 64, "the generated frame is there");
    stand_must(stand_path(generated_sites[i], 1) == NULL, "it belongs to no module");
    if (i == 0) stand_must((flags & AT_SITE_TRUNCATED) == 0 && depth >= 4, "by the frame pointer to the end");
    if (i == 2) stand_must((flags & AT_SITE_TRUNCATED) != 0 && depth == 2, "no further than can be known");
  }
}
#else
static void in_generated_code(void) {}
#endif

static ucontext_t outside;
static ucontext_t inside;

static void fiber(void) {
  shape_recursion(leaf, 7);
  shape_variable(leaf, 7);
}

static void in_fiber(void) {
  size_t bytes = 1 << 16;
  char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int round = 0; round < 3; round++) {
    getcontext(&inside);
    inside.uc_stack = (stack_t){.ss_sp = stack, .ss_size = bytes};
    inside.uc_link = &outside;
    makecontext(&inside, fiber, 0);
    swapcontext(&outside, &inside);
  }
  munmap(stack, bytes);
}

static void in_plugin(void) {
  for (int round = 0; round < 20; round++) {
    void *plugin = dlopen(round % 2 == 0 ? PLUGIN_A : PLUGIN_B, RTLD_NOW);
    stand_must(plugin != NULL, "the plugin");
    void (*call)(void (*)(void), int);
    *(void **)&call = dlsym(plugin, "plugin_call");
    call(leaf, round % 5);
    call(leaf, round % 5);
    dlclose(plugin);
  }
  uint32_t unloaded = 0;
  for (uint32_t i = 1; i < at_ring.header->module_count; i++) {
    const struct at_module *module = &at_ring.modules[i];
    bool is_plugin = strstr(module->path, "plugin") != NULL;
    stand_must((module->unloaded != 0) == is_plugin, "modules are unloaded when they are, and only then");
    stand_must(module->build_id_bytes == 20 || strstr(module->path, "vdso") != NULL, "a build id");
    unloaded += module->unloaded;
  }
  stand_must(unloaded == 20, "each load of the plugin is a module of its own");
}

static void figures(const char *what) {
  static struct stand_figures before;
  printf("%-16s %8lu stacks, %9lu frames the same, %lu differ\n", what,
         (unsigned long)(stand_figures.compared - before.compared), (unsigned long)(stand_figures.frames - before.frames),
         (unsigned long)(stand_figures.differing - before.differing));
  stand_must(stand_figures.compared > before.compared, "something was compared");
  before = stand_figures;
}

int main(void) {
  stand_start();
  all_shapes();
  figures("shapes");
  in_threads();
  figures("threads");
  in_signals();
  figures("signals");
  in_fiber();
  figures("fibers");
  in_plugin();
  figures("plugins");
  in_generated_code();
  step_by_step();
  figures("single steps");
  stand_must(stand_figures.differing == 0, "all stacks are the same");
  return 0;
}
