#define _GNU_SOURCE
#include "modules.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "modules-elf.h"
#include "modules-snapshot.h"

/* struct dl_find_object of glibc 2.35, for building with older headers. */
struct found_object {
  unsigned long long flags;
  void *start;
  void *end;
  struct link_map *map;
  void *table;
  unsigned long long reserved[9];
};

uint64_t at_modules_generation = 1u << 16;

static int (*find_object)(void *, struct found_object *);
static int (*real_dlclose)(void *);
static char program[sizeof((struct at_module *)0)->path];
static uint64_t own_start;
static uint32_t unknown; /* at_modules_unknown was called since the last object was entered */

/*
 * Objects that have a number: the claim is (start / AT_PAGE) | epoch << 45 | gone << 63, and is only ever set from 0, or to
 * gone, or anew in another epoch. First free place wins, so that no object gets two numbers.
 */
#define CLAIM_GONE ((uint64_t)1 << 63)
static uint64_t claims[AT_MAX_MODULES];
static uint64_t identities[AT_MAX_MODULES];
static uint64_t ends[AT_MAX_MODULES];
static uint8_t written[AT_MAX_MODULES]; /* low byte of (epoch + 1) when the ring has the entry */

#define NO_REGIONS (AT_MODE_UNREADY | AT_MODE_PENDING)

static uint64_t claim_epoch(void) { return (uint64_t)(at_ring.epoch & 0x3ffffu) << 45; }
static uint8_t epoch_byte(void) { return (uint8_t)(at_ring.epoch % 255 + 1); }
static uint64_t claim_start(uint64_t claim) { return (claim & (((uint64_t)1 << 45) - 1)) * AT_PAGE; }

bool at_modules_find(uint64_t address, struct at_object *object) {
  if (find_object == NULL) return at_snapshot_find(address, object);
  struct found_object found;
  if (find_object((void *)(uintptr_t)address, &found) != 0) return false;
  object->start = (uint64_t)(uintptr_t)found.start;
  object->end = (uint64_t)(uintptr_t)found.end;
  object->bias = found.map->l_addr;
  object->table = (uint64_t)(uintptr_t)found.table;
  object->identity = (uint64_t)(uintptr_t)found.map;
  object->path = found.map->l_name == NULL ? "" : found.map->l_name;
  return true;
}

static void change_stamp(void) { __atomic_fetch_add(&at_modules_generation, 1u << 16, __ATOMIC_ACQ_REL); }

void at_modules_unknown(void) {
  if (__atomic_load_n(&unknown, __ATOMIC_RELAXED) == 0) __atomic_store_n(&unknown, 1, __ATOMIC_RELEASE);
}

