import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  decodeNodeRecord,
  decodeSampleChunk,
  PROCESS_NUMBERS,
  Topic,
  toNodeId,
  type ProcessNumber,
  type SystemMemory,
} from '@tidemark/contracts';
import type { EventLog, OutgoingRecord } from '@tidemark/event-log';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startCollect, type CollectStage } from './start-collect.js';

const FIXTURE = join(dirname(fileURLToPath(import.meta.url)), '../../../../test/fixtures/memory-shape.c');
const KIB = 1024;
const MIB = KIB * KIB;

const directory = mkdtempSync(join(tmpdir(), 'tidemark-oracle-'));
const sent: OutgoingRecord[] = [];
const registry = new Registry();
let fixture: ChildProcessWithoutNullStreams;
let stage: CollectStage;

beforeAll(async () => {
  const program = join(directory, 'memory-shape');
  execFileSync('gcc', ['-O1', '-o', program, FIXTURE], { stdio: ['ignore', 2, 2] });
  fixture = spawn(program, { stdio: 'pipe' });
  await once(fixture.stdout, 'data');
  const log = { append: async (records: OutgoingRecord[]) => void sent.push(...records) } as unknown as EventLog;
  const config = { node: toNodeId('oracle'), interval: 100, memoryInterval: 100 };
  stage = startCollect({ log, config, logger: silentLogger, registry });
  await stage.ready;
});

afterAll(async () => {
  await stage.drain(5000);
  fixture.stdin.end();
  await once(fixture, 'exit');
  rmSync(directory, { recursive: true });
});

const samples = () =>
  sent.filter(({ topic }) => topic === Topic.Samples).map(({ value, headers }) => decodeSampleChunk(value!, headers));

/** The last value of every figure of a process, as a consumer of the chunks keeps them. */
function figuresOf(pid: number): Partial<Record<ProcessNumber, number>> {
  const known: Partial<Record<ProcessNumber, number>> = {};
  for (const { procs } of samples()) {
    const row = procs.pid.indexOf(pid);
    if (row < 0) continue;
    for (const name of PROCESS_NUMBERS) {
      const cell = procs[name]?.[row] ?? null;
      if (cell !== null) known[name] = cell;
    }
  }
  return known;
}

/** The same figures out of /proc/[pid]/smaps, mapping by mapping: nothing of it is read by the collector. */
function smapsOracle(pid: number) {
  const text = readFileSync(`/proc/${pid}/smaps`, 'latin1');
  const sum = { vms: 0, rss: 0, shared: 0, text: 0, lib: 0, data: 0, dirty: 0, rssAnon: 0, pss: 0, uss: 0, swap: 0 };
  const executable = /^\S+ r-xp .*memory-shape$/m;
  for (const mapping of text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(mapping)?.[1]) * KIB;
    const flags = /^\S+ (\S{4}) /.exec(mapping)?.[1] ?? '';
    if (mapping.includes('[vsyscall]')) continue;
    sum.vms += field('Size');
    sum.rss += field('Rss');
    sum.rssAnon += field('Anonymous');
    sum.shared += field('Rss') - field('Anonymous');
    sum.pss += field('Pss');
    sum.uss += field('Private_Clean') + field('Private_Dirty');
    sum.dirty += field('Private_Dirty') + field('Shared_Dirty');
    sum.swap += field('Swap');
    if (executable.test(mapping)) sum.text += field('Size');
    else if (flags.includes('x') && !flags.includes('w')) sum.lib += field('Size');
    if (flags.includes('w') && flags.includes('p')) sum.data += field('Size');
  }
  return sum;
}

/** One per cent or 512 KiB, whichever is more. */
function expectNear(found: Partial<Record<ProcessNumber, number>>, oracle: ReturnType<typeof smapsOracle>): void {
  for (const [name, value] of Object.entries(oracle)) {
    const figure = found[name as ProcessNumber];
    expect(figure, name).toBeDefined();
    expect(Math.abs(figure! - value), `${name}: ${figure} beside ${value}`).toBeLessThanOrEqual(
      Math.max(0.01 * value, 512 * KIB),
    );
  }
}

