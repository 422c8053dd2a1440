import { execFileSync, spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeRecord, SampleChunk } from '@tidemark/contracts';
import { until } from './support/until.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const directory = mkdtempSync(join(tmpdir(), 'tidemark-collect-'));
const children: ChildProcessWithoutNullStreams[] = [];

function start(command: string, args: string[], options: { uid?: number; gid?: number } = {}) {
  const child = spawn(command, args, { ...options, cwd: '/', stdio: 'pipe' });
  child.stderr.on('data', (text: Buffer) => process.stderr.write(text));
  children.push(child);
  return child;
}

/** Every program of these tests ends when its standard input does. */
async function stop(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.stdout.resume();
  child.stdin.end();
  await ended;
}

afterAll(async () => {
  await Promise.all(children.map(stop));
  rmSync(directory, { recursive: true, force: true });
});

function whyNotTrace(): string | undefined {
  const found = spawnSync('strace', ['-o', '/dev/null', 'true'], { encoding: 'utf8' });
  if (found.error) return `strace is not installed (${found.error.message})`;
  return found.status === 0 ? undefined : `strace may not trace here (${found.stderr.trim().slice(0, 200)})`;
}

/** On the build server a part that is missing is a failure, elsewhere one line. */
function say(what: string, reason: string | undefined): string | undefined {
  if (reason && process.env['CI'] === 'true') throw new Error(`${what}: ${reason}`);
  if (reason) process.stderr.write(`${what} is not tested: ${reason}\n`);
  return reason;
}

const noTrace = say('the steady state of the collector', whyNotTrace());

describe.skipIf(noTrace)('the collector in the steady state', () => {
  const SLEEPERS = 60;
  let crowd: ChildProcessWithoutNullStreams;
  let pids: string[];

  beforeAll(async () => {
    execFileSync('make', ['-s', '-C', join(root, 'tools/proc-reader'), `OUT=${directory}`], {
      stdio: ['ignore', 2, 2],
    });
    crowd = start(join(directory, 'sleepers'), [String(SLEEPERS)]);
    await once(crowd.stdout, 'data');
    pids = readFileSync(`/proc/${crowd.pid}/task/${crowd.pid}/children`, 'utf8').trim().split(' ');
    // Facts of a process that was just born are looked at a second time: let them grow older than that.
    await new Promise((resolve) => setTimeout(resolve, 10_500));
  });

  it('makes one read a round of each idle process, and opens nothing', async () => {
    const trace = join(directory, 'trace');
    const settings = { interval: 200, cpuInterval: 200, uptimeInterval: 200, smapsBudget: 50 };
    const collector = [join(root, 'tools/proc-reader/run-collector.mjs'), JSON.stringify(settings)];
    const strace = ['-f', '-y', '-ttt', '-e', 'trace=file,read,pread64,getdents64,close', '-o', trace];
    const child = start('strace', [...strace, process.execPath, ...collector]);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('ready');
    const ask = async (): Promise<{ rounds: number; smapsReadings: number }> => {
      child.stdin.write('\n');
      return JSON.parse((await lines.next()).value as string);
    };
    // PSS of all of them is read in the first seconds; the steady state is after that.
    await until('every smaps_rollup to have been read', async () => {
      const { smapsReadings } = await ask();
      return smapsReadings >= SLEEPERS && readFileSync(trace, 'utf8').includes(`/proc/${pids.at(-1)}/smaps_rollup`);
    });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const from = Date.now() / 1000;
    const before = await ask();
    await until('ten rounds more', async () => (await ask()).rounds >= before.rounds + 10);
    const rounds = (await ask()).rounds - before.rounds;
    const to = Date.now() / 1000;
    await stop(child);

    const calls = readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => {
        const at = Number(line.split(/\s+/)[1]);
        return at >= from && at <= to;
      });
    const mine = pids.map((pid) => calls.filter((line) => line.includes(`/proc/${pid}/`)));
    const notReads = mine.flat().filter((line) => !line.includes('pread64('));
    expect(notReads).toEqual([]);
    for (const reads of mine) {
      // The round that runs while the counters are asked for may be on either side.
      expect(reads.length).toBeGreaterThanOrEqual(rounds - 1);
      expect(reads.length).toBeLessThanOrEqual(rounds + 1);
      for (const line of reads) expect(line).toMatch(/pread64\(\d+<\/proc\/\d+\/stat>.*, 0\) = [1-9]\d*$/);
    }
    // The node's own single-record files too: one read each, kept open.
    for (const name of ['meminfo', 'stat', 'uptime']) {
      const own = calls.filter((line) => line.includes(`/proc/${name}>`) || line.includes(`"/proc/${name}"`));
      expect(own.length, name).toBeGreaterThan(0);
      for (const line of own) expect(line).toMatch(/pread64\(.*, 0\) = [1-9]\d*$/);
    }
  });
});

