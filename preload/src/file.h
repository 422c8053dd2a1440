/*
 * file.h - the ring file in the run directory.
 */
#ifndef TIDEMARK_FILE_H
#define TIDEMARK_FILE_H

#include "ring.h"

/*
 * Makes the file of this process and maps it: the header over at_header_page, its first part without access at
 * at_ring.base.
 * The file gets its name with at_file_publish. false: there is none, the reason was said on request, nothing is left behind.
 */
bool at_file_make(void);
bool at_file_publish(void);

/* Removes the file when it still is the one that was made. */
void at_file_remove(void);

/* For kernels without MADV_POPULATE_WRITE: asks the file system for memory, through the path. */
bool at_file_reserve(uint64_t offset, uint64_t bytes);

/* Puts private zeroed memory over at_header_page, with this mode. */
void at_file_detach(uint32_t mode);

#endif
