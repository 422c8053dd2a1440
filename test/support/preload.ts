import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';

export const root = join(import.meta.dirname, '../..');
export const preload = join(root, 'preload');
export const library = join(preload, 'build/libtidemark.so');
const programs = join(preload, 'build/test');

/** Path of a test program. */
export function program(name: string): string {
  return join(programs, name);
}

/** What `ring-dump` prints; what a double cannot hold is text. */
export interface RingDump {
  pid: number;
  parent: number;
  startTime: number;
  image: number;
  state: number;
  refusal: number;
  applied: number;
  activation: number;
  program: string;
  populatedBytes: number;
  fileBytes: number;
  droppedSites: number;
  droppedBlocks: number;
  intervals: number[];
  control: Record<string, number>;
  totals: RingTotals;
  modules: { module: number; start: string; end: string; bias: string; unloaded: number; path: string }[];
  sites: RingSite[];
  live?: { address: string; size: number; ticks: string; site: number; interval: number; kind: number }[];
}

export interface RingTotals {
  allocations: number;
  frees: number;
  issued: number;
  recorded: number;
  cancelled: number;
  dropped: number;
  passedAllocations: number;
  passedFrees: number;
  unmatchedFrees: number;
  failed: number;
  liveBlocks: number;
  liveBytes: number;
  liveSamples: number;
  busy: number;
  torn: number;
  stale: number;
}

export interface RingSite {
  site: number;
  depth: number;
  flags: number;
  allocations: number;
  frees: number;
  allocatedBytes: number;
  freedBytes: number;
  oldFrees: number;
  estimates: {
    samples: number;
    freedSamples: number;
    allocations: number;
    allocatedBytes: number;
    frees: number;
    freedBytes: number;
    varianceBytes: number;
  };
  frames: { module: number; address: string }[];
}

/** What the environment asks of the library. */
export interface Settings {
  mode?: 'dormant' | 'sampled' | 'exact';
  interval?: number;
  stacks?: 'full' | 'caller';
  maxBytes?: number;
  youngMs?: number;
  /** Libraries preloaded after it. */
  beside?: readonly string[];
  env?: Record<string, string>;
  cwd?: string;
  timeoutMs?: number;
}

export interface Finished {
  pid: number;
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Why the programs cannot be built or run here; under CI that is a failure. */
export function whyNot(what: string, commands: readonly string[], files: readonly string[] = []): string | undefined {
  const lacking = [
    ...commands.filter((command) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0),
    ...files.filter((file) => !existsSync(file)),
  ];
  if (lacking.length === 0) return undefined;
  const reason = `${what}: ${lacking.join(', ')} not installed`;
  if (process.env['CI'] === 'true') throw new Error(reason);
  process.stderr.write(`not tested: ${reason}\n`);
  return reason;
}

/** Compiles the library and the programs. Test files that start at once take turns. */
export function buildPreload(...targets: string[]): void {
  const wanted = targets.length > 0 ? targets : ['all', 'tests'];
  execFileSync('flock', [join(tmpdir(), 'tidemark-preload-build.lock'), 'make', '-s', '-C', preload, ...wanted], {
    stdio: ['ignore', 2, 2],
  });
}

/** A directory for ring files, on tmpfs where there is one. */
export function ringDirectory(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tidemark-rings-'));
}

export function clearRings(directory: string): void {
  for (const file of readdirSync(directory)) rmSync(join(directory, file), { recursive: true, force: true });
}

/** The environment of a traced program, and nothing of the caller's but where programs lie. */
export function tracedEnvironment(rings: string, settings: Settings = {}): Record<string, string> {
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    LD_PRELOAD: [library, ...(settings.beside ?? [])].join(' '),
    TIDEMARK_DIR: rings,
    TIDEMARK_KEEP: '1',
    TEST_RINGS: rings,
    TIDEMARK_MODE: settings.mode ?? 'exact',
  };
  if (settings.interval !== undefined) env['TIDEMARK_INTERVAL'] = String(settings.interval);
  if (settings.stacks !== undefined) env['TIDEMARK_STACKS'] = settings.stacks;
  if (settings.maxBytes !== undefined) env['TIDEMARK_MAX_BYTES'] = String(settings.maxBytes);
  if (settings.youngMs !== undefined) env['TIDEMARK_YOUNG_MS'] = String(settings.youngMs);
  return { ...env, ...settings.env };
}

