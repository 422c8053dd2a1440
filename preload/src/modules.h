/*
 * modules.h - the loaded objects: which one an address belongs to, and its number in the ring.
 *
 * Where the C library offers _dl_find_object (glibc 2.35) it is asked: lock-free, and always right. Elsewhere a table of
 * objects is kept: filled at the start and after dlclose by dl_iterate_phdr, which takes a lock and is therefore never
 * called in a hook; objects that were loaded since are not known.
 *
 * An object that is unloaded takes its rules and memos with it: all that is remembered carries a stamp, which changes.
 * dlclose is interposed for that. What unloads without it (the C library's own plugins, dlclose by a symbol of the C library's
 * inside) is noticed when another object is found in the same place.
 */
#ifndef TIDEMARK_MODULES_H
#define TIDEMARK_MODULES_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/* A loaded object. */
struct at_object {
  uint64_t start; /* mapped address range */
  uint64_t end;
  uint64_t bias;
  uint64_t table;    /* address of its .eh_frame_hdr; 0: it has none */
  uint64_t identity; /* differs between objects that are loaded at the same time */
  const char *path;  /* "" for the program itself */
};

/* Bits 0-15: calls of dlclose that are under way. Bits 16-47: counts unloads. */
extern uint64_t at_modules_generation __attribute__((visibility("hidden")));

#define AT_STAMP_CLOSING 0xffffu

/*
 * What everything remembered of code and sites must carry: it is void when this has changed. While its AT_STAMP_CLOSING bits
 * are not 0, nothing is to be remembered.
 */
static inline uint64_t at_stamp(void) {
  return __atomic_load_n(&at_modules_generation, __ATOMIC_RELAXED) | ((uint64_t)at_ring.epoch << 48);
}

void at_modules_init(void);

/* false: no object is known to be there. */
bool at_modules_find(uint64_t address, struct at_object *object);

/* Number of the object in the ring, entered when it was not there; 0: no room. */
uint32_t at_modules_number(const struct at_object *object);

/*
 * An address was found to be in no object, and that will be remembered: the stamp changes with the next object that is
 * entered, which may lie there.
 */
void at_modules_unknown(void);

/* Whether it is the object that this library is. */
bool at_modules_own(const struct at_object *object);

#endif
