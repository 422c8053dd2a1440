/*
 * timed.c - runs a program and says how long it took: seconds of wall clock, of user time and of system time, with all its
 * descendants that were waited for, and the largest resident size of one of them in kilobytes. The line goes to FILE.
 *
 *   timed FILE PROGRAM ARGUMENTS…     environment of the program: KEY=VALUE… before PROGRAM
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  double start = now();
  pid_t child = fork();
  if (child == 0) {
    int first = 2;
    for (; first < argc && strchr(argv[first], '='); first++) putenv(argv[first]);
    if (first < argc) execvp(argv[first], argv + first);
    _exit(127);
  }
  int status;
  struct rusage usage;
  if (child < 0 || wait4(child, &status, 0, &usage) < 0) return 3;
  double wall = now() - start;
  FILE *file = fopen(argv[1], "w");
  if (!file) return 4;
  fprintf(file, "%.6f %.6f %.6f %ld\n", wall, seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss);
  fclose(file);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
