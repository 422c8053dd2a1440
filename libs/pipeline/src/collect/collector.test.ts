import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { decodeSampleChunk, toNodeId, type SampleChunk } from '@tidemark/contracts';
import type { EventLog, OutgoingRecord } from '@tidemark/event-log';
import { silentLogger } from '@tidemark/service';
import { afterEach, describe, expect, it } from 'vitest';
import type { Clock } from './clock.js';
import { Collector } from './collector.js';
import { completeConfig, type CollectConfigInput } from './config.js';
import { CollectError } from './errors.js';
import { startCollect } from './start-collect.js';
import type { SourceName } from './system-sources.js';

const KIB = 1024;
const roots: string[] = [];
const collectors: Collector[] = [];
afterEach(async () => {
  for (const collector of collectors.splice(0)) await collector.close(100);
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

interface FakeProcess {
  pid: number;
  start: number;
  comm: string;
  state: string;
  flags: number;
  threads: number;
  utime: number;
  minflt: number;
  rssKb: number;
  swapKb: number;
  startCode: number;
  uid: number;
  args: string[];
  cgroup: string;
}

/** A /proc of files in a directory, whose content the test sets. */
function createProc() {
  const root = mkdtempSync(join(tmpdir(), 'tidemark-proc-'));
  roots.push(root);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const living = new Map<number, FakeProcess>();
  const save = (p: FakeProcess): void => {
    const alive = p.state !== 'Z' && p.flags === 0;
    const vms = alive ? 10_240 * KIB : 0;
    const rss = alive ? p.rssKb / 4 : 0;
    write(
      `${p.pid}/stat`,
      `${p.pid} (${p.comm}) ${p.state} 1 ${p.pid} ${p.pid} 0 -1 ${p.flags} ${p.minflt} 0 0 0 ${p.utime} 0 0 0 20 0 ` +
        `${p.threads} 0 ${p.start} ${vms} ${rss} 18446744073709551615 ${p.startCode} 5 0 0 0 0 0 0 0\n`,
    );
    const memory =
      `VmSize:\t10240 kB\nVmRSS:\t${p.rssKb} kB\nRssAnon:\t${p.rssKb - 8} kB\nRssFile:\t8 kB\nRssShmem:\t0 kB\n` +
      `VmData:\t100 kB\nVmStk:\t132 kB\nVmExe:\t20 kB\nVmLib:\t1528 kB\nVmSwap:\t${p.swapKb} kB\n`;
    write(
      `${p.pid}/status`,
      `Name:\t${p.comm}\nState:\t${p.state} (x)\nTgid:\t${p.pid}\nPid:\t${p.pid}\nPPid:\t1\nUid:\t${p.uid}\t${p.uid}\t` +
        `${p.uid}\t${p.uid}\nGid:\t5\t5\t5\t5\n${alive ? memory : ''}Threads:\t${p.threads}\nSigPnd:\t0\n`,
    );
    write(
      `${p.pid}/smaps_rollup`,
      `00400000-7fff0000 ---p 00000000 00:00 0  [rollup]\nRss: ${p.rssKb} kB\nPss: ${p.rssKb - 4} kB\n` +
        `Shared_Clean: 4 kB\nShared_Dirty: 0 kB\nPrivate_Clean: 4 kB\nPrivate_Dirty: ${p.rssKb - 8} kB\n`,
    );
  };
  const proc = {
    root,
    write,
    set(pid: number, change: Partial<FakeProcess> = {}): void {
      const known = living.get(pid);
      const base = { pid, start: pid * 10, comm: `p${pid}`, state: 'S', flags: 0, threads: 1, utime: 0, minflt: 0 };
      const memory = { rssKb: 400, swapKb: 0, startCode: 4096, uid: 0, args: [`/bin/p${pid}`], cgroup: '/' };
      const next = { ...base, ...memory, ...known, ...change };
      living.set(pid, next);
      save(next);
      if (!known || change.args) write(`${pid}/cmdline`, next.args.map((arg) => `${arg}\0`).join(''));
      if (!known || change.cgroup) write(`${pid}/cgroup`, `0::${next.cgroup}\n`);
      if (!known && next.flags === 0) symlinkSync(`/usr/bin/p${pid}`, join(root, String(pid), 'exe'));
    },
    end(pid: number): void {
      living.delete(pid);
      rmSync(join(root, String(pid)), { recursive: true });
    },
    meminfo(freeKb: number): void {
      write('meminfo', `MemTotal: 1000 kB\nMemFree: ${freeKb} kB\nMemAvailable: ${freeKb + 100} kB\n`);
    },
  };
  write('stat', 'cpu  1 2 3 4\ncpu0 1 2 3 4\nintr 5\nctxt 6\nbtime 1700000000\nprocesses 7\n');
  write('sys/kernel/random/boot_id', '0f1e2d3c-0000-4000-8000-000000000001\n');
  write('sys/kernel/osrelease', '6.1.0-test\n');
  proc.meminfo(500);
  return proc;
}

const sweepOnly = new Set<SourceName>(['processes']);
const withMemory = new Set<SourceName>(['processes', 'memory']);

/** A collector whose rounds the test begins, over a log that keeps what it gets, and a clock that the test moves. */
function createRig(root: string, settings: Partial<CollectConfigInput> = {}) {
  const sent: OutgoingRecord[] = [];
  const time = { monotonic: 5_000, wall: 1_700_000_100_000 };
  const clock: Clock = {
    monotonic: () => time.monotonic,
    wall: () => time.wall,
    sleep: (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
  };
  /** Numbers of the chunks of each. */
  const requests: number[][] = [];
  const append = async (records: OutgoingRecord[]): Promise<void> => {
    sent.push(...records);
    requests.push(records.map(({ value, headers }) => decodeSampleChunk(value!, headers).seq));
  };
  const log = { append } as unknown as EventLog;
  const config = completeConfig({ node: toNodeId('fake'), procRoot: root, sysRoot: root, smapsBudget: 0, ...settings });
  const collector = new Collector({ log, config, logger: silentLogger, clock });
  collectors.push(collector);
  return {
    collector,
    time,
    requests,
    async round(due: ReadonlySet<SourceName> = sweepOnly, pass = 1000): Promise<SampleChunk | undefined> {
      sent.length = 0;
      time.monotonic += pass;
      time.wall += pass;
      await collector.round({ due, latenessMs: 0, skipped: new Map() });
      await new Promise((resolve) => setImmediate(resolve));
      expect(sent.length).toBeLessThanOrEqual(settings.linger ? 2 : 1);
      return sent.map(({ value, headers }) => decodeSampleChunk(value!, headers))[0];
    },
  };
}

describe('small rounds that may wait for each other', () => {
  it('go to the log by twos, each a chunk of its own, and the first at once', async () => {
    const proc = createProc();
    proc.set(1);
    const { round, requests, collector } = createRig(proc.root, { linger: 1_000 });
    for (let utime = 1; utime <= 6; utime++) {
      proc.set(1, { utime });
      await round();
    }
    expect(requests).toEqual([[0], [1, 2], [3, 4]]);
    expect(collector.stats()).toMatchObject({ sentRecords: 5, spooledBytes: 0, droppedRecords: 0 });
    await collector.close(1_000);
    expect(requests).toEqual([[0], [1, 2], [3, 4], [5]]);
  });

  it('do not wait when the next round is further away', async () => {
    const proc = createProc();
    proc.set(1);
    const { round, requests } = createRig(proc.root, { linger: 1_000, interval: 2_000 });
    for (let utime = 1; utime <= 3; utime++) {
      proc.set(1, { utime });
      await round();
    }
    expect(requests).toEqual([[0], [1], [2]]);
  });
});

describe('a round of the collector', () => {
  it('begins with a keyframe of all there is, then tells what changed alone', async () => {
    const proc = createProc();
    for (const pid of [1, 2, 3]) proc.set(pid);
    const { round } = createRig(proc.root);
    const first = await round(withMemory);
    expect(first).toMatchObject({ keyframe: true, seq: 0, boot: '0f1e2d3c-0000-4000-8000-000000000001' });
    expect(first?.procs.pid).toEqual([1, 2, 3]);
    expect(first?.procs).toMatchObject({
      start: [10, 20, 30],
      rss: Array(3).fill(400 * KIB),
      rssAnon: Array(3).fill(392 * KIB),
      shared: Array(3).fill(8 * KIB),
      data: Array(3).fill(232 * KIB),
      lib: Array(3).fill(1528 * KIB),
    });
    expect(first?.procs.pss).toBeUndefined();
    expect(first?.facts).toMatchObject({ program: ['p1', 'p2', 'p3'], commandLine: ['/bin/p1', '/bin/p2', '/bin/p3'] });
    expect(first?.facts.startedAt[0]).toBe(1_700_000_000_100);
    expect(first?.system.memory).toEqual({ total: 1000 * KIB, free: 500 * KIB, available: 600 * KIB, used: 400 * KIB });

    expect(await round(withMemory)).toBeUndefined();
    proc.set(2, { rssKb: 500, minflt: 25, utime: 1 });
    proc.meminfo(400);
    const third = await round(withMemory);
    expect(third).toMatchObject({ keyframe: false, seq: 1 });
    expect(third?.procs).toEqual({
      pid: [2],
      start: [20],
      utime: [10],
      minflt: [25],
      rss: [500 * KIB],
      rssAnon: [492 * KIB],
    });
    expect(third?.system).toEqual({
      memory: { total: 1000 * KIB, free: 400 * KIB, available: 500 * KIB, used: 500 * KIB },
    });
  });

  it('reads one file of a process that did not run, and opens none', async () => {
    const proc = createProc();
    for (let pid = 1; pid <= 50; pid++) proc.set(pid);
    const { collector, round } = createRig(proc.root);
    await round();
    await round();
    const before = collector.stats();
    for (let i = 0; i < 10; i++) await round();
    const after = collector.stats();
    expect(after.reads - before.reads).toBe(500);
    expect(after.opens - before.opens).toBe(0);
  });

  it('does not read status while stat says that memory is as before, yet not for ever', async () => {
    const proc = createProc();
    proc.set(1);
    const { collector, round } = createRig(proc.root);
    await round();
    const reads: number[] = [];
    for (let utime = 1; utime <= 22; utime++) {
      proc.set(1, { utime, swapKb: utime });
      const before = collector.stats().reads;
      await round();
      reads.push(collector.stats().reads - before);
    }
    expect(reads.filter((count) => count === 2)).toHaveLength(2);
    expect(reads.filter((count) => count === 1)).toHaveLength(20);
  });

  it('tells a reused pid from the process before it', async () => {
    const proc = createProc();
    proc.set(1);
    proc.set(7, { comm: 'old' });
    const { round } = createRig(proc.root);
    await round();
    proc.set(7, { start: 999, comm: 'new', args: ['/bin/new'], rssKb: 800 });
    const chunk = await round();
    expect(chunk?.exits).toEqual({ pid: [7], start: [70] });
    expect(chunk?.procs.pid).toEqual([7]);
    expect(chunk?.procs.start).toEqual([999]);
    expect(chunk?.procs.rss).toEqual([800 * KIB]);
    expect(chunk?.facts).toMatchObject({ pid: [7], start: [999], commandLine: ['/bin/new'] });
  });

  it('tells of newcomers and exits, and of a process that came and went between two rounds nothing', async () => {
    const proc = createProc();
    proc.set(1);
    const { round } = createRig(proc.root);
    await round();
    proc.set(9);
    expect((await round())?.procs.pid).toEqual([9]);
    proc.end(9);
    const chunk = await round();
    expect(chunk?.exits).toEqual({ pid: [9], start: [90] });
    expect(chunk?.procs.pid).toEqual([]);
    proc.set(11);
    proc.end(11);
    expect(await round()).toBeUndefined();
  });

  it('lives with processes that vanish or break off between two of their files', async () => {
    const proc = createProc();
    proc.set(1);
    const { collector, round } = createRig(proc.root);
    proc.write('5/stat', '');
    proc.write('6/stat', '6 (cut off) S 1 6');
    proc.write('8/cmdline', 'no stat at all\0');
    proc.set(12);
    rmSync(join(proc.root, '12/status'));
    rmSync(join(proc.root, '12/cgroup'));
    const chunk = await round();
    expect(chunk?.procs.pid).toEqual([1, 12]);
    expect(chunk?.facts.uid).toEqual([0, null]);
    expect(chunk?.procs.rssAnon).toEqual([392 * KIB, null]);
    expect(collector.stats().malformedBlocks).toBeGreaterThan(0);
  });

  it('gives a zombie no memory, and a leader whose threads run on the memory it had', async () => {
    const proc = createProc();
    proc.set(1);
    proc.set(2, { threads: 3 });
    const { round } = createRig(proc.root);
    await round();
    proc.set(1, { state: 'Z' });
    proc.set(2, { state: 'Z' });
    const chunk = await round();
    expect(chunk?.procs).toMatchObject({ pid: [1, 2], state: ['Z', 'Z'], rss: [0, null], rssAnon: [0, null] });
  });

  it('knows kernel threads and programs it may not look at by their command name', async () => {
    const proc = createProc();
    proc.set(2, { comm: 'kthreadd', flags: 0x0020_8040, args: [] });
    proc.set(3, { comm: 'a) (b c' });
    rmSync(join(proc.root, '3/exe'));
    const { round } = createRig(proc.root);
    const chunk = await round();
    expect(chunk?.facts.program).toEqual(['kthreadd', 'a) (b c']);
    expect(chunk?.facts.commandLine).toEqual([null, '/bin/p3']);
    expect(chunk?.procs.rssAnon).toEqual([0, 392 * KIB]);
  });

  it('reads facts again after an exec, and tells them when they differ', async () => {
    const proc = createProc();
    proc.set(4, { args: ['sh', '-c', 'app --password=hunter2'] });
    const { round } = createRig(proc.root);
    expect((await round())?.facts.commandLine).toEqual(['sh -c app --password=***']);
    proc.set(4, { startCode: 8192, minflt: 9, args: ['app', '--password', 'hunter2'] });
    expect((await round())?.facts).toMatchObject({ pid: [4], commandLine: ['app --password ***'] });
    proc.set(4, { comm: 'renamed', args: ['app'] });
    await round();
    expect((await round(sweepOnly, 100))?.facts.pid ?? []).toEqual([]);
    proc.set(4, { comm: 'p4', args: ['last'] });
    await round(sweepOnly, 100);
    expect((await round(sweepOnly, 1000))?.facts.commandLine).toEqual(['last']);
  });

  it('tells anonymous memory from statm where status does not', async () => {
    const proc = createProc();
    proc.set(1);
    proc.write(
      '1/status',
      'Name:\tp1\nState:\tS\nVmSize:\t10240 kB\nVmRSS:\t400 kB\nVmData:\t100 kB\nVmStk:\t132 kB\nThreads:\t1\n',
    );
    proc.write('1/statm', '2560 100 3 5 0 58 0\n');
    const { round } = createRig(proc.root);
    expect((await round())?.procs).toMatchObject({ rss: [400 * KIB], rssAnon: [388 * KIB], shared: [12 * KIB] });
  });

  it('of an idle node sends a small part of the text that it reads', async () => {
    const proc = createProc();
    for (let pid = 1; pid <= 200; pid++) proc.set(pid);
    const { collector, round } = createRig(proc.root);
    await round();
    const sentBytes = (): number => collector.stats().sentBytes;
    const [read, sent] = [collector.stats().bytesRead, sentBytes()];
    for (let i = 1; i <= 20; i++) {
      proc.meminfo(500 + i);
      for (const pid of [3, 77, 150]) proc.set(pid, { utime: i, minflt: i, rssKb: 400 + 4 * i });
      expect((await round(withMemory))?.keyframe).toBe(false);
    }
    expect(sentBytes()).toBeGreaterThan(sent);
    expect((sentBytes() - sent) / (collector.stats().bytesRead - read)).toBeLessThan(0.1);
  });

  it('names services by the control group', async () => {
    const proc = createProc();
    proc.set(1, { cgroup: '/system.slice/nginx.service' });
    proc.set(2, { cgroup: '/' });
    const { round } = createRig(proc.root);
    expect((await round())?.facts).toMatchObject({
      cgroup: ['/system.slice/nginx.service', '/'],
      service: ['nginx.service', 'p2'],
    });
  });

  it('tells everything again in the keyframe after its time, in the same run', async () => {
    const proc = createProc();
    proc.set(1);
    const { round } = createRig(proc.root, { keyframeInterval: 5000 });
    const kinds: (boolean | undefined)[] = [];
    for (let i = 0; i < 8; i++) kinds.push((await round(withMemory))?.keyframe);
    expect(kinds).toEqual([true, undefined, undefined, undefined, undefined, true, undefined, undefined]);
  });

  it('keeps fewer files open than there are processes when it must, and misses nothing', async () => {
    const proc = createProc();
    for (let pid = 1; pid <= 40; pid++) proc.set(pid);
    const { collector, round } = createRig(proc.root, { maxOpenFiles: 16 });
    expect((await round())?.procs.pid).toHaveLength(40);
    for (let i = 1; i <= 3; i++) {
      for (let pid = 1; pid <= 40; pid++) proc.set(pid, { utime: i, minflt: i });
      expect((await round())?.procs.pid).toHaveLength(40);
      expect(collector.stats().openFiles).toBeLessThanOrEqual(12);
    }
    for (let pid = 21; pid <= 40; pid++) proc.end(pid);
    expect((await round())?.exits.pid).toHaveLength(20);
    expect(collector.limitations().join('\n')).toContain('open files: 12 for 20 processes');
  });

  it('gives the descriptors to those that run when others have been idle for long', async () => {
    const proc = createProc();
    for (let pid = 1; pid <= 24; pid++) proc.set(pid);
    const { collector, round } = createRig(proc.root, { maxOpenFiles: 16 });
    await round();
    // The last twelve run, the first twelve (which got the descriptors) do not.
    for (let i = 1; i <= 60; i++) {
      for (let pid = 13; pid <= 24; pid++) proc.set(pid, { utime: i });
      await round();
    }
    const before = collector.stats().opens;
    for (let i = 1; i <= 5; i++) {
      for (let pid = 13; pid <= 24; pid++) proc.set(pid, { utime: 100 + i });
      await round();
    }
    // Those that run are open now; only the idle ones are opened each time (and status now and then).
    expect(collector.stats().opens - before).toBeLessThanOrEqual(5 * 12 + 24);
  });

  it('moves the starts along when the time of day is set, and counts the jump', async () => {
    const proc = createProc();
    proc.set(1);
    const { collector, round, time } = createRig(proc.root);
    await round();
    time.wall += 3_600_000;
    proc.write('stat', 'cpu  1 2 3 4\ncpu0 1 2 3 4\nbtime 1700003600\n');
    const chunk = await round();
    expect(chunk?.facts.startedAt).toEqual([1_700_003_600_100]);
    expect(chunk?.at).toBe(time.wall);
    expect(collector.stats().clockJumps).toBe(1);
    expect(collector.record('UP').bootedAt).toBe(1_700_003_600_000);
  });

  it('reads pss, uss and dirty within the budget, and leaves them unknown above the limit of one process', async () => {
    const proc = createProc();
    proc.set(1);
    proc.set(2, { rssKb: 8_000_000 });
    proc.set(3, { flags: 0x0020_8040 });
    const { collector, round } = createRig(proc.root, { smapsBudget: 2 });
    const first = await round();
    for (const name of ['pss', 'uss', 'dirty'] as const) expect(first?.procs[name]).toEqual([null, null, 0]);
    const second = await round();
    expect(second?.procs).toEqual({ pid: [1], start: [10], pss: [396 * KIB], uss: [396 * KIB], dirty: [392 * KIB] });
    expect(collector.limitations().join('\n')).toContain('1 processes are so large that reading them takes over 50 ms');
    expect((await round())?.procs.pid ?? []).toEqual([]);
  });
});

describe('the rounds', () => {
  it('never overlap, and those that a late one covers are left out and counted', async () => {
    const proc = createProc();
    proc.set(1);
    let now = 0;
    let sleeps = 0;
    let enough = (): void => {};
    const thirty = new Promise<void>((resolve) => (enough = resolve));
    const clock: Clock = {
      monotonic: () => now,
      wall: () => 1_700_000_000_000 + now,
      // Every third sleep takes two and a half rounds too long; the thirty-first lasts until the end.
      sleep: async (ms, signal) => {
        if (++sleeps > 30) {
          enough();
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          return;
        }
        now += ms + (sleeps % 3 === 0 ? 2500 : 0);
        await new Promise((resolve) => setImmediate(resolve));
      },
    };
    const log = { append: async () => {} } as unknown as EventLog;
    const config = { node: toNodeId('late'), procRoot: proc.root, sysRoot: proc.root, smapsBudget: 0 };
    const stage = startCollect({ log, config, logger: silentLogger, clock });
    await thirty;
    const { rounds, skippedRounds } = stage.stats()!;
    // Together they are the periods that have gone by, the first round being at once.
    expect(rounds + skippedRounds).toBe(Math.floor(now / 1000) + 1);
    expect(skippedRounds).toBeGreaterThanOrEqual(18);
    await stage.drain(1000);
  });
});

describe('a /proc that is none', () => {
  it.each([
    ['is missing', (root: string) => rmSync(root, { recursive: true })],
    ['is empty', (root: string) => rmSync(join(root, 'stat'))],
    ['is not of Linux', (root: string) => writeFileSync(join(root, 'stat'), 'hello\n')],
  ])('that %s is refused in one line that names the setting', (_, spoil) => {
    const { root } = createProc();
    spoil(root);
    const config = completeConfig({ node: toNodeId('fake'), procRoot: root });
    const start = () => createRig(config.procRoot);
    expect(start).toThrow(CollectError);
    expect(start).toThrow(/^collect\.procRoot: [^\n]+$/);
    expect(start).toThrow(root);
  });

  it('that goes away fails the round, and the collector goes on when it is back', async () => {
    const proc = createProc();
    proc.set(1);
    const { collector, round } = createRig(proc.root);
    await round();
    rmSync(proc.root, { recursive: true });
    await expect(round()).rejects.toThrow(proc.root);
    expect(collector.stats().failedRounds).toBe(1);
    proc.write('stat', 'cpu  1 2 3 4\ncpu0 1 2 3 4\nbtime 1700000000\n');
    proc.set(1, { utime: 5 });
    proc.set(2);
    expect((await round())?.procs.pid).toContain(2);
  });
});
