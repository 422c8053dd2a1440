import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openTrace } from '../open-trace.js';
import type { TraceObservation, TraceSource } from '../trace-source.js';
import { traceMeans } from '../traceable/trace-means.js';
import { libraryPath } from './library-path.js';
import { startTraced } from './start-traced.js';
import type { StartTracedOptions, TracedProgram } from './traced-program.js';

const preload = join(import.meta.dirname, '../../../../preload');
const folder = mkdtempSync(join(tmpdir(), 'tidemark-preloaded-'));
const running: ChildProcess[] = [];
const programs: TracedProgram[] = [];

/** Why these tests cannot run here; undefined when they can, or must. */
const reason = process.env['CI'] === 'true' ? undefined : whyNot();

function whyNot(): string | undefined {
  try {
    libraryPath();
  } catch (error) {
    return (error as Error).message;
  }
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'no C compiler (cc)';
}

const noNamespaces =
  spawnSync('unshare', ['--mount', '--pid', '--fork', '--mount-proc', 'true']).status === 0
    ? undefined
    : 'no right to make namespaces';

function compile(name: string, sources: readonly string[]): void {
  const files = sources.map((source) => join(preload, 'test', source));
  const flags = ['-std=gnu11', '-O1', '-g', '-fno-builtin', '-D_FORTIFY_SOURCE=0', '-I', join(preload, 'include')];
  execFileSync('cc', [...flags, '-o', join(folder, name), ...files, '-pthread', '-ldl', '-lm', '-rdynamic']);
}

/** Runs a program of the preload tests with its output in a file. */
async function start(words: readonly string[], options: Partial<StartTracedOptions> = {}): Promise<TracedProgram> {
  const output = openSync(join(folder, 'output'), 'w');
  try {
    const traced = await startTraced(words, {
      mode: 'EXACT',
      environment: process.env,
      stdio: ['ignore', output, 'inherit'],
      ...options,
    });
    programs.push(traced);
    return traced;
  } finally {
    closeSync(output);
  }
}

function output(): string {
  return readFileSync(join(folder, 'output'), 'utf8');
}

async function endOf(source: TraceSource): Promise<TraceObservation> {
  for (;;) {
    const seen = await source.observe();
    if (seen.ended) return seen;
    await sleep(20);
  }
}

/** Names of the functions of a stack, from the symbol table of the test's own program. */
function functionsOf(source: TraceSource, site: number): string[] {
  const stack = source.stackOf(site)!;
  return stack.frames.map(({ module, address }) => {
    if (module === null || dirname(module.path) !== folder) return '?';
    const found = execFileSync('addr2line', ['-f', '-e', module.path, (address - 1).toString(16)], {
      encoding: 'utf8',
    });
    return found.split('\n')[0]!;
  });
}

/** Allocates a block of a size of its own every 150 ms, and prints when: milliseconds after it was done. */
const TIMED = `
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int main(void) {
  static char line[64];
  for (int i = 0; i < 8; i++) {
    void *volatile block = malloc(5000 + i);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int bytes = snprintf(line, sizeof line, "%d %lld.%03ld\\n", 5000 + i,
                         (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, now.tv_nsec / 1000 % 1000);
    if (!block || write(1, line, bytes) != bytes) return 1;
    usleep(150000);
  }
  return 0;
}
`;

interface Report {
  pid: number;
  churned: number;
  cached: number;
  leakedBytes: number;
  leaked: [string, number][];
}

