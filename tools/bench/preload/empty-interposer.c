/*
 * empty-interposer.c - passes every call on and does nothing else: the least that any preloaded library costs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

/* glibc's own names, so that what happens before dlsym can answer needs no arena. */
extern void *__libc_malloc(size_t size);
extern void __libc_free(void *block);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

static void *(*real_malloc)(size_t) = __libc_malloc;
static void (*real_free)(void *) = __libc_free;
static void *(*real_calloc)(size_t, size_t) = __libc_calloc;
static void *(*real_realloc)(void *, size_t) = __libc_realloc;

__attribute__((constructor)) static void look_up(void) {
  real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
  real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
  real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
}

void *malloc(size_t size) { return real_malloc(size); }
void free(void *block) { real_free(block); }
void *calloc(size_t count, size_t size) { return real_calloc(count, size); }
void *realloc(void *block, size_t size) { return real_realloc(block, size); }
