/*
 * hooks-exact.h - malloc and free of exact mode in their common case.
 */
#ifndef TIDEMARK_HOOKS_EXACT_H
#define TIDEMARK_HOOKS_EXACT_H

#include <stddef.h>

void *at_exact_malloc(size_t bytes) __attribute__((visibility("hidden")));
void at_exact_free(void *block) __attribute__((visibility("hidden")));

/* Every other case. */
void *at_traced_malloc(size_t bytes) __attribute__((visibility("hidden")));
void at_traced_free(void *block) __attribute__((visibility("hidden")));

#endif