export interface Started {
  child: ChildProcess;
  pid: number;
  finished: Promise<Finished>;
}

export function start(command: string, args: readonly string[], env: Record<string, string>, cwd?: string): Started {
  const child = spawn(command, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ pid: child.pid ?? 0, status, signal, stdout, stderr }));
  });
  return { child, pid: child.pid ?? 0, finished };
}

/** Runs a program with the library in it to its end; one that does not end is killed, and fails. */
export async function runTraced(
  rings: string,
  command: string,
  args: readonly string[] = [],
  settings: Settings = {},
): Promise<Finished> {
  const running = start(command, args, tracedEnvironment(rings, settings), settings.cwd);
  const timer = setTimeout(() => running.child.kill('SIGKILL'), settings.timeoutMs ?? 120_000);
  const done = await running.finished;
  clearTimeout(timer);
  return done;
}

export function ringPath(rings: string, pid: number): string {
  return join(rings, `${pid}.ring`);
}

/** The ring file as the independent reader sees it. */
export function dumpRing(path: string, options: { live?: boolean } = {}): RingDump {
  const text = execFileSync(program('ring-dump'), [...(options.live ? ['--live'] : []), path], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  return JSON.parse(text) as RingDump;
}

/** Where a field of the format lies, from the header that defines it: `offsetOf('at_control.mode')`. */
export function offsetOf(field: string): number {
  const layout = JSON.parse(execFileSync(program('ring-dump'), ['--layout'], { encoding: 'utf8' })) as {
    fields: Record<string, { offset: number }>;
  };
  const found = layout.fields[field];
  if (!found) throw new Error(`alloc_trace.h has no field ${field}`);
  return found.offset;
}

/** One JSON value from each line. */
export function jsonLines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as T);
}

export interface Tally {
  allocations: number;
  frees: number;
  failed: number;
  liveBlocks: number;
  liveBytes: number;
}

/** A line of a test program: what it did itself, and what the library made of it at the same time. */
export interface Case {
  case: string;
  expected: Tally;
  seen: Tally;
  unmatched: number;
  dropped: number;
}

/**
 * What holds in every ring at rest, whatever happened before: every call is accounted for, every entry is whole, and the
 * totals, the sites and the table of live blocks tell the same.
 */
export function expectSound(ring: RingDump): void {
  const { totals } = ring;
  expect(totals.recorded + totals.cancelled + totals.dropped).toBe(totals.issued);
  expect(totals.recorded).toBeGreaterThanOrEqual(0);
  expect({ busy: totals.busy, torn: totals.torn }).toEqual({ busy: 0, torn: 0 });
  const sum = (of: (site: RingSite) => number) => ring.sites.reduce((total, site) => total + of(site), 0);
  const calls = totals.allocations - totals.passedAllocations;
  const frees = totals.frees - totals.passedFrees;
  expect(calls - totals.dropped - (frees - totals.unmatchedFrees), 'blocks alive by the counts').toBe(
    totals.liveBlocks,
  );
  expect(sum((site) => site.allocations + site.estimates.samples) + totals.dropped, 'allocations of all sites').toBe(
    calls,
  );
  expect(sum((site) => site.frees + site.estimates.freedSamples) + totals.unmatchedFrees, 'frees of all sites').toBe(
    frees,
  );
  if (sum((site) => site.estimates.samples) === 0) {
    expect(
      sum((site) => site.allocatedBytes - site.freedBytes),
      'bytes alive by the sites',
    ).toBe(totals.liveBytes);
  }
  const modules = new Set(ring.modules.map(({ module }) => module));
  const torn = ring.sites.filter(
    ({ depth, frames }) => frames.length !== depth || frames.some(({ module }) => module !== 0 && !modules.has(module)),
  );
  expect(torn, 'sites whose stack is not all there').toEqual([]);
}
