/*
 * process.h - the library's beginning and end in a process, and what becomes of it in forked children.
 */
#ifndef TIDEMARK_PROCESS_H
#define TIDEMARK_PROCESS_H

#include "ring.h"

/* Sets the library up when that has not been done and can be. Keeps errno. */
void at_process_start(void);

/* A call in a forked child that has no file yet: after some of them it makes one. Keeps errno. */
void at_process_wait(void);

/*
 * The calling process is a child that has its parent's memory: it lets go of the parent's file. `inside`: a hook may go on in it
 * that the fork interrupted. Keeps errno.
 */
void at_process_leave(bool inside);

/* Whether the calling process is the one whose file is mapped. May change errno. */
bool at_process_is_owner(void);

/* The process ends: the header says so, and a file that nobody ever used goes. Again is harmless. Keeps errno. */
void at_process_end(void);

/* Says in the header what becomes of the process (enum at_state). */
void at_process_state(uint32_t state);

#endif
