// A crowd for the collector benchmark: `sleepers COUNT [ACTIVE]` forks COUNT processes that wait for ever, of which the
// first ACTIVE wake ten times a second and touch a page of fresh memory each time. Prints `ready` when all run. They die
// with this program, which ends at the end of its standard input.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 4096 };

static void touch_for_ever(long number) {
  char *memory = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) _exit(1);
  // Spread over the tenth of a second, so that they do not wake as a herd.
  struct timespec pause = {.tv_sec = 0, .tv_nsec = 1000000L * (number % 100)};
  nanosleep(&pause, NULL);
  pause.tv_nsec = 100000000L;
  for (size_t page = 0;; page = (page + 1) % PAGES) {
    if (page == 0) madvise(memory, (size_t)PAGES * PAGE, MADV_DONTNEED);
    memory[page * PAGE] = 1;
    nanosleep(&pause, NULL);
  }
}

static void child(long number, long active, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  if (number < active) touch_for_ever(number);
  for (;;) pause();
}

int main(int argc, char **argv) {
  long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
  long active = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
  if (count < 1 || count > 1000000 || active < 0 || active > count) {
    fprintf(stderr, "usage: sleepers COUNT [ACTIVE]\n");
    return 1;
  }
  pid_t parent = getpid();
  for (long i = 0; i < count; i++) {
    pid_t pid = fork();
    if (pid == 0) child(i, active, parent);
    if (pid < 0) {
      fprintf(stderr, "sleepers: fork %ld of %ld: %s\n", i + 1, count, strerror(errno));
      return 1;
    }
  }
  printf("ready\n");
  fflush(stdout);
  char buffer[256];
  while (read(STDIN_FILENO, buffer, sizeof buffer) > 0) {
  }
  return 0;
}
