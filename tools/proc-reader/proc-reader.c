// The reference of the collector benchmark: how much CPU time it takes a C program to read the files of every process
// when they are kept open and nothing is done with their text but looking at its first byte.
//
//   proc-reader FILE...     e.g. `proc-reader stat statm`
//
// For each line on standard input it reads every file of every process once (one round) and answers with one line:
// `processes reads bytes cpu_us`. The list of processes is taken once, at the start. Ends at the end of the input.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_FILES = 4, BUFFER = 65536 };

static char buffer[BUFFER];

static long long cpu_us(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void fail(const char *what) {
  fprintf(stderr, "proc-reader: %s: %s\n", what, strerror(errno));
  exit(1);
}

// Opens the wanted files of every process; those that cannot be opened are left out. Gives the number of descriptors.
static size_t open_all(char **names, int name_count, int **fds, size_t *processes) {
  size_t count = 0, room = 0;
  DIR *directory = opendir("/proc");
  if (!directory) fail("/proc");
  for (struct dirent *entry; (entry = readdir(directory));) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    int opened = 0;
    for (int i = 0; i < name_count; i++) {
      char path[64];
      snprintf(path, sizeof path, "/proc/%.20s/%.30s", entry->d_name, names[i]);
      int fd = open(path, O_RDONLY | O_CLOEXEC);
      if (fd < 0) {
        if (errno == EMFILE) fail("too many files: raise `ulimit -n`");
        continue;
      }
      if (count == room) {
        room = room ? room * 2 : 1024;
        *fds = realloc(*fds, room * sizeof **fds);
        if (!*fds) fail("memory");
      }
      (*fds)[count++] = fd;
      opened = 1;
    }
    *processes += opened;
  }
  closedir(directory);
  return count;
}

int main(int argc, char **argv) {
  if (argc < 2 || argc - 1 > MAX_FILES) {
    fprintf(stderr, "usage: proc-reader FILE... (1 to %d names of files in /proc/PID)\n", MAX_FILES);
    return 1;
  }
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  int *fds = NULL;
  size_t processes = 0;
  size_t count = open_all(argv + 1, argc - 1, &fds, &processes);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    long long before = cpu_us(), bytes = 0;
    unsigned long reads = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
      ssize_t got = pread(fds[i], buffer, sizeof buffer, 0);
      reads++;
      if (got <= 0) continue;
      bytes += got;
      sum += (unsigned char)buffer[0];
    }
    long long spent = cpu_us() - before;
    if (sum == 0) fail("nothing could be read");
    printf("%zu %lu %lld %lld\n", processes, reads, bytes, spent);
    fflush(stdout);
  }
  free(fds);
  return 0;
}
