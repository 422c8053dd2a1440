/*
 * hide.h - with TIDEMARK_HIDE=1 the host does not see our variables in its environment.
 */
#ifndef TIDEMARK_HIDE_H
#define TIDEMARK_HIDE_H

#include <stddef.h>

/* Takes our variables out of environ, and remembers them. Once, at the start. */
void at_hide_begin(void);

/* Entries to be added to the environment of the next image so that it is traced as well; 0 when nothing was taken out. */
size_t at_hide_count(void);

/*
 * Writes the environment of the next image to `to`, which has room for as many pointers as `environment` has entries, and
 * at_hide_count() + 1 more. `text` has room for at_hide_text_bytes(environment).
 */
void at_hide_restore(char *const *environment, char **to, char *text);
size_t at_hide_text_bytes(char *const *environment);

#endif