describe('a process of known shape', () => {
  it('has the figures that its own smaps add up to', async () => {
    const pid = fixture.pid!;
    await vi.waitFor(() => expectNear(figuresOf(pid), smapsOracle(pid)), { timeout: 25_000, interval: 100 });
    const { rss = 0, vms = 0, lib = 0, shared = 0, rssAnon = 0, data = 0, text = 0 } = figuresOf(pid);
    expect(rss).toBeGreaterThan(320 * MIB);
    expect(rss).toBeLessThan(330 * MIB);
    expect(vms).toBeGreaterThan(1344 * MIB);
    expect(rss).toBeLessThan(vms);
    expect(rssAnon).toBeGreaterThanOrEqual(256 * MIB);
    expect(rssAnon).toBeLessThan(258 * MIB);
    expect(shared).toBeGreaterThanOrEqual(64 * MIB);
    expect(data).toBeGreaterThan(1280 * MIB);
    expect(text).toBeGreaterThan(0);
    expect(lib).toBeGreaterThan(0);
  });

  it('is followed as it grows', async () => {
    const before = figuresOf(fixture.pid!).rssAnon!;
    fixture.stdin.write(`${8 * KIB}\n`);
    await vi.waitFor(
      () => {
        const grown = figuresOf(fixture.pid!).rssAnon! - before;
        expect(grown).toBeGreaterThanOrEqual(8 * MIB);
        expect(grown).toBeLessThan(9 * MIB);
      },
      { timeout: 20_000, interval: 50 },
    );
    await vi.waitFor(() => expectNear(figuresOf(fixture.pid!), smapsOracle(fixture.pid!)), {
      timeout: 25_000,
      interval: 100,
    });
  });

  it('has facts of its own', () => {
    const all = samples().map(({ facts }) => facts);
    const facts = all.find(({ pid }) => pid.includes(fixture.pid!))!;
    const row = facts.pid.indexOf(fixture.pid!);
    const status = readFileSync(`/proc/${fixture.pid}/status`, 'utf8');
    expect(facts.program[row]).toBe('memory-shape');
    expect(facts.commandLine[row]).toBe(join(directory, 'memory-shape'));
    expect(facts.uid[row]).toBe(Number(/^Uid:\t(\d+)/m.exec(status)?.[1]));
    expect(facts.user[row]).toBe(execFileSync('id', ['-un'], { encoding: 'utf8' }).trim());
    expect(Math.abs(facts.startedAt[row]! - Date.now())).toBeLessThan(600_000);
    // Sent once: what changes seldom stands in no second chunk but a keyframe.
    expect(all.filter(({ pid }, chunk) => pid.includes(fixture.pid!) && !samples()[chunk]!.keyframe).length).toBe(0);
  });
});

