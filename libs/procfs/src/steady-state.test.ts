import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const SOURCES = dirname(fileURLToPath(import.meta.url));
const ROUNDS = 20;
const SLEEPERS = 5;

/** Single-record files, each read whole by one system call. */
const SYSTEM = ['meminfo', 'loadavg', 'stat', 'uptime', 'pressure/memory'] as const;

/**
 * Why system calls cannot be counted here; undefined when they can. On the build server that is a failure, elsewhere
 * one line.
 */
function whyNot(): string | undefined {
  const found = spawnSync('strace', ['-o', '/dev/null', 'true'], { encoding: 'utf8' });
  if (found.error) return `strace is not installed (${found.error.message})`;
  return found.status === 0 ? undefined : `strace may not trace here (${found.stderr.trim().slice(0, 200)})`;
}

const reason = whyNot();
if (reason && process.env['CI'] === 'true') throw new Error(`system calls cannot be counted: ${reason}`);
if (reason) process.stderr.write(`steady state of procfs is not counted: ${reason}\n`);

let directory: string;
let sleepers: ChildProcess[];
let calls: string[];

/** What runs under strace: two rounds to open everything, a mark, then rounds of the steady state. */
const PROGRAM = `
import { accessSync } from 'node:fs';
import { createProcfs } from './procfs.js';
import { createSystemReader } from './system-reader.js';

const mark = (name) => { try { accessSync('/mark/' + name); } catch {} };
const procfs = createProcfs();
const system = createSystemReader(procfs);
const stats = process.argv.slice(2).map((pid) => procfs.processFile(Number(pid), 'stat', { compare: true }));
const outcomes = new Map();

function round() {
  system.memory();
  system.load();
  system.uptime();
  system.pressure();
  system.stat();
  for (const stat of stats) {
    const outcome = stat.read();
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
}

round();
round();
outcomes.clear();
const before = { ...procfs.tally };
mark('begin');
for (let count = 0; count < ${ROUNDS}; count++) round();
mark('end');
const tally = { reads: procfs.tally.reads - before.reads, opens: procfs.tally.opens - before.opens };
process.stdout.write(JSON.stringify({ tally, outcomes: Object.fromEntries(outcomes) }));
`;

let report: { tally: { reads: number; opens: number }; outcomes: Record<string, number> };

describe.skipIf(reason)('the steady state', () => {
  beforeAll(() => {
    sleepers = Array.from({ length: SLEEPERS }, () => spawn('sleep', ['600'], { stdio: 'ignore' }));
    // Below the library, so that the compiled copy finds the packages that the sources find.
    const cache = join(SOURCES, '..', '.cache');
    mkdirSync(cache, { recursive: true });
    directory = mkdtempSync(join(cache, 'steady-'));
    compileInto(directory);
    writeFileSync(join(directory, 'program.js'), PROGRAM);
    const trace = join(directory, 'trace');
    const strace = ['-f', '-y', '-e', 'trace=file,read,pread64,preadv,readv,close,lseek', '-o', trace];
    const pids = sleepers.map(({ pid }) => String(pid));
    // The sleepers must have come to rest, or a late page fault of theirs is a change.
    for (const pid of pids) waitForSleep(pid);
    const out = execFileSync('strace', [...strace, process.execPath, join(directory, 'program.js'), ...pids]);
    report = JSON.parse(out.toString());
    const lines = readFileSync(trace, 'utf8').split('\n');
    const [begin, end] = ['begin', 'end'].map((name) => lines.findIndex((line) => line.includes(`/mark/${name}`)));
    expect(begin).toBeGreaterThan(0);
    expect(end).toBeGreaterThan(begin!);
    calls = lines.slice(begin! + 1, end);
  });

  afterAll(() => {
    for (const sleeper of sleepers) sleeper.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  const on = (path: string): string[] => calls.filter((line) => line.includes(`<${path}>`));

  it('reads each single-record file once a round, by one pread at 0', () => {
    for (const name of SYSTEM) {
      const found = on(`/proc/${name}`);
      expect(found.length, name).toBe(ROUNDS);
      for (const line of found) expect(line).toMatch(/pread64\(\d+<.*, 0\) = \d+$/);
    }
  });

  it('reads each idle process once a round, and finds it the same', () => {
    for (const { pid } of sleepers) expect(on(`/proc/${pid}/stat`).length).toBe(ROUNDS);
    expect(report.outcomes).toEqual({ same: ROUNDS * SLEEPERS });
  });

  it('reads vmstat, which comes in records, to its end and no further', () => {
    const found = on('/proc/vmstat');
    const ends = found.filter((line) => line.endsWith(' = 0')).length;
    expect(ends).toBe(ROUNDS);
    expect(found.length / ROUNDS).toBeLessThanOrEqual(4);
  });

  it('opens and closes nothing, and makes no other call on any file', () => {
    const files = calls.filter((line) => /\/proc\/|open|stat|close\(/.test(line));
    expect(files.filter((line) => !/pread64\(/.test(line))).toEqual([]);
    expect(report.tally.opens).toBe(0);
  });

  it('counts its own reads as strace does', () => {
    expect(report.tally.reads).toBe(calls.filter((line) => /pread64\(\d+<\/proc\//.test(line)).length);
  });
});

function waitForSleep(pid: string): void {
  const deadline = Date.now() + 30_000;
  let last = '';
  for (;;) {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    if (text === last && text.includes('(sleep) S')) return;
    if (Date.now() > deadline) throw new Error(`process ${pid} did not come to rest: ${text}`);
    last = text;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
}

function compileInto(target: string): void {
  for (const name of readdirSync(SOURCES)) {
    if (!name.endsWith('.ts') || /\.(test|oracle)\.ts$/.test(name)) continue;
    const { outputText } = ts.transpileModule(readFileSync(join(SOURCES, name), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true },
    });
    writeFileSync(join(target, name.replace(/\.ts$/, '.js')), outputText);
  }
}