describe.skipIf(reason !== undefined)('a program with the library in it', () => {
  beforeAll(() => {
    compile('leak-churn-cache', ['leak-churn-cache.c', 'probe.c', 'ring-reader.c']);
    compile('threads', ['threads.c', 'probe.c', 'ring-reader.c']);
    compile('ring-dump', ['ring-dump.c', 'ring-layout.c', 'ring-reader.c']);
  }, 300_000);
  afterEach(async () => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
    for (const traced of programs.splice(0)) await traced.close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('has its leak named exactly: bytes, blocks, addresses, times, the function', async () => {
    const began = Date.now();
    const traced = await start([join(folder, 'leak-churn-cache'), '300', '20000', '0.3'], { survivorsPerSite: 1000 });
    const end = await endOf(traced.source);
    expect(await traced.exited).toEqual({ code: 0, signal: null });
    const report = JSON.parse(output()) as Report;
    const leak = end.sites.find(({ site }) => functionsOf(traced.source, site).includes('leak_at_a'))!;
    expect(leak).toMatchObject({ allocations: 300, frees: 0, liveCount: 300, liveBytes: report.leakedBytes });
    const mine = end.survivors.filter(({ site }) => site === leak.site);
    expect(mine.map(({ address, size }) => `${address}:${size}`).sort()).toEqual(
      report.leaked.map(([address, size]) => `${Number(address)}:${size}`).sort(),
    );
    for (const { time } of mine) {
      expect(time).toBeGreaterThanOrEqual(began - 1);
      expect(time).toBeLessThanOrEqual(Date.now());
    }
    expect(functionsOf(traced.source, leak.site).slice(0, 3)).toEqual(['take_memory', 'leak_at_a', 'main']);
    const churn = end.sites.find(({ site }) => functionsOf(traced.source, site).includes('churn_at_b'))!;
    expect(churn).toMatchObject({ allocations: report.churned, frees: report.churned, liveCount: 0 });
    const { issued, recorded, cancelled, dropped, allocations, frees } = end.totals;
    expect(recorded + cancelled + dropped).toBe(issued);
    expect(allocations + frees).toBe(issued);
  });

  it('has the time of each block, also of a thread that seldom allocates', async () => {
    const program = join(folder, 'timed');
    writeFileSync(`${program}.c`, TIMED);
    execFileSync('cc', ['-O1', '-fno-builtin', '-o', program, `${program}.c`]);
    const traced = await start([program]);
    const end = await endOf(traced.source);
    const times = output()
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number) as [number, number]);
    expect(times).toHaveLength(8);
    for (const [size, time] of times) {
      const block = end.survivors.find((survivor) => survivor.size === size)!;
      // Older by what the thread's clock may stand still, and what this machine may keep the reader waiting.
      expect(block.time).toBeGreaterThan(time - 2000);
      expect(block.time).toBeLessThan(time + 2);
    }
  });

  it('has the figures that ring-dump reads from the same file', async () => {
    const traced = await start([join(folder, 'threads'), '3', '20000']);
    await traced.exited;
    const directory = readdirSync('/dev/shm').find((name) => name.startsWith(`tidemark-trace-${process.pid}-`))!;
    const ring = join('/dev/shm', directory, `${traced.pid}.ring`);
    const dump = JSON.parse(
      execFileSync(join(folder, 'ring-dump'), ['--live', ring], { encoding: 'utf8', maxBuffer: 2 ** 28 }),
    ) as {
      totals: Record<string, number>;
      sites: {
        site: number;
        allocations: number;
        frees: number;
        allocatedBytes: number;
        freedBytes: number;
        oldFrees: number;
      }[];
      live: { address: string; site: number; size: number }[];
    };
    const end = await endOf(traced.source);
    const { issued, recorded, cancelled, dropped, allocations, frees } = dump.totals;
    expect(end.totals).toMatchObject({ issued, recorded, cancelled, dropped, allocations, frees });
    expect(allocations).toBeGreaterThan(1000);
    const figures = ({
      site,
      allocations,
      frees,
      allocatedBytes,
      freedBytes,
      oldFrees,
    }: (typeof dump.sites)[0]): object => ({
      site,
      allocations,
      frees,
      allocatedBytes,
      freedBytes,
      oldFrees,
    });
    expect(end.sites.map(figures)).toEqual(dump.sites.filter((site) => site.allocations > 0).map(figures));
    expect(end.totals.liveCount).toBe(dump.live.length);
    expect(end.survivorsTotal).toBe(dump.live.length);
  });

  it('is sampled without bias that four standard errors would not cover', async () => {
    const traced = await start([join(folder, 'leak-churn-cache'), '16384', '20000', '0', '4096'], {
      mode: 'SAMPLED',
      sampleInterval: 65_536,
    });
    const end = await endOf(traced.source);
    const report = JSON.parse(output()) as Report;
    expect(end).toMatchObject({ mode: 'SAMPLED', sampleInterval: 65_536 });
    const leak = end.sites.reduce((most, site) => (site.liveBytes > most.liveBytes ? site : most));
    expect(Math.abs(leak.liveBytes - report.leakedBytes)).toBeLessThan(4 * Math.sqrt(leak.liveVariance));
    expect(leak.liveSamples).toBeGreaterThan(500);
    const { issued, recorded, cancelled, dropped, standardError } = end.totals;
    expect(recorded + cancelled + dropped).toBe(issued);
    expect(issued).toBeGreaterThan(16_384);
    expect(standardError!.liveBytes).toBeGreaterThan(0);
  });

  /** A program that runs with the library and is not traced. */
  async function startDormant(...words: string[]): Promise<number> {
    const directory = join(folder, 'run');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const child = spawn(join(folder, words[0]!), words.slice(1), {
      stdio: 'ignore',
      env: { ...process.env, LD_PRELOAD: libraryPath(), TIDEMARK_DIR: shm(), TIDEMARK_HIDE: '1' },
    });
    running.push(child);
    while (!existsSync(join(shm(), `${child.pid}.ring`))) await sleep(5);
    return child.pid!;
  }
  const shmFolder = mkdtempSync('/dev/shm/tidemark-test-');
  const shm = (): string => shmFolder;
  afterAll(() => rmSync(shmFolder, { recursive: true, force: true }));

  it('is switched on by its pid while it runs, and off again; twice, with figures of each', async () => {
    const pid = await startDormant('threads', '2', '0', '60');
    expect(traceMeans(pid)).toEqual({ means: 'LIBRARY' });
    for (const mode of ['EXACT', 'SAMPLED'] as const) {
      const source = await openTrace({ pid, mode, sampleInterval: 10_000 });
      await source.observe();
      await sleep(200);
      const first = await source.observe();
      expect(first.totals.issued).toBeGreaterThan(0);
      expect(first.sites.length).toBeGreaterThan(0);
      await sleep(100);
      const second = await source.observe();
      expect(second.totals.issued).toBeGreaterThan(first.totals.issued);
      expect(second.mode).toBe(mode);
      const { issued, recorded, cancelled, dropped } = second.totals;
      expect(recorded + cancelled + dropped).toBe(issued);
      await source.stop();
    }
    const dump = (): string =>
      execFileSync(join(folder, 'ring-dump'), [join(shm(), `${pid}.ring`)], { encoding: 'utf8' });
    await sleep(100);
    const { totals } = JSON.parse(dump()) as { totals: { issued: number } };
    await sleep(300);
    expect((JSON.parse(dump()) as { totals: { issued: number } }).totals.issued).toBe(totals.issued);
  });

  it('changes between sampled and exact without losing what was counted', async () => {
    const pid = await startDormant('threads', '2', '0', '60');
    const source = await openTrace({ pid, mode: 'EXACT' });
    await sleep(100);
    const exact = await source.observe();
    await source.change('SAMPLED', 100_000);
    await sleep(100);
    const sampled = await source.observe();
    expect(sampled).toMatchObject({ mode: 'SAMPLED', sampleInterval: 100_000 });
    expect(sampled.totals.issued).toBeGreaterThan(exact.totals.issued);
    expect(sampled.totals.standardError).not.toBeNull();
    await source.stop();
  });

  it('is read to its end after SIGKILL, and its file is removed', async () => {
    const pid = await startDormant('threads', '3', '0', '60');
    const source = await openTrace({ pid, mode: 'EXACT' });
    await sleep(200);
    running.at(-1)!.kill('SIGKILL');
    const end = await endOf(source);
    const { issued, recorded, cancelled, dropped } = end.totals;
    expect(issued).toBeGreaterThan(0);
    expect(recorded + cancelled + dropped).toBe(issued);
    // Killed in the middle of some calls, one in each thread at most.
    expect(Math.abs(end.totals.liveCount - end.survivorsTotal)).toBeLessThanOrEqual(4);
    await source.stop();
    expect(existsSync(join(shm(), `${pid}.ring`))).toBe(false);
  });

  it('goes on with its figures under a new reader after SIGKILL of the first', async () => {
    const pid = await startDormant('threads', '2', '0', '60');
    const module = join(import.meta.dirname, '../../dist/index.js');
    const reader = spawn(
      process.execPath,
      [
        '-e',
        `import(${JSON.stringify(module)}).then((lib) => lib.openTrace({ pid: ${pid}, mode: 'EXACT' })).then(look)
        async function look(source) {
          console.log(JSON.stringify((await source.observe()).totals));
          setTimeout(look, 20, source);
        }`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    running.push(reader);
    let last = { issued: 0, allocations: 0 };
    const lines = createInterface({ input: reader.stdout });
    lines.on('line', (line) => {
      last = JSON.parse(line) as typeof last;
    });
    while (last.issued === 0) await sleep(10);
    reader.kill('SIGKILL');
    await new Promise((resolve) => lines.once('close', resolve));
    const second = await openTrace({ pid, mode: 'EXACT' });
    const seen = await second.observe();
    expect(seen.totals.issued).toBeGreaterThan(last.issued);
    expect(seen.totals.allocations).toBeGreaterThan(last.allocations);
    expect(seen.totals.recorded + seen.totals.cancelled + seen.totals.dropped).toBe(seen.totals.issued);
    await second.stop();
  });

  it('keeps what was preloaded before, hides the library from its environment, and returns its status', async () => {
    const traced = await start(['/bin/sh', '-c', 'env; exit 7'], {
      environment: { ...process.env, LD_PRELOAD: 'libdl.so.2' },
    });
    expect(await traced.exited).toEqual({ code: 7, signal: null });
    expect(output()).toContain('LD_PRELOAD=libdl.so.2\n');
    expect(output()).not.toContain('TIDEMARK_');
    const signalled = await start(['/bin/sh', '-c', 'kill -TERM $$']);
    expect(await signalled.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('is followed through exec to the program that stays', async () => {
    const program = join(folder, 'leak-churn-cache');
    const traced = await start(['/bin/sh', '-c', `exec /bin/sh -c "exec ${program} 50 1000 0.5"`]);
    const end = await endOf(traced.source);
    const report = JSON.parse(output()) as Report;
    expect(report.pid).toBe(traced.pid);
    const leak = end.sites.find(({ liveBytes }) => liveBytes === report.leakedBytes);
    expect(leak).toMatchObject({ allocations: 50, liveCount: 50 });
  });

  it('has its children traced when asked to, each for itself', async () => {
    const program = join(folder, 'leak-churn-cache');
    const appeared: TraceSource[] = [];
    const traced = await start(['/bin/sh', '-c', `${program} 20 1000 0.2; ${program} 30 1000; exit 0`], {
      follow: true,
      onChild: (source) => appeared.push(source),
    });
    await traced.exited;
    expect(traced.children()).toEqual(appeared);
    const ends = await Promise.all(appeared.map(endOf));
    const leaks = ends.map(({ sites }) => sites.map(({ allocations, frees }) => (frees === 0 ? allocations : 0)));
    for (const count of [20, 30]) expect(leaks.filter((counts) => counts.includes(count))).toHaveLength(1);
    const alone = await start(['/bin/sh', '-c', `${program} 20 1000; exit 0`]);
    await alone.exited;
    expect(alone.children()).toEqual([]);
  });

  it.skipIf(noNamespaces !== undefined && process.env['CI'] !== 'true')(
    'is traced in a container, which has processes and files of its own',
    async () => {
      const run = join(folder, 'container');
      mkdirSync(run, { recursive: true });
      const command = [
        `mount -t tmpfs -o mode=0700 tidemark-test ${run}`,
        `LD_PRELOAD=${libraryPath()} TIDEMARK_DIR=${run} exec ${join(folder, 'threads')} 2 0 60`,
      ].join('; ');
      const unshare = ['--mount', '--pid', '--fork', '--mount-proc', '/bin/sh', '-c', command];
      running.push(spawn('unshare', unshare, { stdio: 'ignore' }));
      const pid = await childRunning('threads', running.at(-1)!.pid!);
      expect(readdirSync(run)).toEqual([]);
      const source = await openTrace({ pid, mode: 'EXACT' });
      await sleep(100);
      const seen = await source.observe();
      expect(seen.totals.issued).toBeGreaterThan(0);
      const modules = seen.sites.flatMap(({ site }) => source.stackOf(site)!.frames.map(({ module }) => module));
      expect(modules.find((module) => module?.path.endsWith('/threads'))!.file).not.toBeNull();
      process.kill(pid, 'SIGKILL');
      expect((await endOf(source)).totals.issued).toBeGreaterThanOrEqual(seen.totals.issued);
      await source.stop();
    },
  );

  /** Waits for a child of that process that has the library mapped. */
  async function childRunning(name: string, parent: number): Promise<number> {
    for (;;) {
      const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'latin1').trim().split(' ');
      const found = children.find((pid) => {
        const comm = `/proc/${pid}/comm`;
        return pid !== '' && existsSync(comm) && readFileSync(comm, 'latin1').trim() === name;
      });
      if (found !== undefined && traceMeans(Number(found)).means === 'LIBRARY') return Number(found);
      await sleep(10);
    }
  }

  it('leaves nothing behind', async () => {
    const traced = await start(['/bin/true']);
    await traced.exited;
    expect((await endOf(traced.source)).totals.dropped).toBe(0);
    const mine = (): string[] =>
      readdirSync('/dev/shm').filter((name) => name.startsWith(`tidemark-trace-${process.pid}-`));
    expect(mine()).toHaveLength(1);
    await traced.close();
    await traced.close();
    expect(mine()).toEqual([]);
  });

  it('is not started when it cannot be, or cannot take the library', async () => {
    await expect(start(['/no/such/program'])).rejects.toMatchObject({ code: 'TRACE_NOT_FOUND' });
    await expect(start(['no-such-program-anywhere'])).rejects.toMatchObject({ code: 'TRACE_NOT_FOUND' });
    await expect(start([])).rejects.toMatchObject({ code: 'TRACE_INVALID' });
    await expect(start(['/bin/true'], { library: '/no/library.so' })).rejects.toMatchObject({
      code: 'TRACE_MISSING',
      message: expect.stringContaining('/no/library.so') as string,
    });
    await expect(start(['/bin/true'], { runFolders: [folder, '/proc'] })).rejects.toMatchObject({
      code: 'TRACE_MISSING',
      message: expect.stringContaining(basename(folder)) as string,
    });
  });
});
