// The first process of a simulated host and the programs on it: `held-memory MEGABYTES PROGRAMS` forks PROGRAMS copies
// that hold MEGABYTES each and never change, prints `ready` when all do, and takes in the orphans of the host. When its
// standard input ends, so does it; the kernel then ends everything else in its pid namespace.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void hold(size_t bytes, int told) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) _exit(1);
  memset(memory, 1, bytes);
  if (write(told, "1", 1) != 1) _exit(1);
  close(told);
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  for (;;) pause();
}

static int wait_for_all(int told, long programs) {
  char byte;
  for (long ready = 0; ready < programs;) {
    ssize_t got = read(told, &byte, 1);
    if (got == 1) ready++;
    else if (got == 0 || errno != EINTR) return -1;
  }
  return 0;
}

int main(int argc, char **argv) {
  long megabytes = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
  long programs = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
  if (megabytes < 1 || megabytes > 100000 || programs < 1 || programs > 10000) {
    fprintf(stderr, "usage: held-memory MEGABYTES PROGRAMS\n");
    return 1;
  }
  int told[2];
  if (pipe(told) != 0) return 1;
  for (long number = 0; number < programs; number++) {
    pid_t pid = fork();
    if (pid < 0) return 1;
    if (pid == 0) {
      close(told[0]);
      hold((size_t)megabytes << 20, told[1]);
    }
  }
  close(told[1]);
  if (wait_for_all(told[0], programs) != 0) return 1;
  printf("ready\n");
  fflush(stdout);

  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  for (;;) {
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    if (poll(&input, 1, 1000) <= 0) continue;
    char ignored[64];
    if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0) return 0;
  }
}
