import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCgroupMemoryEvents } from './cgroup-memory-events.js';
import { parseCgroupMemoryStat } from './cgroup-memory-stat.js';
import { parseCgroupNumber } from './cgroup-number.js';
import { parseCgroupOomControl } from './cgroup-oom-control.js';
import { parseDiskstats } from './diskstats.js';
import { ProcfsError } from './errors.js';
import { fixture, fixtureSys, UNITS } from './fixtures.oracle.js';
import { parseAuxv } from './kernel-units.js';
import { parseLoadavg } from './loadavg.js';
import { parseMeminfo } from './meminfo.js';
import { parseMountinfo } from './mountinfo.js';
import { parseNetDev } from './net-dev.js';
import { parsePidCgroup } from './pid-cgroup.js';
import { parseCmdline } from './pid-cmdline.js';
import { fillFromSmaps } from './pid-smaps-rollup.js';
import { parseSmaps } from './pid-smaps.js';
import { createStatIdentity, fillFromStat, parsePidStat, statName } from './pid-stat.js';
import { fillFromStatm, parsePidStatm } from './pid-statm.js';
import { fillFromStatus, parsePidStatus } from './pid-status.js';
import { parsePressure } from './pressure.js';
import { createRows } from './process-row.js';
import { parseSystemStat } from './stat.js';
import { parseUptime } from './uptime.js';
import { parseVmstat } from './vmstat.js';

type Parser = (bytes: Uint8Array, length: number) => unknown;

const row = createRows();
const identity = createStatIdentity();
const web = '812';
const sys = (name: string): Buffer => readFileSync(`${fixtureSys('5.10')}/fs/cgroup/system.slice/web.service/${name}`);

/** Every parser with a block that it takes, which mutations start from. */
const PARSERS: [name: string, parse: Parser, block: Buffer][] = [
  ['stat', (b, n) => parsePidStat(b, n, UNITS), fixture('5.10', `${web}/stat`)],
  ['statm', (b, n) => parsePidStatm(b, n, UNITS), fixture('5.10', `${web}/statm`)],
  ['status', parsePidStatus, fixture('5.10', `${web}/status`)],
  ['smaps', parseSmaps, fixture('2.6', '1/smaps')],
  ['cmdline', parseCmdline, fixture('5.10', `${web}/cmdline`)],
  ['cgroup', parsePidCgroup, fixture('6.18', '1/cgroup')],
  ['mountinfo', parseMountinfo, fixture('5.10', 'self/mountinfo')],
  ['meminfo', parseMeminfo, fixture('2.4', 'meminfo')],
  ['loadavg', parseLoadavg, fixture('5.10', 'loadavg')],
  ['uptime', parseUptime, fixture('5.10', 'uptime')],
  ['system stat', (b, n) => parseSystemStat(b, n, UNITS), fixture('2.4', 'stat')],
  ['vmstat', parseVmstat, fixture('2.6', 'vmstat')],
  ['net/dev', parseNetDev, fixture('2.4', 'net/dev')],
  ['diskstats', parseDiskstats, fixture('2.6', 'diskstats')],
  ['pressure', parsePressure, fixture('5.10', 'pressure/memory')],
  ['cgroup number', parseCgroupNumber, sys('memory.current')],
  ['memory.stat', (b, n) => parseCgroupMemoryStat(2, b, n), sys('memory.stat')],
  ['memory.events', parseCgroupMemoryEvents, sys('memory.events')],
  ['memory.oom_control', parseCgroupOomControl, Buffer.from('oom_kill_disable 0\nunder_oom 0\noom_kill 0\n')],
  ['auxv', (b, n) => parseAuxv(b.subarray(0, n)), fixture('6.18', 'self/auxv')],
];

const FILLERS: [name: string, fill: (bytes: Uint8Array, length: number) => boolean, block: Buffer][] = [
  [
    'stat',
    (b, n) => {
      const good = fillFromStat(b, n, UNITS, row, 0, identity);
      if (good) statName(b, identity);
      return good;
    },
    fixture('5.10', `${web}/stat`),
  ],
  ['status', (b, n) => fillFromStatus(b, n, row, 0), fixture('5.10', `${web}/status`)],
  ['statm', (b, n) => fillFromStatm(b, n, UNITS, row, 0), fixture('5.10', `${web}/statm`)],
  ['smaps_rollup', (b, n) => fillFromSmaps(b, n, row, 0), fixture('5.10', `${web}/smaps_rollup`)],
];

const anyBytes = fc.uint8Array({ maxLength: 600 });

/** A good block with some bytes overwritten, a piece left out or doubled, and a length that may lie. */
function mutated(block: Buffer): fc.Arbitrary<{ bytes: Uint8Array; length: number }> {
  const at = fc.nat(Math.max(0, block.length - 1));
  const edits = fc.array(fc.tuple(at, fc.oneof(fc.nat(255), fc.constantFrom(10, 32, 40, 41, 48, 57, 58, 0))), {
    maxLength: 8,
  });
  return fc
    .record({ edits, cut: fc.tuple(at, at), double: fc.boolean(), length: fc.nat(block.length * 2) })
    .map((m) => {
      const copy = Buffer.from(block);
      for (const [index, byte] of m.edits) copy[index] = byte;
      const [from, to] = [Math.min(...m.cut), Math.max(...m.cut)];
      const piece = copy.subarray(from, to);
      const bytes = Buffer.concat([copy.subarray(0, from), ...(m.double ? [piece, piece] : []), copy.subarray(to)]);
      return { bytes, length: m.length };
    });
}

function coded(parse: () => unknown): boolean {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof ProcfsError)) throw error;
    expect(error.code).toMatch(/^PROCFS_/);
    expect(error.message.length).toBeLessThan(400);
  }
  return true;
}

describe('every parser, given bytes that no kernel wrote,', () => {
  it.each(PARSERS)('%s either answers or throws a coded error', (_name, parse, block) => {
    fc.assert(fc.property(anyBytes, (bytes) => coded(() => parse(bytes, bytes.length))));
    fc.assert(
      fc.property(mutated(block), ({ bytes, length }) => coded(() => parse(bytes, length))),
      { numRuns: 300 },
    );
  });

  it.each(PARSERS)('%s takes the block that the mutations start from', (_name, parse, block) => {
    expect(parse(block, block.length)).toBeDefined();
  });

  it.each(FILLERS)('%s fills a row with what the wire can hold, or says that it did not', (_name, fill, block) => {
    const holds = (bytes: Uint8Array, length: number): boolean => {
      row.fill(Number.NaN);
      const good = fill(bytes, length);
      return row.every((cell) => Number.isNaN(cell) || (good && Number.isSafeInteger(cell) && cell >= 0));
    };
    fc.assert(fc.property(anyBytes, (bytes) => holds(bytes, bytes.length)));
    fc.assert(
      fc.property(mutated(block), ({ bytes, length }) => holds(bytes, length)),
      { numRuns: 500 },
    );
    expect(fill(block, block.length)).toBe(true);
  });

  it.each(PARSERS)(
    '%s is done with two megabytes of one byte, in time that grows with the length alone',
    (_name, parse) => {
      // Quadratic work on these would take minutes, and the runner would end it.
      for (const byte of ' \n0(:\\-a\0') coded(() => parse(Buffer.alloc(2 ** 21, byte), 2 ** 21));
    },
  );
});