static void mark_gone(uint32_t number) {
  uint64_t claim = __atomic_load_n(&claims[number], __ATOMIC_ACQUIRE);
  if ((claim & CLAIM_GONE) != 0 || claim == 0) return;
  if (!__atomic_compare_exchange_n(&claims[number], &claim, claim | CLAIM_GONE, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return;
  /* a forked child without a file of its own has no regions: what it will enter then is a new epoch's */
  bool mapped = (__atomic_load_n(&at_header_page.header.control.mode, __ATOMIC_ACQUIRE) & NO_REGIONS) == 0;
  if (mapped && __atomic_load_n(&written[number], __ATOMIC_ACQUIRE) == epoch_byte())
    __atomic_store_n(&at_ring.modules[number].unloaded, 1, __ATOMIC_RELEASE);
  change_stamp();
}

/* Entries under the count are complete: whoever completes one moves the count over all that follow. */
static void publish(void) {
  uint32_t *count = &at_ring.header->module_count;
  uint32_t seen = __atomic_load_n(count, __ATOMIC_ACQUIRE);
  for (;;) {
    uint32_t next = seen == 0 ? 1 : seen;
    while (next < AT_MAX_MODULES && __atomic_load_n(&written[next], __ATOMIC_ACQUIRE) == epoch_byte()) next++;
    if (next <= seen) return;
    if (__atomic_compare_exchange_n(count, &seen, next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) seen = next;
  }
}

static bool has_room(uint32_t number) {
  const struct at_region *region = &at_ring.header->modules;
  if (number >= region->capacity) return false;
  return at_ring_use(region, (uint64_t)number * sizeof(struct at_module), sizeof(struct at_module));
}

static void enter(uint32_t number, const struct at_object *object) {
  struct at_module *module = &at_ring.modules[number];
  const char *path = object->path[0] == 0 ? program : object->path;
  size_t bytes = strnlen(path, sizeof module->path - 1);
  module->start = object->start;
  module->end = object->end;
  module->bias = object->bias;
  module->unloaded = 0;
  memcpy(module->path, path, bytes);
  memset(module->path + bytes, 0, sizeof module->path - bytes);
  module->path_bytes = (uint16_t)bytes;
  module->build_id_bytes = (uint16_t)at_elf_build_id(object, module->build_id, sizeof module->build_id);
  __atomic_store_n(&ends[number], object->end, __ATOMIC_RELAXED);
  __atomic_store_n(&identities[number], object->identity, __ATOMIC_RELEASE);
  __atomic_store_n(&written[number], epoch_byte(), __ATOMIC_RELEASE);
  publish();
  if (__atomic_exchange_n(&unknown, 0, __ATOMIC_ACQ_REL) != 0) change_stamp();
}

/* Whether entry `number`, which starts where the object starts, is the object. */
static bool same_object(uint32_t number, const struct at_object *object) {
  if (__atomic_load_n(&written[number], __ATOMIC_ACQUIRE) != epoch_byte()) return true;
  return __atomic_load_n(&identities[number], __ATOMIC_ACQUIRE) == object->identity &&
         __atomic_load_n(&ends[number], __ATOMIC_RELAXED) == object->end;
}

static bool overlaps(uint32_t number, uint64_t start, const struct at_object *object) {
  if (__atomic_load_n(&written[number], __ATOMIC_ACQUIRE) != epoch_byte()) return false;
  return start < object->end && object->start < __atomic_load_n(&ends[number], __ATOMIC_RELAXED);
}

uint32_t at_modules_number(const struct at_object *object) {
  uint64_t wanted = object->start / AT_PAGE | claim_epoch();
  for (uint32_t number = 1; number < AT_MAX_MODULES; number++) {
    uint64_t claim = __atomic_load_n(&claims[number], __ATOMIC_ACQUIRE);
    if (claim == wanted) {
      if (same_object(number, object)) return number;
      mark_gone(number);
      continue;
    }
    bool current = claim != 0 && (claim & ((uint64_t)0x3ffff << 45)) == claim_epoch();
    if (current) {
      if ((claim & CLAIM_GONE) == 0 && overlaps(number, claim_start(claim), object)) mark_gone(number);
      continue;
    }
    if (!has_room(number)) return 0;
    if (__atomic_compare_exchange_n(&claims[number], &claim, wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      __atomic_store_n(&written[number], 0, __ATOMIC_RELEASE);
      enter(number, object);
      return number;
    }
    number--; /* somebody else took the place: look at it again */
  }
  return 0;
}

bool at_modules_own(const struct at_object *object) { return object->start == own_start && own_start != 0; }

void at_modules_init(void) {
  ssize_t bytes = readlink("/proc/self/exe", program, sizeof program - 1);
  program[bytes < 0 ? 0 : bytes] = 0;
  *(void **)&find_object = dlsym(RTLD_DEFAULT, "_dl_find_object");
  if (real_dlclose == NULL) *(void **)&real_dlclose = dlsym(RTLD_NEXT, "dlclose");
  if (find_object == NULL) at_snapshot_refresh();
  struct at_object object;
  /* in a program that has the library's parts linked into it (tests), its frames are those of the program */
  if (at_modules_find((uint64_t)(uintptr_t)&at_modules_init, &object) && object.path[0] != 0) own_start = object.start;
}

/* Marks what is no longer there. */
static void sweep(void) {
  for (uint32_t number = 1; number < AT_MAX_MODULES; number++) {
    uint64_t claim = __atomic_load_n(&claims[number], __ATOMIC_ACQUIRE);
    if (claim == 0) return;
    if ((claim & CLAIM_GONE) != 0 || (claim & ((uint64_t)0x3ffff << 45)) != claim_epoch()) continue;
    struct at_object object;
    if (!at_modules_find(claim_start(claim), &object) || object.start != claim_start(claim) ||
        !same_object(number, &object))
      mark_gone(number);
  }
}

__attribute__((visibility("default"))) int dlclose(void *handle) {
  if (real_dlclose == NULL) *(void **)&real_dlclose = dlsym(RTLD_NEXT, "dlclose");
  if (real_dlclose == NULL) return -1;
  __atomic_fetch_add(&at_modules_generation, 1, __ATOMIC_ACQ_REL);
  int result = real_dlclose(handle);
  if (find_object == NULL) at_snapshot_refresh();
  sweep();
  __atomic_fetch_sub(&at_modules_generation, 1, __ATOMIC_ACQ_REL);
  return result;
}
