/*
 * modules-snapshot.h - a table of the loaded objects, for C libraries that cannot be asked in a hook.
 */
#ifndef TIDEMARK_MODULES_SNAPSHOT_H
#define TIDEMARK_MODULES_SNAPSHOT_H

#include "modules.h"

/* Makes the table say what is loaded now. Takes the dynamic linker's lock: never in a hook. */
void at_snapshot_refresh(void);

/* Lock-free. */
bool at_snapshot_find(uint64_t address, struct at_object *object);

#endif
