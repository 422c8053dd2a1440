import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataDirectory, startStandalone, type RunningStandalone } from './support/standalone.js';
import { until } from './support/until.js';

const MIB = 1024 * 1024;
const data = dataDirectory();
let tidemark: RunningStandalone;
/** Holds 64 MiB and sleeps: figures that stand still. */
let still: ChildProcess;

beforeAll(async () => {
  still = spawn('python3', ['-c', "held = bytearray(64 << 20); held[::4096] = b'x' * len(held[::4096]); input()"], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  tidemark = await startStandalone(data.path);
});

afterAll(async () => {
  still?.kill('SIGKILL');
  await tidemark?.kill('SIGKILL');
  data.remove();
});

/** Kibibytes after `Name:` in a kernel file, as bytes; written apart from the product's parsers on purpose. */
function field(file: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'));
  if (!match) throw new Error(`${file} has no ${name}`);
  return Number(match[1]) * 1024;
}

interface MemoryAnswer {
  node: { memory: Record<string, number> };
}

describe('the standalone', () => {
  it('answers with the nine memory fields of this machine', async () => {
    const fields = ['total', 'available', 'used', 'free', 'active', 'inactive', 'buffers', 'cached', 'shared'];
    const info = '/proc/meminfo';
    // Other programs move the figures between the two readings: ask until one pair of readings is close enough.
    await until('figures within 2 MiB of /proc/meminfo', async () => {
      const { node } = await tidemark.query<MemoryAnswer>(
        `query ($id: ID!) { node(id: $id) { memory { ${fields.join(' ')} } } }`,
        { id: hostname() },
      );
      if (!node) return false;
      const kernel: Record<string, number> = {
        total: field(info, 'MemTotal'),
        available: field(info, 'MemAvailable'),
        used: field(info, 'MemTotal') - field(info, 'MemAvailable'),
        free: field(info, 'MemFree'),
        active: field(info, 'Active'),
        inactive: field(info, 'Inactive'),
        buffers: field(info, 'Buffers'),
        cached: field(info, 'Cached'),
        shared: field(info, 'Shmem'),
      };
      return fields.every((name) => Math.abs(node.memory[name]! - kernel[name]!) <= 2 * MIB);
    });
  });

  it('answers with the seven memory fields of a process', async () => {
    const status = `/proc/${still.pid}/status`;
    const rollup = `/proc/${still.pid}/smaps_rollup`;
    await until('figures equal to the files of the process', async () => {
      const { process } = await tidemark.query<{ process: { memory: Record<string, number | null> } | null }>(
        `query ($node: ID!, $pid: Int!) {
          process(node: $node, pid: $pid) { memory { rss vms shared text data lib dirty pss uss } }
        }`,
        { node: hostname(), pid: still.pid },
      );
      if (!process || process.memory['dirty'] === null || process.memory['rss']! < 64 * MIB) return false;
      expect(process.memory['rss']! / MIB).toBeCloseTo(field(status, 'VmRSS') / MIB, 0);
      expect(process.memory).toMatchObject({
        vms: field(status, 'VmSize'),
        text: field(status, 'VmExe'),
        data: field(status, 'VmData') + field(status, 'VmStk'),
        lib: field(status, 'VmLib'),
      });
      expect(Math.abs(process.memory['shared']! - field(status, 'RssFile') - field(status, 'RssShmem'))).toBeLessThan(
        MIB,
      );
      expect(
        Math.abs(process.memory['dirty']! - field(rollup, 'Private_Dirty') - field(rollup, 'Shared_Dirty')),
      ).toBeLessThan(MIB);
      return true;
    });
  });

  it('keeps the history of a process in ClickHouse and gives it back as a series', async () => {
    const points = await until('a series of the process', async () => {
      const { process } = await tidemark.query<{ process: { series: { at: string; value: number }[] } }>(
        `query ($node: ID!, $pid: Int!) {
          process(node: $node, pid: $pid) { series(metric: RSS, period: { last: "5m" }, resolution: 1) { at value } }
        }`,
        { node: hostname(), pid: still.pid },
      );
      return process.series.length > 0 && process.series;
    });
    const rss = field(`/proc/${still.pid}/status`, 'VmRSS');
    expect(Math.abs(points.at(-1)!.value - rss)).toBeLessThan(4 * MIB);
  });

  it('sums a program over the cluster and says how complete the sum is', async () => {
    const { clusterAggregate } = await tidemark.query<{ clusterAggregate: Record<string, number> }>(
      '{ clusterAggregate(filter: { program: "node" }, metric: RSS) { total processes nodesReporting nodesExpected } }',
    );
    expect(clusterAggregate).toMatchObject({ nodesReporting: 1, nodesExpected: 1 });
    expect(clusterAggregate['processes']).toBeGreaterThanOrEqual(2);
    expect(clusterAggregate['total']).toBeGreaterThan(50 * MIB);
  });

  it('says that a process ended, and remembers it by its key', async () => {
    const brief = spawn('sleep', ['1000']);
    const ask = async () =>
      (
        await tidemark.query<{ process: { key: string } | null }>(
          'query ($node: ID!, $pid: Int!) { process(node: $node, pid: $pid) { key } }',
          { node: hostname(), pid: brief.pid },
        )
      ).process;
    const { key } = (await until('the process to be seen', ask))!;
    brief.kill('SIGKILL');
    await until('the process to be gone', async () => (await ask()) === null);
    const { processByKey } = await tidemark.query<{ processByKey: { program: string; exitedAt: string | null } }>(
      'query ($key: ID!) { processByKey(key: $key) { program exitedAt } }',
      { key },
    );
    expect(processByKey.program).toBe('sleep');
    expect(processByKey.exitedAt).not.toBeNull();
  });

  it('is live and ready, and shows its metrics', async () => {
    const base = tidemark.url.replace('/graphql', '');
    expect((await fetch(`${base}/health/live`)).status).toBe(200);
    await until('readiness', async () => (await fetch(`${base}/health/ready`)).status === 200);
    expect(await (await fetch(`${base}/metrics`)).text()).toContain('process_cpu');
  });

  it('names a second instance on the same data directory in one line and leaves the first alone', async () => {
    const failure = await startStandalone(data.path).then(
      () => 'it started',
      (error: Error) => error.message,
    );
    expect(failure).toMatch(/in use|held by|locked/);
    expect(failure).toContain(data.path);
    await tidemark.query('{ cluster { version } }');
  });

  it('names a port that is taken', async () => {
    const other = dataDirectory();
    const port = new URL(tidemark.url).port;
    const failure = await startStandalone(other.path, '--port', port).then(
      () => 'it started',
      (error: Error) => error.message,
    );
    other.remove();
    expect(failure).toContain(port);
    expect(failure).toMatch(/in use/);
  });

  it('drains and ends with 0 on SIGTERM, and finds its history again at the next start', async () => {
    const before = await tidemark.query<{ node: { boot: string } }>('query ($id: ID!) { node(id: $id) { boot } }', {
      id: hostname(),
    });
    expect(before.node.boot).toBe(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
    expect(await tidemark.kill('SIGTERM')).toEqual({ code: 0, signal: null });

    const stopped = new Date().toISOString();
    tidemark = await startStandalone(data.path);
    const { node } = await until('history of before the restart', async () => {
      const answer = await tidemark.query<{ node: { series: { value: number }[] } | null }>(
        `query ($id: ID!, $to: DateTime!, $from: DateTime!) {
          node(id: $id) { series(metric: TOTAL, period: { from: $from, to: $to }) { value } }
        }`,
        { id: hostname(), to: stopped, from: new Date(Date.parse(stopped) - 600_000).toISOString() },
      );
      return answer.node ? { node: answer.node } : false;
    });
    expect(node.series.length).toBeGreaterThan(0);
    expect(node.series[0]!.value).toBe(field('/proc/meminfo', 'MemTotal'));
  });
});
