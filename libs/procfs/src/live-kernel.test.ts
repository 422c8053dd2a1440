import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseDiskstats } from './diskstats.js';
import { parseLoadavg } from './loadavg.js';
import { memorySection, parseMeminfo, type Meminfo } from './meminfo.js';
import { parseNetDev } from './net-dev.js';
import { parseCmdline } from './pid-cmdline.js';
import { fillFromSmaps } from './pid-smaps-rollup.js';
import { parseSmaps } from './pid-smaps.js';
import { createStatIdentity, fillFromStat, statName } from './pid-stat.js';
import { fillFromStatus } from './pid-status.js';
import { createRows, ROW } from './process-row.js';
import { createProcfs, type ProcessFile, type SystemFile } from './procfs.js';
import { splitFigures, splitNetDev, splitPidStat, splitRows, splitSmaps, statField, sumKib } from './split.oracle.js';
import { parseSystemStat } from './stat.js';
import { parseVmstat } from './vmstat.js';

const procfs = createProcfs();
let still: ChildProcess;

/** A process that does nothing, so that two looks at it see the same. */
beforeAll(async () => {
  still = spawn('sleep', ['600'], { stdio: 'ignore' });
  await once(still, 'spawn');
  await vi.waitFor(
    () => expect(statOf(still.pid!)).toMatchObject({ name: 'sleep', rest: expect.arrayContaining(['S']) }),
    { timeout: 30_000 },
  );
});

afterAll(() => {
  still.kill('SIGKILL');
});

function block(name: SystemFile): Buffer {
  const file = procfs.systemFile(name, false);
  expect(file.read()).toBe('changed');
  file.close();
  return Buffer.from(procfs.buffer.bytes.subarray(0, file.length));
}

function processBlock(pid: number, name: ProcessFile): Buffer | undefined {
  const file = procfs.processFile(pid, name);
  const outcome = file.read();
  file.close();
  return outcome === 'changed' ? Buffer.from(procfs.buffer.bytes.subarray(0, file.length)) : undefined;
}

function rowOf(pid: number) {
  const row = createRows();
  const identity = createStatIdentity();
  const stat = processBlock(pid, 'stat')!;
  fillFromStat(stat, stat.length, procfs.units, row, 0, identity);
  const status = processBlock(pid, 'status')!;
  fillFromStatus(status, status.length, row, 0);
  return { row, at: (name: keyof typeof ROW) => row[ROW[name]]!, name: statName(stat, identity) };
}

function statOf(pid: number) {
  return splitPidStat(processBlock(pid, 'stat')!.toString('latin1'));
}

const livingPids = (): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);

describe('one block of the running kernel, parsed here and by a split', () => {
  it('meminfo: all fourteen figures of the mission', () => {
    const bytes = block('meminfo');
    const lines = splitFigures(bytes.toString());
    const meminfo = parseMeminfo(bytes);
    const labels: [keyof Meminfo, string][] = [
      ['active', 'Active'],
      ['inactive', 'Inactive'],
      ['buffers', 'Buffers'],
      ['cached', 'Cached'],
      ['free', 'MemFree'],
      ['highTotal', 'HighTotal'],
      ['highFree', 'HighFree'],
      ['lowTotal', 'LowTotal'],
      ['lowFree', 'LowFree'],
      ['shmem', 'Shmem'],
      ['swapTotal', 'SwapTotal'],
      ['swapCached', 'SwapCached'],
      ['swapFree', 'SwapFree'],
      ['total', 'MemTotal'],
    ];
    for (const [name, label] of labels) {
      expect(meminfo[name], label).toBe(lines[label] === undefined ? undefined : lines[label] * 1024);
    }
  });

  it('loadavg, stat and vmstat: loads, times of every CPU, counters', () => {
    const load = block('loadavg');
    expect(Object.values(parseLoadavg(load))).toEqual(load.toString().trim().split(/[ /]/).map(Number));
    const bytes = block('stat');
    const stat = parseSystemStat(bytes, bytes.length, procfs.units);
    const rows = splitRows(bytes.toString());
    const milliseconds = 1000 / procfs.units.clockTicks;
    const cpus = rows.filter(([label]) => label?.startsWith('cpu'));
    expect(stat.cpus.map(({ name, user, nice, system, idle }) => [name, user, nice, system, idle])).toEqual(
      cpus.map(([name, ...ticks]) => [name, ...ticks.slice(0, 4).map((tick) => Number(tick) * milliseconds)]),
    );
    const first = (label: string): number => Number(rows.find(([found]) => found === label)?.[1]);
    expect([stat.interrupts, stat.contextSwitches, stat.bootTime, stat.processes]).toEqual(
      ['intr', 'ctxt', 'btime', 'processes'].map(first),
    );
    const vmBytes = block('vmstat');
    const lines = splitFigures(vmBytes.toString());
    expect(Object.values(parseVmstat(vmBytes))).toEqual(
      ['pgpgin', 'pgpgout', 'pswpin', 'pswpout', 'pgfault', 'pgmajfault', 'oom_kill'].map((label) => lines[label]),
    );
  });

  it('net/dev and diskstats: every column of every interface and disk', () => {
    const net = block('net/dev');
    expect(parseNetDev(net).map(({ name, ...figures }) => ({ name, figures: Object.values(figures) }))).toEqual(
      splitNetDev(net.toString()),
    );
    const disks = block('diskstats');
    const rows = splitRows(disks.toString());
    expect(
      parseDiskstats(disks).map((disk) => [disk.name, disk.reads, disk.readSectors, disk.writes, disk.writtenSectors]),
    ).toEqual(rows.map((row) => [row[2], ...[3, 5, 7, 9].map((column) => Number(row[column]))]));
  });

  it('stat, status and cmdline of every process there is', () => {
    let compared = 0;
    for (const pid of livingPids()) {
      const stat = processBlock(pid, 'stat');
      const status = processBlock(pid, 'status');
      const cmdline = processBlock(pid, 'cmdline');
      if (!stat || !status || !cmdline) continue;
      const row = createRows();
      const identity = createStatIdentity();
      const split = splitPidStat(stat.toString('latin1'));
      expect(fillFromStat(stat, stat.length, procfs.units, row, 0, identity)).toBe(true);
      expect([identity.pid, identity.start, row[ROW.ppid], row[ROW.minflt], row[ROW.vms]]).toEqual([
        pid,
        statField(split, 22),
        statField(split, 4),
        statField(split, 10),
        statField(split, 23),
      ]);
      expect(fillFromStatus(status, status.length, row, 0)).toBe(true);
      const lines = splitFigures(status.toString('latin1'));
      expect(row[ROW.rssAnon]).toBe((lines['RssAnon'] ?? 0) * 1024);
      expect(row[ROW.data]).toBe(((lines['VmData'] ?? 0) + (lines['VmStk'] ?? 0)) * 1024);
      const text = cmdline.toString('utf8').replace(/\0+$/, '').split('\0').join(' ');
      expect(parseCmdline(cmdline)?.text ?? '').toBe(text);
      compared++;
    }
    expect(compared).toBeGreaterThan(2);
  });

  it('smaps: every mapping of this process', () => {
    const bytes = processBlock(process.pid, 'smaps')!;
    const split = splitSmaps(bytes.toString());
    const mappings = parseSmaps(bytes);
    expect(mappings.length).toBeGreaterThan(50);
    expect(mappings.map(({ path, permissions, pss }) => ({ path, permissions, pss }))).toEqual(
      split.map(({ path, permissions, figures }) => ({ path, permissions, pss: figures['Pss']! * 1024 })),
    );
    const row = createRows();
    expect(fillFromSmaps(bytes, bytes.length, row, 0)).toBe(true);
    expect(row[ROW.uss]).toBe(sumKib(split, 'Private_Clean') + sumKib(split, 'Private_Dirty'));
  });
});

