/*
 * versions.h - read before every source: the versions of symbols that old C libraries have as well. Since glibc 2.34 the newer
 * ones are the same functions in another file; before it they are in libdl.so.2, which therefore is always needed.
 */
#ifndef TIDEMARK_VERSIONS_H
#define TIDEMARK_VERSIONS_H

#if defined(__GLIBC__) || defined(__linux__)
#if defined(__x86_64__)
#define AT_OLDEST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define AT_OLDEST "GLIBC_2.17"
#endif
#endif

#ifdef AT_OLDEST
__asm__(".symver dlsym, dlsym@" AT_OLDEST);
__asm__(".symver dlopen, dlopen@" AT_OLDEST);
#endif

#endif
