#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hide.h"
#include "hooks.h"
#include "process.h"

/*
 * An image that replaces itself says so in its file, and takes our variables along that it does not see. A child of vfork
 * has our memory but is another process: it does neither.
 */

struct exec {
  enum { BY_PATH, BY_SEARCH, BY_FILE, BY_DIRECTORY } how;
  const char *path;
  int file;
  int flags;
  char *const *arguments;
  char *const *environment;
};

static int (*real_execve)(const char *, char *const *, char *const *);
static int (*real_execvpe)(const char *, char *const *, char *const *);
static int (*real_fexecve)(int, char *const *, char *const *);
static int (*real_execveat)(int, const char *, char *const *, char *const *, int);

#define FIND(function) \
  do { \
    void *found = at_real_next(#function); \
    memcpy(&real_##function, &found, sizeof found); \
  } while (0)

void at_hooks_find_exec(void) {
  FIND(execve);
  FIND(execvpe);
  FIND(fexecve);
  FIND(execveat);
}

static int call(const struct exec *exec) {
  char *const *arguments = exec->arguments;
  char *const *environment = exec->environment;
  if (real_execve == NULL) at_hooks_find_exec();
  switch (exec->how) {
    case BY_SEARCH:
      return real_execvpe(exec->path, arguments, environment);
    case BY_FILE:
      return real_fexecve(exec->file, arguments, environment);
    case BY_DIRECTORY:
      if (real_execveat != NULL) return real_execveat(exec->file, exec->path, arguments, environment, exec->flags);
      return (int)syscall(SYS_execveat, exec->file, exec->path, arguments, environment, exec->flags);
    default:
      return real_execve(exec->path, arguments, environment);
  }
}

static size_t entries_of(char *const *list) {
  size_t count = 0;
  while (list[count] != NULL) count++;
  return count;
}

/* The memory goes with the image, or is given back when the call fails. */
static int call_with_variables(struct exec *exec) {
  static char *const none[] = {NULL};
  char *const *given = exec->environment != NULL ? exec->environment : none;
  size_t pointers = entries_of(given) + at_hide_count() + 2;
  size_t bytes = pointers * sizeof(char *) + at_hide_text_bytes(given);
  void *memory = (void *)syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
  if (memory == MAP_FAILED) return call(exec);
  at_hide_restore(given, memory, (char *)memory + pointers * sizeof(char *));
  exec->environment = memory;
  int result = call(exec);
  int kept = errno;
  syscall(SYS_munmap, memory, bytes);
  errno = kept;
  return result;
}

static int replace(struct exec *exec) {
  int kept = errno;
  bool ours = at_process_is_owner();
  errno = kept;
  if (!ours) return call(exec);
  at_process_state(AT_STATE_EXECED);
  int result = at_hide_count() > 0 ? call_with_variables(exec) : call(exec);
  at_process_state(AT_STATE_READY);
  return result;
}

AT_EXPORT int execve(const char *path, char *const arguments[], char *const environment[]) {
  return replace(&(struct exec){.how = BY_PATH, .path = path, .arguments = arguments, .environment = environment});
}

AT_EXPORT int execv(const char *path, char *const arguments[]) {
  return replace(&(struct exec){.how = BY_PATH, .path = path, .arguments = arguments, .environment = environ});
}

AT_EXPORT int execvp(const char *path, char *const arguments[]) {
  return replace(&(struct exec){.how = BY_SEARCH, .path = path, .arguments = arguments, .environment = environ});
}

AT_EXPORT int execvpe(const char *path, char *const arguments[], char *const environment[]) {
  return replace(&(struct exec){.how = BY_SEARCH, .path = path, .arguments = arguments, .environment = environment});
}

AT_EXPORT int fexecve(int file, char *const arguments[], char *const environment[]) {
  return replace(&(struct exec){.how = BY_FILE, .file = file, .arguments = arguments, .environment = environment});
}

AT_EXPORT int execveat(int directory, const char *path, char *const arguments[], char *const environment[], int flags) {
  struct exec exec = {.how = BY_DIRECTORY, .path = path, .file = directory, .flags = flags};
  exec.arguments = arguments;
  exec.environment = environment;
  return replace(&exec);
}

static size_t count_list(va_list list) {
  size_t count = 1;
  while (va_arg(list, char *) != NULL) count++;
  return count;
}

/* Arguments given one by one, as an array on the stack; `environment` is what follows their end when it is asked for. */
#define COLLECT(first) \
  va_list list, counted; \
  va_start(list, first); \
  va_copy(counted, list); \
  size_t count = count_list(counted); \
  va_end(counted); \
  char *arguments[count + 1]; \
  arguments[0] = (char *)(uintptr_t)first; \
  for (size_t i = 1; i <= count; i++) arguments[i] = va_arg(list, char *)

AT_EXPORT int execl(const char *path, const char *first, ...) {
  COLLECT(first);
  va_end(list);
  return replace(&(struct exec){.how = BY_PATH, .path = path, .arguments = arguments, .environment = environ});
}

AT_EXPORT int execlp(const char *path, const char *first, ...) {
  COLLECT(first);
  va_end(list);
  return replace(&(struct exec){.how = BY_SEARCH, .path = path, .arguments = arguments, .environment = environ});
}

AT_EXPORT int execle(const char *path, const char *first, ...) {
  COLLECT(first);
  char *const *environment = va_arg(list, char *const *);
  va_end(list);
  return replace(&(struct exec){.how = BY_PATH, .path = path, .arguments = arguments, .environment = environment});
}
