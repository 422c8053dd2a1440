#include <sys/syscall.h>
#include <unistd.h>

#include "hooks.h"
#include "process.h"

/* Programs that leave without destructors (shells do) would leave a file behind that nobody asked for. */
static __attribute__((noreturn)) void leave(int status) {
  at_process_end();
  for (;;) syscall(SYS_exit_group, status);
}

AT_EXPORT void _exit(int status) {
  leave(status);
}

AT_EXPORT void _Exit(int status) {
  leave(status);
}
