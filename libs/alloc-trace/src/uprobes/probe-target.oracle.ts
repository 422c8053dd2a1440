import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RawStack } from '../trace-source.js';
import { openElf, type ElfFile } from '../symbols/index.js';
import { openTracefs } from './tracefs.js';

/** Why these tests cannot run here; null when they can. Under CI they must: then it throws. */
export async function whyNotHere(): Promise<string | null> {
  const reason = await openTracefs().then(
    () => {
      try {
        execFileSync('gcc', ['--version'], { stdio: 'ignore' });
        return process.arch === 'x64' ? null : `not on ${process.arch}`;
      } catch {
        return 'gcc is not installed';
      }
    },
    (cause: Error) => cause.message,
  );
  // eslint-disable-next-line no-restricted-properties -- only tests come here
  if (reason !== null && process.env['CI'] === 'true') throw new Error(`probes cannot be tested: ${reason}`);
  return reason;
}

const SOURCE = String.raw`
#define _GNU_SOURCE
#include <execinfo.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FAR __attribute__((noinline, noclone))
static void *volatile kept[1 << 20];
static volatile unsigned leaked;
static volatile int after;

FAR void *xmalloc(size_t size) { void *p = malloc(size); memset(p, 1, size); after++; return p; }
FAR void remember_session(void) { kept[leaked++ & 0xfffff] = xmalloc(100 + leaked % 50); after++; }
FAR void handle_request(void) { void *p = xmalloc(200); after++; free(p); after++; }
FAR void cache_entry(unsigned i) {
  static void *volatile cache[64];
  free(cache[i % 64]);
  cache[i % 64] = xmalloc(1000);
  after++;
}
static void pause_ms(long ms) { struct timespec t = {ms / 1000, ms % 1000 * 1000000}; nanosleep(&t, 0); }

/* leaks a second, requests a second */
FAR void serve(long leaks, long requests) {
  for (unsigned i = 0;; i++) {
    pause_ms(10);
    for (long k = 0; k < leaks / 100; k++) remember_session();
    for (long k = 0; k < requests / 100; k++) handle_request();
    if (i % 5 == 0) cache_entry(i / 5);
  }
}

static void wait_line(void) { char line[64]; if (!fgets(line, sizeof line, stdin)) exit(0); }

/* Every entry point once, from one function each, at the caller's word; prints what is left of each. */
FAR void *by_calloc(void) { void *p = calloc(3, 1001); after++; return p; }
FAR void *by_realloc(void) { void *p = realloc(malloc(24), 40000); after++; return p; }
FAR void *by_reallocarray(void) { void *p = reallocarray(0, 7, 1003); after++; return p; }
FAR void *by_posix_memalign(void) { void *p = 0; if (posix_memalign(&p, 64, 5005)) abort(); after++; return p; }
FAR void *by_aligned_alloc(void) { void *p = aligned_alloc(64, 6400); after++; return p; }
FAR void *by_memalign(void) { extern void *memalign(size_t, size_t); void *p = memalign(64, 7007); after++; return p; }
FAR void every_entry(void) {
  void *left[] = {by_calloc(), by_realloc(), by_reallocarray(), by_posix_memalign(), by_aligned_alloc(), by_memalign()};
  for (unsigned i = 0; i < 6; i++) printf("%p\n", left[i]);
  puts("done"); fflush(stdout);
}

/* Prints its own stack beside each allocation: what a walk must find. */
FAR void deepest(long size) {
  void *frames[64];
  kept[0] = malloc(size);
  int n = backtrace(frames, 64);
  printf("stack %ld", size);
  for (int i = 1; i < n; i++) printf(" %p", frames[i]);
  printf("\n");
  after++;
}
FAR void with_alloca(int n) { volatile char *p = __builtin_alloca(n); p[0] = 1; deepest(1000 + n); after++; }
FAR void recurse(int n) { if (n == 0) with_alloca(48); else recurse(n - 1); after++; }
static int compare(const void *a, const void *b) {
  if (!after) deepest(333);
  return *(const int *)a - *(const int *)b;
}
FAR void stacks(void) {
  void *warm[4]; backtrace(warm, 4);
  deepest(111); with_alloca(100); recurse(4);
  int numbers[2] = {2, 1}; after = 0; qsort(numbers, 2, sizeof(int), compare);
  puts("done"); fflush(stdout);
}

static void *one_request(void *unused) { (void)unused; kept[leaked++ & 0xfffff] = xmalloc(512); return 0; }
/* A thread for each request, and children that allocate too: theirs are not ours. */
static void threads_and_children(void) {
  for (int i = 0; i < 40; i++) {
    pthread_t t;
    pthread_create(&t, 0, one_request, 0);
    pthread_join(t, 0);
    pid_t child = fork();
    if (child == 0) { for (int k = 0; k < 20; k++) kept[k] = malloc(777); _exit(0); }
    waitpid(child, 0, 0);
  }
  puts("done"); fflush(stdout);
}

static void *flood(void *unused) { (void)unused; for (;;) { void *volatile p = malloc(64); free(p); } }

int main(int argc, char **argv) {
  setvbuf(stdin, 0, _IONBF, 0);
  void *warm[4]; backtrace(warm, 4);
  printf("ready\n"); fflush(stdout);
  const char *what = argc > 1 ? argv[1] : "serve";
  if (!strcmp(what, "serve")) serve(300, 3000);
  if (!strcmp(what, "flood")) { pthread_t t; pthread_create(&t, 0, flood, 0); flood(0); }
  for (;;) {
    wait_line();
    if (!strcmp(what, "entries")) every_entry();
    if (!strcmp(what, "stacks")) stacks();
    if (!strcmp(what, "threads")) threads_and_children();
    if (!strcmp(what, "exec")) execl(argv[0], argv[0], "serve", (char *)0);
  }
}
`;

