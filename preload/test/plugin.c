/* plugin.c - loaded and unloaded by plugin-loop.c. */
#include <stdlib.h>

static void *at_load;

__attribute__((constructor)) static void load(void) { at_load = malloc(6001); }

__attribute__((destructor)) static void unload(void) { free(at_load); }

__attribute__((noinline)) void *plugin_allocate(size_t size) {
  void *block = malloc(size);
  __asm__ volatile("" : "+r"(block));
  return block;
}
