import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { available, run } from '../symbols/programs.oracle.js';
import { encodePprof } from './pprof.js';
import { anyProfile, frame, profileOf, site } from './profiles.oracle.js';
import type { TraceProfile } from './trace-profile.js';

const directory = mkdtempSync(join(tmpdir(), 'tidemark-pprof-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

type Field = [number: number, value: bigint | Buffer];

/** The wire format of protocol buffers, as far as profile.proto uses it: varints and what has a length. */
function fields(bytes: Buffer): Field[] {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 63n) throw new Error('a damaged varint');
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const all: Field[] = [];
  while (at < bytes.length) {
    const key = varint();
    const number = Number(key >> 3n);
    if ((key & 7n) === 0n) all.push([number, varint()]);
    else if ((key & 7n) === 2n) {
      const length = Number(varint());
      if (at + length > bytes.length) throw new Error('a field longer than its message');
      all.push([number, bytes.subarray(at, (at += length))]);
    } else throw new Error(`wire type ${key & 7n}`);
  }
  return all;
}
function parts(all: readonly Field[], number: number): Buffer[] {
  return all.flatMap(([one, value]) => (one === number && typeof value !== 'bigint' ? [value] : []));
}
/** Repeated numbers may be packed. */
function numbers(all: readonly Field[], number: number): number[] {
  return all.flatMap(([one, value]) =>
    one !== number ? [] : typeof value === 'bigint' ? [Number(value)] : packed(value),
  );
}
function packed(bytes: Buffer): number[] {
  const all: number[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of bytes) {
    value |= BigInt(byte & 127) << shift;
    shift += 7n;
    if (byte >= 128) continue;
    all.push(Number(value));
    [value, shift] = [0n, 0n];
  }
  return all;
}

interface Decoded {
  types: string[];
  defaultType: string;
  timeNanos: bigint;
  samples: {
    values: number[];
    stack: { module: string; buildId: string; lines: string[] }[];
    labels: Record<string, string | number>;
  }[];
}

/** Field numbers of profile.proto. */
async function decode(profile: TraceProfile): Promise<Decoded> {
  const all = fields(gunzipSync(await encodePprof(profile)));
  const strings = parts(all, 6).map((bytes) => bytes.toString('utf8'));
  const one = (message: Field[], number: number): number => numbers(message, number)[0] ?? 0;
  const table = (number: number): Map<number, Field[]> =>
    new Map(
      parts(all, number)
        .map((bytes) => fields(bytes))
        .map((message) => [one(message, 1), message]),
    );
  const [mappings, locations, functions] = [table(3), table(4), table(5)];
  return {
    types: parts(all, 1).map((bytes) => strings[one(fields(bytes), 1)]!),
    defaultType: strings[one(all, 14)]!,
    timeNanos: (all.find(([number]) => number === 9)?.[1] ?? 0n) as bigint,
    samples: parts(all, 2).map((bytes) => {
      const sample = fields(bytes);
      return {
        values: numbers(sample, 2),
        stack: numbers(sample, 1).map((id) => {
          const location = locations.get(id)!;
          const mapping = mappings.get(one(location, 2));
          if (mapping !== undefined) expect(one(location, 3)).toBeLessThan(one(mapping, 3));
          return {
            module: mapping === undefined ? '' : strings[one(mapping, 5)]!,
            buildId: mapping === undefined ? '' : strings[one(mapping, 6)]!,
            lines: parts(location, 4).map((line) => {
              const its = functions.get(one(fields(line), 1))!;
              return `${strings[one(its, 2)]} ${strings[one(its, 4)]}:${one(fields(line), 2)}`;
            }),
          };
        }),
        labels: Object.fromEntries(
          parts(sample, 3).map((label) => {
            const message = fields(label);
            return [strings[one(message, 1)]!, strings[one(message, 2)] || one(message, 3)];
          }),
        ),
      };
    }),
  };
}

const profile = profileOf([
  site(
    2,
    [
      frame('inner', { line: 3, inlined: true, offset: 0x1200 }),
      frame('outer', { line: 7, offset: 0x1200 }),
      frame('main', { line: 20, offset: 0x1300 }),
    ],
    { bytes: 4096, blocks: 4 },
    { verdict: 'SUSPECTED', freed: { bytes: 1000, blocks: 1 } },
  ),
  site(
    3,
    [
      frame(null, { module: '/lib/libc.so.6', buildId: '0011', offset: 0x98931 }),
      frame('outer', { line: 9, offset: 0x1250 }),
      frame('main', { line: 20, offset: 0x1300 }),
    ],
    { bytes: 0, blocks: 0 },
    { freed: { bytes: 500, blocks: 5 } },
  ),
  site(4, [frame(null, { module: null, buildId: null, offset: 0x7f00_0000_1234 })], { bytes: 7, blocks: 1 }),
  site(5, [frame('never', {})], { bytes: 0, blocks: 0 }),
]);

describe('a profile for pprof', () => {
  it('decodes to its figures, stacks, inlined functions, objects and verdicts', async () => {
    const { types, defaultType, timeNanos, samples } = await decode(profile);
    expect(types).toEqual(['alloc_objects', 'alloc_space', 'inuse_objects', 'inuse_space']);
    expect(defaultType).toBe('inuse_space');
    expect(timeNanos).toBe(BigInt(Date.UTC(2026, 10, 20, 9, 30)) * 1_000_000n);
    const main = { module: '/usr/bin/demo', buildId: 'abcdef01', lines: ['main src/main.c:20'] };
    expect(samples).toEqual([
      {
        values: [5, 5096, 4, 4096],
        stack: [{ ...main, lines: ['inner src/inner.c:3', 'outer src/outer.c:7'] }, main],
        labels: { verdict: 'SUSPECTED', site: 2 },
      },
      {
        values: [5, 500, 0, 0],
        stack: [
          { module: '/lib/libc.so.6', buildId: '0011', lines: [] },
          { ...main, lines: ['outer src/outer.c:9'] },
          main,
        ],
        labels: { verdict: 'STABLE', site: 3 },
      },
      { values: [1, 7, 1, 7], stack: [{ module: '', buildId: '', lines: [] }], labels: { verdict: 'STABLE', site: 4 } },
    ]);
  });

  it('has the exact sums of any trace', async () => {
    await fc.assert(
      fc.asyncProperty(anyProfile, async (any) => {
        const { samples } = await decode(any);
        const sums = [0, 1, 2, 3].map((type) => samples.reduce((sum, { values }) => sum + values[type]!, 0));
        const { allocations, allocatedBytes, liveCount, liveBytes } = any.totals;
        expect(sums).toEqual([allocations, allocatedBytes, liveCount, liveBytes]);
      }),
      { numRuns: 200 },
    );
  });

  it('of hostile figures is still a profile', async () => {
    const bad = site(
      2,
      [frame('main', { offset: -5 })],
      { bytes: NaN, blocks: Infinity },
      { freed: { bytes: 2 ** 60, blocks: 1 } },
    );
    const { samples } = await decode(profileOf([bad], { startedAt: NaN, durationMs: -1, sampleInterval: 0.5 }));
    expect(samples).toEqual([]);
    const large = site(3, [frame('main')], { bytes: 2 ** 50, blocks: 2 ** 40 });
    expect((await decode(profileOf([large]))).samples[0]!.values).toEqual([2 ** 40, 2 ** 50, 2 ** 40, 2 ** 50]);
  });
});

describe.skipIf(!available('go', 'version'))('go tool pprof', () => {
  async function pprof(...options: string[]): Promise<string> {
    const file = join(directory, 'heap.pb.gz');
    writeFileSync(file, await encodePprof(profile));
    return run('go', ['tool', 'pprof', ...options, file]);
  }

  it('ranks functions by live bytes unless asked for another measure', { timeout: 120_000 }, async () => {
    const flat = (text: string): [string, string][] =>
      [...text.matchAll(/^ *(\S+) +\S+% +\S+% +\S+ +\S+% +(.+)$/gm)].map((match) => [match[2]!, match[1]!]);
    const top = await pprof('-top', '-unit=B', '-nodecount=50', '-nodefraction=0');
    expect(top).toContain('Type: inuse_space');
    expect(flat(top)).toContainEqual(['inner (inline)', '4096B']);
    const allocated = await pprof('-top', '-unit=B', '-sample_index=alloc_space', '-nodefraction=0');
    expect(flat(allocated)).toContainEqual(['inner (inline)', '5096B']);
    expect(allocated).toMatch(/of 5603B total/);
    expect(await pprof('-top', '-sample_index=inuse_objects')).toMatch(/of 5 total/);
    expect(await pprof('-top', '-unit=B', '-tagfocus=verdict=SUSPECTED', '-nodefraction=0')).toMatch(
      /4096B, .* of 4103B total/,
    );
  });

  it('reads stacks, lines and build ids', { timeout: 120_000 }, async () => {
    const raw = await pprof('-raw');
    expect(raw).toContain('alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes[dflt]');
    expect(raw).toMatch(/\/usr\/bin\/demo abcdef01/);
    expect(raw).toMatch(/\/lib\/libc\.so\.6 0011/);
    expect(raw).toMatch(/0x11ff M=1 inner src\/inner\.c:3(?::0)? s=0(?:\(inner\))?\n\s+outer src\/outer\.c:7/);
  });
});