describe('the node', () => {
  const FIELDS: Readonly<Record<string, keyof SystemMemory>> = {
    MemTotal: 'total',
    MemFree: 'free',
    MemAvailable: 'available',
    Active: 'active',
    Inactive: 'inactive',
    Buffers: 'buffers',
    Cached: 'cached',
    Shmem: 'shared',
  };

  function meminfo(): Partial<SystemMemory> {
    const text = readFileSync('/proc/meminfo', 'latin1');
    const found: Partial<SystemMemory> = {};
    for (const [label, name] of Object.entries(FIELDS)) {
      found[name] = Number(new RegExp(`^${label}:\\s+(\\d+)`, 'm').exec(text)?.[1]) * KIB;
    }
    return { ...found, used: found.total! - found.available! };
  }

  it('has the nine memory fields of meminfo of the same instant', async () => {
    await vi.waitFor(
      async () => {
        const before = meminfo();
        const rounds = samples().length;
        await vi.waitFor(
          () =>
            expect(
              samples()
                .slice(rounds)
                .some(({ system }) => system.memory),
            ).toBe(true),
          5000,
        );
        const found = samples().findLast(({ system }) => system.memory)!.system.memory!;
        const after = meminfo();
        for (const name of [...Object.values(FIELDS), 'used'] as const) {
          const [low, high] = [Math.min(before[name]!, after[name]!), Math.max(before[name]!, after[name]!)];
          expect(found[name], name).toBeGreaterThanOrEqual(low - 2 * MIB);
          expect(found[name], name).toBeLessThanOrEqual(high + 2 * MIB);
        }
        expect(found.total).toBe(before.total);
      },
      { timeout: 25_000, interval: 50 },
    );
  });

  it('says every two seconds that it is there, with what the collector costs', async () => {
    const beats = () =>
      sent.filter(({ topic }) => topic === Topic.Nodes).map(({ value, headers }) => decodeNodeRecord(value!, headers));
    await vi.waitFor(() => expect(beats().length).toBeGreaterThanOrEqual(3), { timeout: 20_000 });
    const [first, second] = beats();
    expect(second!.at - first!.at).toBeGreaterThan(1000);
    const last = beats().at(-1)!;
    expect(last).toMatchObject({
      node: 'oracle',
      state: 'UP',
      kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
      boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      interval: 100,
      pageSize: Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })),
    });
    expect(last.processes).toBeGreaterThan(1);
    expect(last.collector).toMatchObject({ pid: process.pid, droppedBytes: 0, spooledBytes: expect.any(Number) });
    for (const name of ['rounds', 'cpuMs', 'rss', 'reads', 'opens', 'bytesRead', 'bytesSent'] as const) {
      expect(last.collector[name], name).toBeGreaterThan(0);
    }
  });

  it('tells the same as metrics', async () => {
    const text = await registry.metrics();
    const metric = (name: string): number =>
      Number(new RegExp(`^tidemark_collect_${name} (\\S+)$`, 'm').exec(text)?.[1]);
    const stats = stage.stats()!;
    expect(metric('processes')).toBeGreaterThan(1);
    expect(metric('rounds_total')).toBeGreaterThan(0);
    expect(metric('rounds_total')).toBeLessThanOrEqual(stats.rounds);
    expect(metric('cpu_seconds_total')).toBeGreaterThan(0);
    expect(metric('dropped_records_total')).toBe(0);
    expect(stage.health()).toMatchObject({ live: true, ready: true });
  });
});

describe('the end', () => {
  it('is told: of a process with its next round, of the collector with its last word', async () => {
    const sleeper = spawn('sleep', ['600'], { stdio: 'ignore' });
    await vi.waitFor(() => expect(figuresOf(sleeper.pid!).rss).toBeGreaterThan(0), { timeout: 20_000 });
    sleeper.kill('SIGKILL');
    await vi.waitFor(() => expect(samples().some(({ exits }) => exits.pid.includes(sleeper.pid!))).toBe(true), {
      timeout: 20_000,
    });

    const own: OutgoingRecord[] = [];
    const log = { append: async (records: OutgoingRecord[]) => void own.push(...records) } as unknown as EventLog;
    const other = startCollect({ log, config: { node: toNodeId('brief') }, logger: silentLogger });
    await other.ready;
    await Promise.all([other.drain(5000), other.drain(5000)]);
    const words = own.filter(({ topic }) => topic === Topic.Nodes);
    expect(words.map(({ value, headers }) => decodeNodeRecord(value!, headers).state).at(-1)).toBe('LEAVING');
    expect(own.some(({ topic }) => topic === Topic.Samples)).toBe(true);
    expect(other.health().ready).toBe(false);
    const count = own.length;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(own.length).toBe(count);
  });

  it('comes at once, with the reason, when a setting is wrong or /proc is none', async () => {
    const log = { append: async () => {} } as unknown as EventLog;
    const start = (config: object) =>
      startCollect({ log, config: { node: toNodeId('x'), ...config }, logger: silentLogger });
    const wrong = start({ interval: 1 });
    await expect(wrong.ready).rejects.toThrow('collect.interval: must be a whole number from 100 to 3600000');
    const nowhere = start({ procRoot: join(directory, 'nowhere') });
    await expect(nowhere.ready).rejects.toThrow('collect.procRoot: ');
    expect(nowhere.health()).toMatchObject({ ready: false });
    await Promise.all([wrong.drain(100), nowhere.drain(100)]);
  });
});