/** What a child prints, parsed and kept. */
function tell(settings: object, options: { uid?: number; gid?: number } = {}) {
  const child = start(
    process.execPath,
    [join(root, 'test/collect/tell-rounds.mjs'), JSON.stringify(settings)],
    options,
  );
  const samples: SampleChunk[] = [];
  const nodes: NodeRecord[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const told = JSON.parse(line) as { samples?: SampleChunk; node?: NodeRecord };
    if (told.samples) samples.push(told.samples);
    if (told.node) nodes.push(told.node);
  });
  return { child, samples, nodes };
}

const NOBODY = 65_534;
/** Root looks through the eyes of nobody; anybody else already is one who may not look everywhere. */
const other = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
const unreadable = spawnSync(process.execPath, ['-e', ''], { ...other, cwd: '/' }).error;
const script = join(root, 'libs/pipeline/dist/collect/index.js');
const hidden = spawnSync('test', ['-r', script], { ...other, cwd: '/' }).status !== 0;
const noOther = say(
  'a collector without privileges',
  unreadable?.message ?? (hidden ? `another user cannot read ${script}` : undefined),
);

describe.skipIf(noOther)('a collector that may not look everywhere', () => {
  it('says so in one line, goes on, and leaves unknown what it could not read', async () => {
    const { child, samples, nodes } = tell({ interval: 200, smapsBudget: 50 }, other);
    const limited = await until('a heartbeat with a limitation', () =>
      nodes.find(({ limitations }) => limitations.some((line) => line.startsWith('pss, uss and dirty: '))),
    );
    expect(limited.limitations.filter((line) => line.includes('may not be looked into'))).toHaveLength(1);
    for (const line of limited.limitations) expect(line).not.toContain('\n');
    const own = child.pid!;
    // Its own figures it can read; another user's it sees as far as anybody does.
    await until('its own pss', () =>
      samples.some(({ procs }) => (procs.pss?.[procs.pid.indexOf(own)] ?? 0) > 0 && procs.pid.includes(own)),
    );
    const first = samples.find(({ keyframe }) => keyframe)!;
    const row = first.procs.pid.indexOf(1);
    expect(first.procs.rss?.[row]).toBeGreaterThan(0);
    expect(first.facts.program[first.facts.pid.indexOf(1)]).not.toBe('');
    expect(samples.filter(({ procs }) => procs.pss && (procs.pss[procs.pid.indexOf(1)] ?? null) !== null)).toEqual([]);
    await stop(child);
    expect(nodes.at(-1)?.state).toBe('LEAVING');
  });

  it('leaves out processes that it may not open, and says how many', async () => {
    const proc = join(directory, 'proc');
    mkdirSync(join(proc, '7'), { recursive: true });
    mkdirSync(join(proc, '8'));
    writeFileSync(join(proc, 'stat'), 'cpu  1 2 3 4\nbtime 1700000000\n');
    for (const pid of [7, 8]) {
      writeFileSync(join(proc, `${pid}/stat`), `${pid} (p) S 1 1 1 0 -1 0 1 0 0 0 1 1 0 0 20 0 1 0 5 4096 1 0\n`);
    }
    chmodSync(directory, 0o755);
    chmodSync(join(proc, '8'), 0o000);
    const { child, samples, nodes } = tell({ procRoot: proc, sysRoot: proc, interval: 200 }, other);
    const node = await until('a heartbeat with the limitation', () =>
      nodes.find(({ limitations }) => limitations.some((line) => line.startsWith('1 processes: not permitted'))),
    );
    expect(node.processes).toBe(1);
    expect(samples[0]?.procs.pid).toEqual([7]);
    await stop(child);
    chmodSync(join(proc, '8'), 0o755);
  });
});
