/**
 * What probes on malloc and free cost the process that is traced, and others that use the same libc, CPU time per pair of
 * malloc and free: bare, and with so many words of the stack copied. The reference is the bare loop of the same run.
 * Needs root, tracefs and gcc. `npm run bench -- uprobes`
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { openUprobeTrace } from '@tidemark/alloc-trace';

const SOURCE = `
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}
int main(void) {
  for (;;) {
    double begin = now();
    for (int i = 0; i < 2000; i++) { void *volatile p = malloc(64); free(p); }
    printf("%.1f\\n", (now() - begin) / 2000);
    fflush(stdout);
    struct timespec rest = {0, 20000000};
    nanosleep(&rest, 0);
  }
}`;
const SECONDS = 3;

const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-'));
writeFileSync(join(directory, 'pairs.c'), SOURCE);
execFileSync('gcc', ['-O2', '-o', join(directory, 'pairs'), join(directory, 'pairs.c')]);

const started = ['traced', 'neighbour'].map((name) => {
  const child = spawn(join(directory, 'pairs'), { stdio: ['ignore', 'pipe', 'inherit'] });
  const figures = [];
  createInterface({ input: child.stdout }).on('line', (line) => figures.push(Number(line)));
  return { name, child, figures };
});
const median = (figures) => [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)] ?? NaN;

/** Medians of the two programs over the next seconds, nanoseconds a pair. */
async function measure() {
  for (const { figures } of started) figures.length = 0;
  await sleep(SECONDS * 1000);
  return started.map(({ figures }) => median(figures));
}

const nanoseconds = (value) => `${value < 1000 ? value.toFixed(1) : Math.round(value)} ns`.padStart(12);

try {
  await sleep(500);
  const bare = await measure();
  console.log('CPU time per pair of malloc and free'.padEnd(40), 'traced'.padStart(12), 'neighbour'.padStart(12));
  console.log('bare'.padEnd(40), ...bare.map(nanoseconds));
  for (const stackWords of [0, 64, 128, 256]) {
    const options = { cpuShare: 1, hostShare: 64, stackWords };
    const trace = await openUprobeTrace({ pid: started[0].child.pid, mode: 'SAMPLED' }, { options });
    await sleep(500);
    const probed = await measure();
    const { totals, warnings } = await trace.observe();
    await trace.stop();
    console.log(`probed, ${stackWords} words of the stack`.padEnd(40), ...probed.map(nanoseconds));
    if (totals.dropped > 0) console.log(`  ${totals.dropped} of ${totals.issued} dropped`);
    for (const line of warnings) console.log(`  ${line}`);
  }
  console.log('after the trace'.padEnd(40), ...(await measure()).map(nanoseconds));
} finally {
  for (const { child } of started) child.kill('SIGKILL');
}
