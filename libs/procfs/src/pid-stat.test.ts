import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, fixtureRoot, KERNELS, UNITS } from './fixtures.oracle.js';
import { createStatIdentity, fillFromStat, isKernelThread, parsePidStat, startedAt, statName } from './pid-stat.js';
import { createRows, ROW, ROW_LENGTH } from './process-row.js';
import { splitPidStat, statField } from './split.oracle.js';

function fill(bytes: Buffer, length = bytes.length) {
  const row = createRows(3).fill(-1);
  const identity = createStatIdentity();
  const good = fillFromStat(bytes, length, UNITS, row, ROW_LENGTH, identity);
  return { good, row, identity, at: (name: keyof typeof ROW) => row[ROW_LENGTH + ROW[name]] };
}

const blocks = KERNELS.flatMap((kernel) =>
  readdirSync(fixtureRoot(kernel))
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ({ kernel, pid, bytes: fixture(kernel, `${pid}/stat`) })),
);

describe('fillFromStat', () => {
  it.each(blocks)('agrees with a split of the block of $kernel, pid $pid', ({ bytes }) => {
    const split = splitPidStat(bytes.toString('latin1'));
    const { good, identity, at } = fill(bytes);
    expect(good).toBe(true);
    expect(identity.pid).toBe(split.pid);
    expect(statName(bytes, identity)).toBe(split.name);
    expect(String.fromCharCode(identity.state)).toBe(split.rest[0]);
    expect(identity.start).toBe(statField(split, 22));
    expect(identity.flags).toBe(statField(split, 9));
    expect(at('ppid')).toBe(statField(split, 4));
    expect(at('pgrp')).toBe(statField(split, 5));
    expect(at('session')).toBe(statField(split, 6));
    expect(at('minflt')).toBe(statField(split, 10));
    expect(at('majflt')).toBe(statField(split, 12));
    expect(at('utime')).toBe(statField(split, 14) * 10);
    expect(at('stime')).toBe(statField(split, 15) * 10);
    expect(at('threads')).toBe(statField(split, 20) || Number.NaN);
    expect(at('vms')).toBe(statField(split, 23));
    expect(at('rss')).toBe(statField(split, 24) * 4096);
  });

  it('writes its own row and no other', () => {
    const { row } = fill(fixture('5.10', '812/stat'));
    expect([...row.subarray(0, ROW_LENGTH), ...row.subarray(2 * ROW_LENGTH)].every((cell) => cell === -1)).toBe(true);
  });

  it('ends the name at the last parenthesis, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('(', ')', ' ', '\n', 'a', '7', 'é', '\\') }), (name) => {
        const bytes = Buffer.from(`12 (${name}) S 1 12 12 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99 4096 1 2 3\n`);
        const { good, identity } = fill(bytes);
        return good && statName(bytes, identity) === name && identity.start === 99;
      }),
    );
  });

  it('refuses a block that was cut off before its 24th field, and leaves the row as it was', () => {
    const bytes = fixture('6.18', '2/stat');
    const whole = bytes.toString('latin1').split(' ').slice(0, 24).join(' ').length;
    for (let length = 0; length < whole - 1; length++) {
      const { good, row } = fill(bytes, length);
      // A number cut in two is a number still; only its last field may be wrong then.
      if (good) expect(length).toBeGreaterThan(whole - 20);
      else expect(row.every((cell) => cell === -1)).toBe(true);
    }
  });

  it('says unknown for what the kernel says is nothing: a group of -1', () => {
    const { at } = fill(Buffer.from('5 (x) Z 1 -1 -1 0 -1 0 0 0 0 0 0 0 0 0 20 0 0 0 99 0 -3 0\n'));
    expect(at('pgrp')).toBeNaN();
    expect(at('session')).toBeNaN();
    expect(at('threads')).toBeNaN();
    expect(at('rss')).toBe(0);
  });

  it('saturates beyond what the wire can hold, and keeps numbers whole at odd tick rates', () => {
    const bytes = Buffer.from(`5 (x) S 1 1 1 0 -1 0 18446744073709551615 0 7 0 3 5 0 0 20 0 1 0 99 1 1 0\n`);
    const row = createRows();
    fillFromStat(bytes, bytes.length, { ...UNITS, clockTicks: 1024 }, row, 0, createStatIdentity());
    expect(row[ROW.minflt]).toBe(Number.MAX_SAFE_INTEGER);
    expect([row[ROW.utime], row[ROW.stime]]).toEqual([3, 5]);
  });
});

describe('parsePidStat', () => {
  it.each(blocks)('agrees with a split of every field of $kernel, pid $pid', ({ bytes, kernel }) => {
    const split = splitPidStat(bytes.toString('latin1'));
    const stat = parsePidStat(bytes, bytes.length, UNITS);
    expect(stat).toMatchObject({
      pid: split.pid,
      name: split.name,
      state: split.rest[0],
      ppid: statField(split, 4),
      terminal: statField(split, 7),
      foregroundGroup: statField(split, 8),
      childMinflt: statField(split, 11),
      childMajflt: statField(split, 13),
      childUtime: statField(split, 16) * 10,
      childStime: statField(split, 17) * 10,
      priority: statField(split, 18),
      nice: statField(split, 19),
      start: statField(split, 22),
      exitSignal: statField(split, 38),
      cpu: statField(split, 39),
    });
    expect(stat.rssLimit).toBeUndefined();
    expect(stat.policy).toBe(kernel === '2.4' ? undefined : statField(split, 41));
    expect(stat.blockedTime).toBe(kernel === '2.4' ? undefined : statField(split, 42) * 10);
  });

  it('throws a coded error that shows what it found instead', () => {
    expect(() => parsePidStat(Buffer.from('nonsense'), 8, UNITS)).toThrow(
      expect.objectContaining({ code: 'PROCFS_FORMAT', message: expect.stringContaining('"nonsense"') }),
    );
  });
});

describe('startedAt', () => {
  it('adds ticks to the time of boot', () => {
    expect(startedAt(12_345, 1_000_000, 100)).toBe(1_000_000 + 123_450);
  });
});

describe('isKernelThread', () => {
  it('tells the kernel threads of this host, which alone have no address space', () => {
    const PF_EXITING = 4;
    const kinds = new Set<boolean>();
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const bytes = readIfThere(`/proc/${pid}/stat`);
      if (!bytes) continue;
      const { identity, at } = fill(bytes);
      if ((identity.flags & PF_EXITING) !== 0) continue;
      expect(isKernelThread(identity.flags), statName(bytes, identity)).toBe(at('vms') === 0);
      kinds.add(at('vms') === 0);
    }
    expect(kinds).toContain(false);
  });

  it('tells those of the fixtures', () => {
    expect(isKernelThread(fill(fixture('6.18', '2/stat')).identity.flags)).toBe(true);
    expect(isKernelThread(fill(fixture('5.10', '2/stat')).identity.flags)).toBe(true);
    expect(isKernelThread(fill(fixture('5.10', '812/stat')).identity.flags)).toBe(false);
  });
});

/** A process may exit between the listing and the read. */
function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
