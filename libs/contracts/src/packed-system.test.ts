import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ContractError } from './errors.js';
import { PackedReader } from './packed-columns.js';
import { packSystem, unpackSystem } from './packed-system.js';
import { checkSystemSample } from './system-sample-check.js';
import type { SystemSample } from './system-sample.js';

const whole = fc.oneof(
  fc.nat(300),
  fc.nat(2 ** 31),
  fc.maxSafeNat().map((value) => value % (2 ** 52 + 1)),
);
/** As text has it: what a parser of /proc makes of `12.34`. */
const decimal = fc.tuple(fc.nat(10 ** 9), fc.nat(99)).map(([before, behind]) => Number(`${before}.${behind}`));
const figure = fc.oneof(whole, decimal);
const label = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });

function record(required: readonly string[], optional: readonly string[] = []) {
  const names = [...required, ...optional];
  return fc.record(Object.fromEntries(names.map((name) => [name, figure])), { requiredKeys: [...required] });
}

function devices(key: string, required: readonly string[], optional: readonly string[]) {
  const device = fc.tuple(label, record(required, optional)).map(([text, figures]) => ({ [key]: text, ...figures }));
  return fc.array(device, { maxLength: 5 });
}

const line = record(['avg10', 'avg60', 'avg300', 'total']);
const system = fc.record(
  {
    memory: record(['total', 'available', 'used', 'free'], ['active', 'inactive', 'buffers', 'swapFree', 'lowFree']),
    load: record(['one', 'five', 'fifteen', 'running', 'total']),
    pressure: fc.record({ some: line, full: line }, { requiredKeys: ['some'] }),
    uptime: record(['up', 'idle']),
    cpus: devices('name', [], ['user', 'nice', 'system', 'idle', 'iowait', 'steal']),
    counters: record([], ['bootTime', 'contextSwitches', 'oomKills']),
    interfaces: devices('name', ['rxBytes', 'txBytes'], ['rxErrors', 'txCompressed']),
    disks: devices('name', ['reads', 'writes'], ['ioTime']),
    cgroups: devices('path', ['usage'], ['limit', 'anon', 'oomKills']),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<unknown> as fc.Arbitrary<SystemSample>;

function unpack(bytes: Uint8Array): SystemSample {
  const reader = new PackedReader(bytes);
  const read = unpackSystem(reader);
  expect(reader.done).toBe(true);
  return read;
}

describe("the node's own figures, packed", () => {
  it('are read as they were, every section and field', () => {
    fc.assert(
      fc.property(system, (one) => {
        const packed = packSystem(one)!;
        expect(unpack(packed)).toStrictEqual(JSON.parse(JSON.stringify(one)));
        expect(packed.length).toBeLessThan(JSON.stringify(one).length + 10);
      }),
      { numRuns: 1_000 },
    );
  });

  it('that cannot be packed stay JSON: nothing of them is rounded, cut off or left out', () => {
    const memory = { total: 4, available: 3, used: 1, free: 2 };
    const rest: [string, unknown][] = [
      ['memory', { ...memory, free: 0.123 }],
      ['memory', { ...memory, free: 2 ** 52 + 2 }],
      ['memory', { ...memory, free: -1 }],
      ['memory', { ...memory, free: NaN }],
      ['memory', { ...memory, free: '2' }],
      ['memory', { ...memory, addedLater: 2 }],
      ['memory', { total: 4 }],
      ['memory', null],
      ['uptime', { up: 2 ** 45 + 0.25, idle: 0 }],
      ['pressure', { full: memory }],
      ['pressure', { some: { avg10: 0, avg60: 0, avg300: 0, total: 0 }, more: {} }],
      ['cpus', [{ name: '', user: 1 }]],
      ['cpus', [{ name: 'x'.repeat(4_097) }]],
      ['cpus', [{ name: '\ud800' }]],
      ['cpus', [{ user: 1 }]],
      ['cpus', [null]],
      ['cpus', {}],
      ['addedLater', {}],
    ];
    for (const [name, value] of rest) expect(packSystem({ [name]: value })).toBeUndefined();
  });

  it('leave out what a newer build added, and read the rest', () => {
    const [memory, load] = [
      { total: 4, available: 3, used: 1, free: 2 },
      { one: 0.5, five: 1, fifteen: 2, running: 1 },
    ];
    const ours = [...packSystem({ memory, load: { ...load, total: 9 } })!];
    expect(ours).toEqual([3, 5, 15, 8, 6, 2, 4, 6, 31, 101, 2, 4, 2, 18]);
    const varint = (value: number): number[] =>
      value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
    const section = [...varint(3 | (1 << 20)), ...ours.slice(1), 3, 7, 7, 7];
    expect(unpack(Uint8Array.from(section))).toEqual(unpack(Uint8Array.from(ours)));
    const field = [...varint(15 | (1 << 17)), 8, 6, 2, 4, 99];
    expect(unpack(Uint8Array.from([1, field.length, ...field]))).toEqual({ memory });
  });

  it('damaged anywhere, or cut off, are other figures that keep the contract, or refused', () => {
    fc.assert(
      fc.property(system, fc.nat(), fc.integer({ min: 0, max: 255 }), (one, at, change) => {
        const packed = packSystem(one)!;
        const damaged = Uint8Array.from(packed);
        damaged[at % damaged.length]! ^= change;
        for (const bytes of [damaged, packed.subarray(0, at % packed.length)]) {
          try {
            const read = unpackSystem(new PackedReader(bytes));
            checkSystemSample(JSON.parse(JSON.stringify(read)));
          } catch (error) {
            expect(error).toBeInstanceOf(ContractError);
            expect((error as Error).message).toMatch(/^packed /);
          }
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
