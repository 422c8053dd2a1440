import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataDirectory, startStandalone, type RunningStandalone } from './support/standalone.js';
import { until } from './support/until.js';

const TIDEMARK = join(import.meta.dirname, '..', 'apps', 'cli', 'bin', 'tidemark.js');
const data = dataDirectory();
let tidemark: RunningStandalone;
let leaking: ChildProcess;
let flat: ChildProcess;
let sampler: NodeJS.Timeout;
const series: { at: number; leaking: number; flat: number }[] = [];

/** What the detector judges, read here by other means. */
function signal(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return (kib('RssAnon') + kib('VmSwap')) * 1024;
}

interface Suspicion {
  leakSuspected: { pid: number; state: string; message: string; growth: { bytesPerHour: number } };
}

beforeAll(async () => {
  tidemark = await startStandalone(data.path, '--demo');
  // A shell that keeps 1 MiB more every second, and a process that holds 2 GiB from the start.
  leaking = spawn('bash', [
    '-c',
    'chunk=$(head -c 1048576 /dev/zero | tr "\\0" x); n=0; while sleep 1; do held[n++]=$chunk; done',
  ]);
  flat = spawn('python3', ['-c', "held = bytearray(2 << 30); held[::4096] = b'x' * len(held[::4096]); input()"], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  sampler = setInterval(() => {
    series.push({ at: Date.now(), leaking: signal(leaking.pid!), flat: signal(flat.pid!) });
  }, 1000);
});

afterAll(async () => {
  clearInterval(sampler);
  leaking?.kill('SIGKILL');
  flat?.kill('SIGKILL');
  await tidemark?.kill('SIGKILL');
  data.remove();
});

describe('a leak', () => {
  it('of 1 MiB a second is reported to a subscriber, and 2 GiB held flat is not', async () => {
    const { received, stop } = tidemark.subscribe<Suspicion>(
      'subscription { leakSuspected { pid state message growth { bytesPerHour } } }',
    );
    try {
      const found = await until(
        'a finding on the leaking shell',
        () => received.find(({ leakSuspected }) => leakSuspected.pid === leaking.pid),
        240_000,
      );
      expect(['SUSPECTED', 'CONFIRMED']).toContain(found.leakSuspected.state);
      const mibPerSecond = found.leakSuspected.growth.bytesPerHour / 3600 / 2 ** 20;
      expect(mibPerSecond).toBeGreaterThan(0.5);
      expect(mibPerSecond).toBeLessThan(2);
      expect(received.map(({ leakSuspected }) => leakSuspected.pid)).not.toContain(flat.pid);
      const demo = Number(/Demo\s+pid (\d+)/.exec(tidemark.output())?.[1]);
      await until(
        'a finding on the demonstration',
        () => received.some(({ leakSuspected }) => leakSuspected.pid === demo),
        120_000,
      );
    } finally {
      await stop();
    }
    const { process } = await tidemark.query<{ process: { leak: { state: string } } }>(
      'query ($node: ID!, $pid: Int!) { process(node: $node, pid: $pid) { leak { state } } }',
      { node: hostname(), pid: flat.pid },
    );
    expect(['LEARNING', 'STABLE']).toContain(process.leak.state);
  }, 300_000);

  it('is kept in ClickHouse as a finding', async () => {
    await until('the finding in history', async () => {
      const { findings } = await tidemark.query<{ findings: { nodes: { pid: number | null }[] } }>(
        '{ findings(first: 20) { nodes { pid } } }',
      );
      return findings.nodes.some(({ pid }) => pid === leaking.pid);
    });
  });

  it('is judged the same by `tidemark detect` from a file of both', async () => {
    // The file knows nothing of the time before its first row: it has to be as long as the detector wants to look.
    await until('a recording of 100 s', () => series.length >= 100, 200_000);
    const file = join(data.path, 'both.csv');
    const rows = series.flatMap(({ at, leaking, flat }) => [`leaking,${at},${leaking}`, `flat,${at},${flat}`]);
    writeFileSync(file, ['series,ts,bytes', ...rows, ''].join('\n'));
    const lines = execFileSync(process.execPath, [TIDEMARK, 'detect', '--profile', 'demo', '--summary', file], {
      encoding: 'utf8',
    });
    const summaries = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { series: string; state?: string; suspectedAt?: unknown });
    const state = (name: string) => summaries.find((one) => one.series === name && one.suspectedAt !== undefined);
    expect(state('leaking')?.suspectedAt).not.toBeNull();
    expect(state('flat')).toMatchObject({ suspectedAt: null });
  }, 240_000);
});
