/*
 * plugin-loop.c - loads and unloads a plugin again and again; it leaks one block each time.
 *
 *   plugin-loop PLUGIN TIMES
 */
#define _GNU_SOURCE
#include "probe.h"

#include <dlfcn.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int times = atoi(argv[2]);
  struct probe before, after;
  probe_open();
  probe_take(&before);
  for (int i = 0; i < times; i++) {
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!plugin) return 3;
    void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_allocate");
    free(allocate(6002));
    kept(allocate(6003));
    if (dlclose(plugin) != 0) return 4;
  }
  probe_take(&after);
  say("{\"times\":%d,\"liveBlocks\":%lld}\n", times, (long long)(after.live_blocks - before.live_blocks));
  return 0;
}