describe('figures of the running kernel, as other programs tell them', () => {
  it('what ps says of a process that rests', () => {
    const { at, name } = rowOf(still.pid!);
    const text = execFileSync('ps', ['-o', 'ppid=,pgid=,sid=,nlwp=,vsz=,rss=,comm=', '-p', String(still.pid)]);
    expect([at('ppid'), at('pgrp'), at('session'), at('threads'), at('vms') / 1024, at('rss') / 1024, name]).toEqual(
      text
        .toString()
        .trim()
        .split(/\s+/)
        .map((word) => (/^\d+$/.test(word) ? Number(word) : word)),
    );
  });

  it('what awk makes of statm: the seven figures of the mission but for the two that are 0 there', () => {
    const script = '{ print $1 * P, $2 * P, $3 * P, $4 * P, $6 * P }';
    const page = execFileSync('getconf', ['PAGESIZE']).toString().trim();
    const words = execFileSync('awk', ['-v', `P=${page}`, script, `/proc/${still.pid}/statm`]);
    const { at } = rowOf(still.pid!);
    expect([at('vms'), at('rss'), at('shared'), at('text'), at('data')]).toEqual(
      words.toString().trim().split(' ').map(Number),
    );
  });

  it('what free says of the node, within what a moment moves', () => {
    const [, total, , , shared, , available] = /^Mem:.*$/m
      .exec(execFileSync('free', ['-b']).toString())![0]
      .split(/\s+/)
      .map(Number);
    const section = memorySection(parseMeminfo(block('meminfo')));
    expect(section.total).toBe(total);
    const near = 256 * 2 ** 20;
    expect(Math.abs(section.available - available!)).toBeLessThan(near);
    expect(Math.abs(section.shared! - shared!)).toBeLessThan(near);
  });
});

describe('smaps_rollup of a process that rests', () => {
  it('is what summing its smaps gives, but for the Pss that each mapping rounds down', () => {
    const [rolled, summed] = [createRows(), createRows()];
    const { rollup, smaps } = undisturbed();
    expect(fillFromSmaps(rollup, rollup.length, rolled, 0)).toBe(true);
    expect(fillFromSmaps(smaps, smaps.length, summed, 0)).toBe(true);
    const awk = (label: string): number => {
      const script = `$1 == "${label}:" { sum += $2 } END { print sum * 1024 }`;
      return Number(execFileSync('awk', [script], { input: smaps }));
    };
    expect(summed[ROW.uss]).toBe(rolled[ROW.uss]);
    expect(summed[ROW.dirty]).toBe(rolled[ROW.dirty]);
    expect(summed[ROW.uss]).toBe(awk('Private_Clean') + awk('Private_Dirty'));
    const lost = rolled[ROW.pss]! - summed[ROW.pss]!;
    expect(lost).toBeGreaterThanOrEqual(0);
    expect(lost).toBeLessThan(parseSmaps(smaps).length * 1024);
  });

  /** Pages of a library turn from private to shared when another process maps it: both files of a moment without that. */
  function undisturbed(): { rollup: Buffer; smaps: Buffer } {
    for (let tries = 0; tries < 100; tries++) {
      const rollup = processBlock(still.pid!, 'smaps_rollup')!;
      const smaps = processBlock(still.pid!, 'smaps')!;
      if (rollup.equals(processBlock(still.pid!, 'smaps_rollup')!)) return { rollup, smaps };
    }
    throw new Error('smaps_rollup of a process that sleeps never stayed the same');
  }
});
