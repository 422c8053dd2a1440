/*
 * modules-elf.h - what the program headers of a loaded object say. They are read where they are mapped, within the
 * range of the object.
 */
#ifndef TIDEMARK_MODULES_ELF_H
#define TIDEMARK_MODULES_ELF_H

#include "modules.h"

/* GNU build id (note NT_GNU_BUILD_ID): copies up to `limit` bytes, returns how many; 0: the object has none. */
uint32_t at_elf_build_id(const struct at_object *object, uint8_t *id, uint32_t limit);

#endif