export interface TestTarget {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Sends a line and gives the lines up to "done". */
  ask(): Promise<string[]>;
  send(): void;
  kill(): Promise<void>;
}

/** Compiles the target; `flags` such as -fomit-frame-pointer or -static. */
export function buildTarget(flags: readonly string[] = []): string {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-uprobes-'));
  writeFileSync(join(directory, 'target.c'), SOURCE);
  const program = join(directory, 'server under test');
  execFileSync('gcc', [
    '-O2',
    '-g',
    '-w',
    '-o',
    program,
    join(directory, 'target.c'),
    '-pthread',
    '-rdynamic',
    ...flags,
  ]);
  return program;
}

/** Starts it and waits until it runs. `wrap` is put before the program. */
export async function startTarget(program: string, what: string, wrap: readonly string[] = []): Promise<TestTarget> {
  const [command, ...rest] = [...wrap, program, what];
  const child = spawn(command!, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const first = await lines.next();
  if (first.value !== 'ready') throw new Error(`the target said ${String(first.value)}`);
  return {
    pid: child.pid!,
    child,
    send: () => void child.stdin!.write('go\n'),
    ask: async () => {
      child.stdin!.write('go\n');
      const said: string[] = [];
      for (let next = await lines.next(); next.done !== true && next.value !== 'done'; next = await lines.next()) {
        said.push(next.value);
      }
      return said;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

const files = new Map<string, Promise<ElfFile>>();

/** Names of a stack's functions by the ELF symbols of their files. */
export async function functionsOf(stack: RawStack): Promise<string[]> {
  const names: string[] = [];
  for (const { module, address } of stack.frames) {
    if (module === null || module.file === null) {
      names.push('?');
      continue;
    }
    let file = files.get(module.file);
    if (file === undefined) files.set(module.file, (file = openElf(module.file)));
    const found = await (await (await file).functions()).nearest(address - 1);
    names.push(found?.name ?? '?');
  }
  return names;
}

/** What of ours is in the kernel that names this target. */
export function instancesOf(root: string, pid: number): string[] {
  return readdirSync(`${root}/instances`).filter((name) => name.startsWith(`tidemark-${pid}-`));
}

/** Groups of probes made by a process. */
export function groupsOf(root: string, collector: number): string[] {
  const part = `_${collector.toString(36)}_`;
  const text = readFileSync(`${root}/uprobe_events`, 'utf8');
  const groups = new Set([...text.matchAll(/:(tidemark_[^/]+)\//g)].map((match) => match[1]!));
  return [...groups].filter((group) => group.includes(part));
}

/** Waits until a condition holds; fails by the test's own time limit. */
export async function until(holds: () => boolean | Promise<boolean>, every = 50): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, every));
}

export const builtLibrary = (): string | null => {
  const path = new URL('../../dist/uprobes/index.js', import.meta.url).pathname;
  return existsSync(path) ? path : null;
};
