/* map-entry-points.c - mmap, munmap and mremap of anonymous memory, and what is none. Prints one JSON line a case. */
#define _GNU_SOURCE
#include "probe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1ul << 20)

static struct tally tally;

static char *map(size_t bytes) {
  void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block != MAP_FAILED) tally_allocation(&tally, block, bytes);
  return block;
}

static void unmap(void *block, size_t bytes) {
  if (munmap(block, bytes) == 0) tally_free(&tally, bytes);
}

static void case_map(void) {
  char *block = map(MIB);
  memset(block, 1, MIB);
  unmap(block, MIB);
  map(3 * MIB);
}

/* `failed` is of allocators: a mapping that the kernel refuses counts nowhere. */
static void case_map_refused(void) { map((size_t)1 << 60); }

static void case_map_of_a_file(void) {
  int fd = open("/proc/self/exe", O_RDONLY);
  void *block = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  munmap(block, 4096);
  close(fd);
}

static void case_shared_map(void) {
  void *block = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  tally_allocation(&tally, block, MIB);
  unmap(block, MIB);
}

static void case_mremap(void) {
  char *block = map(MIB);
  strcpy(block, "tidemark");
  char *larger = mremap(block, MIB, 64 * MIB, MREMAP_MAYMOVE);
  tally_free(&tally, MIB);
  tally_allocation(&tally, strcmp(larger, "tidemark") == 0 ? larger : NULL, 64 * MIB);
  char *smaller = mremap(larger, 64 * MIB, 2 * MIB, 0);
  tally_free(&tally, 64 * MIB);
  tally_allocation(&tally, smaller, 2 * MIB);
  unmap(smaller, 2 * MIB);
}

static void case_mremap_refused(void) {
  char *block = map(MIB);
  if (mremap(block, MIB, (size_t)1 << 60, MREMAP_MAYMOVE) == MAP_FAILED) unmap(block, MIB);
}

static void case_unmap_of_nothing(void) { munmap((void *)0x10000, 4096); }

static void run(const char *name, void (*body)(void)) {
  struct probe before, after;
  memset(&tally, 0, sizeof tally);
  probe_take(&before);
  body();
  probe_take(&after);
  say_case(name, &tally, &before, &after);
}

int main(void) {
  probe_open();
  run("map", case_map);
  run("map_refused", case_map_refused);
  run("map_of_a_file", case_map_of_a_file);
  run("shared_map", case_shared_map);
  run("mremap", case_mremap);
  run("mremap_refused", case_mremap_refused);
  run("unmap_of_nothing", case_unmap_of_nothing);
  return 0;
}
