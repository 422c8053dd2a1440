#include "identity.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void at_identity_decimal(uint32_t value, char *to) {
  char digits[16];
  size_t at = sizeof digits;
  digits[--at] = '\0';
  do digits[--at] = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  memcpy(to, digits + at, sizeof digits - at);
}

uint32_t at_identity_thread(void) {
  return (uint32_t)syscall(SYS_gettid);
}

bool at_identity_is(uint32_t pid) {
  return (uint32_t)syscall(SYS_getpid) == pid;
}

/* Field 22 of /proc/[pid]/stat; the name in field 2 may hold anything, so that counting begins after its last ')'. */
static uint64_t start_time(void) {
  char text[1024];
  int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t got = read(file, text, sizeof text - 1);
  close(file);
  if (got <= 0) return 0;
  text[got] = '\0';
  const char *at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 22; field++) {
    at = strchr(at, ' ');
    if (at != NULL) at++;
  }
  uint64_t value = 0;
  for (; at != NULL && *at >= '0' && *at <= '9'; at++) value = value * 10 + (uint64_t)(*at - '0');
  return value;
}

void at_identity_fill(struct at_header *header) {
  header->pid = (uint32_t)syscall(SYS_getpid);
  header->parent = (uint32_t)getppid();
  header->start_time = start_time();
  char path[4096];
  ssize_t got = readlink("/proc/self/exe", path, sizeof path - 1);
  if (got <= 0) return;
  path[got] = '\0';
  const char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;
  size_t bytes = strnlen(name, sizeof header->program - 1);
  memcpy(header->program, name, bytes);
}
