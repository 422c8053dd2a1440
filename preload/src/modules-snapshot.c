#define _GNU_SOURCE
#include "modules-snapshot.h"

#include <link.h>
#include <string.h>

/* Entries never change but for `state`; one that is gone comes back when the same object is loaded there again. */
enum { ENTRY_FREE, ENTRY_FILLING, ENTRY_LIVE, ENTRY_GONE };

struct entry {
  uint32_t state;
  uint32_t round; /* of the last refresh that saw it; only refreshes look at it */
  struct at_object object;
  char path[sizeof((struct at_module *)0)->path];
};

static struct entry entries[AT_MAX_MODULES];
static uint32_t rounds;

static uint32_t state_of(const struct entry *entry) { return __atomic_load_n(&entry->state, __ATOMIC_ACQUIRE); }

static bool same(const struct entry *entry, const struct at_object *object) {
  return entry->object.start == object->start && entry->object.end == object->end &&
         entry->object.bias == object->bias && entry->object.table == object->table &&
         strncmp(entry->path, object->path, sizeof entry->path - 1) == 0;
}

static void fill(struct entry *entry, const struct at_object *object, uint32_t number) {
  entry->object = *object;
  entry->object.identity = number + 1;
  entry->object.path = entry->path;
  strncpy(entry->path, object->path, sizeof entry->path - 1);
}

static void note(const struct at_object *object, uint32_t round) {
  for (uint32_t i = 0; i < AT_MAX_MODULES; i++) {
    struct entry *entry = &entries[i];
    uint32_t state = state_of(entry);
    if (state == ENTRY_FREE) {
      if (!__atomic_compare_exchange_n(&entry->state, &state, ENTRY_FILLING, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        continue;
      fill(entry, object, i);
    } else if (state == ENTRY_FILLING || !same(entry, object)) continue;
    entry->round = round;
    __atomic_store_n(&entry->state, ENTRY_LIVE, __ATOMIC_RELEASE);
    return;
  }
}

static int each(struct dl_phdr_info *info, size_t size, void *round) {
  struct at_object object = {.start = UINT64_MAX, .end = 0, .bias = info->dlpi_addr, .table = 0};
  (void)size;
  object.path = info->dlpi_name == NULL ? "" : info->dlpi_name;
  for (uint32_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    uint64_t first = info->dlpi_addr + segment->p_vaddr;
    if (segment->p_type == PT_GNU_EH_FRAME) object.table = first;
    if (segment->p_type != PT_LOAD) continue;
    uint64_t past = first + segment->p_memsz;
    first &= ~(uint64_t)(AT_PAGE - 1);
    if (first < object.start) object.start = first;
    if (past > object.end) object.end = past;
  }
  if (object.start < object.end) note(&object, *(const uint32_t *)round);
  return 0;
}

void at_snapshot_refresh(void) {
  uint32_t round = __atomic_add_fetch(&rounds, 1, __ATOMIC_ACQ_REL);
  dl_iterate_phdr(each, &round);
  for (uint32_t i = 0; i < AT_MAX_MODULES; i++) {
    struct entry *entry = &entries[i];
    uint32_t live = ENTRY_LIVE;
    if (state_of(entry) == ENTRY_FREE) return;
    if (state_of(entry) == ENTRY_LIVE && entry->round < round)
      __atomic_compare_exchange_n(&entry->state, &live, ENTRY_GONE, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
  }
}

bool at_snapshot_find(uint64_t address, struct at_object *object) {
  for (uint32_t i = 0; i < AT_MAX_MODULES; i++) {
    uint32_t state = state_of(&entries[i]);
    if (state == ENTRY_FREE) return false;
    if (state != ENTRY_LIVE) continue;
    if (address < entries[i].object.start || address >= entries[i].object.end) continue;
    *object = entries[i].object;
    return true;
  }
  return false;
}
