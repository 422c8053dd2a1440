/*
 * processes.c - makes processes and threads in every way there is, while it allocates. Children allocate, check what they were
 * given, and end; the parent's own counts must not be touched by any of them.
 *
 *   processes fork|vfork|spawn|clone|threads|crowd COUNT
 */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static struct tally tally;
static int failures;

static void work_a_little(struct tally *mine) {
  char *blocks[20];
  for (size_t i = 0; i < 20; i++) {
    blocks[i] = malloc(30 + i * 11);
    tally_allocation(mine, blocks[i], 30 + i * 11);
    memset(blocks[i], (int)i, 30 + i * 11);
  }
  for (size_t i = 0; i < 19; i++) {
    if (blocks[i][29 + i * 11] != (char)i) failures++;
    free(blocks[i]);
    tally_free(mine, 30 + i * 11);
  }
}

/* Ends without destructors, as children of servers do, or with them. */
static void live_as_a_child(int number) {
  struct tally own = { 0 };
  work_a_little(&own);
  if (number % 2) exit(failures ? 1 : 42);
  _exit(failures ? 1 : 42);
}

static void reap(pid_t child) {
  int status;
  if (child < 0) {
    failures++;
    return;
  }
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) {
      failures++;
      return;
    }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 42) failures++;
}

static pid_t by_fork(int number) {
  pid_t child = fork();
  if (child == 0) live_as_a_child(number);
  return child;
}

/* A vfork child shares all memory and even the stack: it may only exec or _exit, but many allocate before. */
static pid_t by_vfork(int number) {
  (void)number;
  pid_t child = vfork();
  if (child == 0) {
    char *block = kept(malloc(77));
    tally_allocation(&tally, block, 77);
    free(block);
    tally_free(&tally, 77);
    _exit(block ? 42 : 1);
  }
  return child;
}

static pid_t by_spawn(int number) {
  (void)number;
  pid_t child = -1;
  char *arguments[] = { "sh", "-c", "exit 42", NULL };
  if (posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) != 0) return -1;
  return child;
}

static pid_t by_clone(int number) {
  pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    (void)number;
    struct tally own = { 0 };
    work_a_little(&own);
    _exit(failures ? 1 : 42);
  }
  return child;
}

static void make_processes(pid_t (*make)(int), int count) {
  struct probe before, after;
  pid_t batch[16];
  int waiting = 0;
  probe_take(&before);
  for (int i = 0; i < count; i++) {
    work_a_little(&tally);
    batch[waiting++] = make(i);
    if (waiting < 16 && i + 1 < count) continue;
    while (waiting) reap(batch[--waiting]);
  }
  probe_take(&after);
  say_case("processes", &tally, &before, &after);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t all_here;
static int crowd;

static void *live_as_a_thread(void *argument) {
  (void)argument;
  struct tally mine = { 0 };
  if (crowd) pthread_barrier_wait(&all_here);
  work_a_little(&mine);
  pthread_mutex_lock(&lock);
  tally.allocations += mine.allocations;
  tally.frees += mine.frees;
  tally.live_blocks += mine.live_blocks;
  tally.live_bytes += mine.live_bytes;
  pthread_mutex_unlock(&lock);
  return NULL;
}

/* Creating a thread allocates too, by the runtime: that is measured first, with threads that do nothing. */
static void *do_nothing(void *argument) { return argument; }

static void make_threads(int count, int at_once, void *(*body)(void *)) {
  pthread_t *threads = malloc(sizeof *threads * (size_t)at_once);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  for (int made = 0; made < count;) {
    int here = 0;
    while (here < at_once && made < count) {
      if (pthread_create(&threads[here], &attributes, body, NULL) != 0) {
        failures++;
        break;
      }
      here++;
      made++;
    }
    if (here == 0) break;
    for (int i = 0; i < here; i++) pthread_join(threads[i], NULL);
  }
  free(threads);
}

static void count_threads(int count, int at_once) {
  struct probe start, idle, end;
  probe_take(&start);
  make_threads(count, at_once, do_nothing);
  probe_take(&idle);
  if (crowd) pthread_barrier_init(&all_here, NULL, (unsigned)at_once);
  make_threads(count, at_once, live_as_a_thread);
  probe_take(&end);
  /* The second round of creation may find what the first left in caches: it allocates no more than that one did. */
  say("{\"creation\":%lld,\"runtime\":%lld}\n", (long long)(idle.allocations - start.allocations),
      (long long)(end.allocations - idle.allocations) - (long long)tally.allocations);
  say_case("threads", &tally, &idle, &end);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int count = atoi(argv[2]);
  probe_open();
  if (strcmp(argv[1], "fork") == 0) make_processes(by_fork, count);
  else if (strcmp(argv[1], "vfork") == 0) make_processes(by_vfork, count);
  else if (strcmp(argv[1], "spawn") == 0) make_processes(by_spawn, count);
  else if (strcmp(argv[1], "clone") == 0) make_processes(by_clone, count);
  else if (strcmp(argv[1], "threads") == 0) count_threads(count, 8);
  else if (strcmp(argv[1], "crowd") == 0) {
    crowd = 1;
    count_threads(count, count);
  } else return 2;
  return failures ? 1 : 0;
}
