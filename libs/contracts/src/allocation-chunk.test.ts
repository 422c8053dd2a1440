import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutAllocationChunk } from './allocation-chunk-cut.js';
import { decodeAllocationChunk } from './allocation-chunk-decode.js';
import { encodeAllocationChunk } from './allocation-chunk-encode.js';
import {
  CHUNK_STATES,
  MAX_ALLOCATION_CHUNK_BYTES,
  MAX_CHUNK_NAME,
  MAX_STACK_FRAMES,
  MAX_TRACE_TIME,
  traceTime,
  type AllocationChunk,
} from './allocation-chunk.js';
import { BIRTH_BINS, TRACE_MEANS, TRACE_MODES, type SiteStack, type StackFrame } from './allocation-trace.js';
import { compress, decompress, ENCODING_HEADER } from './encoding.js';
import { ContractError } from './errors.js';
import { processKey, type NodeId } from './ids.js';

const safe = fc.nat(Number.MAX_SAFE_INTEGER);
const number = fc.oneof(
  fc.nat(1_000_000),
  safe,
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
);
const time = fc.double({ min: 0, max: MAX_TRACE_TIME, noNaN: true }).map(traceTime);
const words = fc.string({ unit: 'grapheme', maxLength: 60 });
const siteNumber = fc.nat(0xffff_ffff);

const frame: fc.Arbitrary<StackFrame> = fc.record({
  function: fc.option(words),
  file: fc.option(words),
  line: fc.option(fc.nat(0xffff_fffe)),
  module: fc.option(words),
  buildId: fc.option(fc.stringMatching(/^[0-9a-f]{1,40}$/)),
  offset: safe,
  inlined: fc.boolean(),
});

const figures = fc.record({
  site: siteNumber,
  allocations: number,
  frees: number,
  allocatedBytes: number,
  freedBytes: number,
  liveCount: number,
  liveBytes: number,
  oldFrees: number,
  liveSamples: number,
  liveVariance: number,
  firstAt: time,
  births: fc.array(fc.oneof(fc.constant(0), safe), { minLength: BIRTH_BINS, maxLength: BIRTH_BINS }),
});

const name = fc.record({ address: safe, time });
const byAddress = (a: { address: number; time: number }, b: { address: number; time: number }): number =>
  a.address - b.address || a.time - b.time;

const chunk: fc.Arbitrary<AllocationChunk> = fc
  .record({
    v: fc.constant(1 as const),
    node: fc.stringMatching(/^[A-Za-z0-9._-]{1,40}$/) as fc.Arbitrary<NodeId>,
    boot: fc.uuid(),
    pid: fc.nat(0xffff_ffff),
    start: safe,
    program: words,
    commandLine: fc.option(words),
    run: fc.stringMatching(/^[A-Za-z0-9-]{1,64}$/),
    seq: fc.integer({ min: 3, max: Number.MAX_SAFE_INTEGER }),
    part: fc.nat(3),
    parts: fc.integer({ min: 4, max: 1000 }),
    keyframe: fc.boolean(),
    trace: fc.string({ minLength: 1, maxLength: 60 }),
    at: time,
    state: fc.constantFrom(...CHUNK_STATES),
    means: fc.constantFrom(...TRACE_MEANS),
    mode: fc.constantFrom(...TRACE_MODES),
    sampleInterval: fc.option(fc.nat(1e9)),
    startedAt: time,
    birthsUntil: time,
    anonymousBytes: fc.option(safe),
    totals: fc.record({
      ...Object.fromEntries(
        [
          'allocations',
          'frees',
          'allocatedBytes',
          'freedBytes',
          'liveCount',
          'liveBytes',
          'issued',
          'recorded',
          'cancelled',
          'dropped',
        ].map((field) => [field, number]),
      ),
      standardError: fc.option(
        fc.record({ allocations: number, allocatedBytes: number, liveCount: number, liveBytes: number }),
      ),
    }) as unknown as fc.Arbitrary<AllocationChunk['totals']>,
    sites: fc
      .uniqueArray(figures, { maxLength: 12, selector: ({ site }) => site })
      .map((sites) => sites.sort((a, b) => a.site - b.site)),
    stacks: fc.array(
      fc.record({ site: siteNumber, frames: fc.array(frame, { maxLength: 12 }), truncated: fc.boolean() }),
      { maxLength: 8 },
    ),
    survivors: fc
      .array(fc.record({ address: safe, time, size: safe, site: siteNumber }), { maxLength: 20 })
      .map((survivors) => survivors.sort(byAddress)),
    freed: fc.array(name, { maxLength: 20 }).map((names) => names.sort(byAddress)),
    survivorsTotal: safe,
    warnings: fc.array(words, { maxLength: 5 }),
  })
  .map((one) => ({ ...one, key: processKey(one.node, one.boot, one.pid, one.start) }));

const PLAIN: AllocationChunk = fc.sample(chunk, { numRuns: 1, seed: 4 })[0]!;
const EMPTY: AllocationChunk = {
  ...PLAIN,
  seq: 7,
  part: 0,
  parts: 1,
  sites: [],
  stacks: [],
  survivors: [],
  freed: [],
  warnings: [],
};

/** The chunk's bytes before compression. */
function bytesOf(one: AllocationChunk): Buffer {
  const { value, headers } = encodeAllocationChunk(one);
  return Buffer.from(decompress(value, headers[ENCODING_HEADER]));
}

function errorOf(bytes: Uint8Array): ContractError {
  try {
    decodeAllocationChunk(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(ContractError);
    const failure = error as ContractError;
    expect(failure.message).not.toMatch(/[\n\r]/);
    expect(failure.message.length).toBeLessThan(600);
    return failure;
  }
  throw new Error('it was accepted');
}

function manyFrames(count: number, length: number): StackFrame[] {
  return Array.from({ length: count }, (_, index) => ({
    function: `f${index}${'x'.repeat(length)}`,
    file: `/src/${index}.c`,
    line: index,
    module: '/bin/program',
    buildId: 'ab12',
    offset: 4096 + index,
    inlined: false,
  }));
}

describe('an allocation chunk', () => {
  test('comes back as it went in', () => {
    fc.assert(
      fc.property(chunk, (one) => {
        const { value, headers } = encodeAllocationChunk(one);
        expect(decodeAllocationChunk(value, headers)).toEqual(one);
        expect(decodeAllocationChunk(Buffer.from(value), headers)).toEqual(one);
      }),
      { numRuns: 300 },
    );
  });

  test('is decoded once for all who ask in one process', () => {
    const { value, headers } = encodeAllocationChunk(PLAIN);
    expect(decodeAllocationChunk(value, headers)).toBe(decodeAllocationChunk(value, headers));
  });

  test('takes few bytes for a site and a survivor that are like their neighbours', () => {
    const sites = Array.from({ length: 200 }, (_, index) => ({
      ...PLAIN.sites[0]!,
      site: index + 2,
      allocations: 1000 + index,
      frees: 900,
      allocatedBytes: 64 * (1000 + index),
      freedBytes: 64 * 900,
      liveCount: 100 + index,
      liveBytes: 64 * (100 + index),
      oldFrees: 0,
      liveSamples: 100 + index,
      liveVariance: 0,
      firstAt: EMPTY.startedAt,
      births: Array.from({ length: BIRTH_BINS }, () => 4),
    }));
    const survivors = Array.from({ length: 1_000 }, (_, index) => ({
      address: 0x5555_5555_0000 + index * 96,
      time: traceTime(EMPTY.startedAt + index),
      size: 64,
      site: 2,
    }));
    const empty = bytesOf(EMPTY).length;
    expect((bytesOf({ ...EMPTY, sites }).length - empty) / sites.length).toBeLessThan(60);
    expect((bytesOf({ ...EMPTY, survivors }).length - empty) / survivors.length).toBeLessThan(8);
  });

  test('with names and stacks beyond the limits is cut, and says that the stack went on', () => {
    const stack: SiteStack = { site: 3, frames: manyFrames(MAX_STACK_FRAMES + 5, 0), truncated: false };
    const long = { ...manyFrames(1, MAX_CHUNK_NAME * 2)[0]!, file: null };
    const { value, headers } = encodeAllocationChunk({
      ...EMPTY,
      program: 'p'.repeat(5_000),
      commandLine: 'c'.repeat(100_000),
      stacks: [stack, { site: 4, frames: [long], truncated: false }],
      warnings: Array.from({ length: 100 }, () => 'w'.repeat(2_000)),
    });
    const read = decodeAllocationChunk(value, headers);
    expect(read.stacks[0]).toEqual({ site: 3, frames: stack.frames.slice(0, MAX_STACK_FRAMES), truncated: true });
    expect(read.stacks[1]!.frames[0]!.function).toBe(`${long.function!.slice(0, MAX_CHUNK_NAME - 1)}…`);
    expect(read.program).toHaveLength(MAX_CHUNK_NAME);
    expect(read.commandLine).toHaveLength(16_384);
    expect(read.warnings).toHaveLength(32);
  });

  test.each<[string, Partial<AllocationChunk>, RegExp]>([
    ['a number that is none', { totals: { ...PLAIN.totals, liveBytes: NaN } }, /NaN is no finite number/],
    ['a negative pid', { pid: -1 }, /-1 is no whole number/],
    ['the same site twice', { sites: [PLAIN.sites[0]!, PLAIN.sites[0]!] }, /is no whole number/],
    ['bins that are missing', { sites: [{ ...PLAIN.sites[0]!, births: [1] }] }, /has 1 bins of births; there are 32/],
  ])('with %s is not written', (_, change, message) => {
    expect(() => encodeAllocationChunk({ ...EMPTY, ...change })).toThrow(message);
  });
});

describe('a look that is large', () => {
  const big: AllocationChunk = {
    ...EMPTY,
    keyframe: true,
    stacks: Array.from({ length: 400 }, (_, index) => ({
      site: index,
      frames: manyFrames(40, 100).map((one) => ({ ...one, function: `${one.function}${index}` })),
      truncated: false,
    })),
    sites: Array.from({ length: 400 }, (_, index) => ({ ...PLAIN.sites[0]!, site: index })),
    survivors: Array.from({ length: 60_000 }, (_, index) => ({
      address: index * 2 ** 36,
      time: traceTime(index * 1.5),
      size: 2 ** 40 + index,
      site: index % 400,
    })),
    freed: Array.from({ length: 30_000 }, (_, index) => ({ address: index * 32, time: index })),
  };

  test('is cut into parts that hold everything once, each small enough and readable alone', () => {
    const parts = cutAllocationChunk(big);
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.map(({ seq }) => seq)).toEqual(parts.map((_, index) => big.seq + index));
    expect(parts.map(({ part }) => part)).toEqual(parts.map((_, index) => index));
    expect(new Set(parts.map(({ parts: count }) => count))).toEqual(new Set([parts.length]));
    const read = parts.map((part) => {
      const { value, headers } = encodeAllocationChunk(part);
      expect(value.byteLength).toBeLessThanOrEqual(MAX_ALLOCATION_CHUNK_BYTES);
      return decodeAllocationChunk(value, headers);
    });
    expect(read.flatMap(({ stacks }) => stacks)).toEqual(big.stacks);
    expect(read.flatMap(({ sites }) => sites)).toEqual(big.sites);
    expect(read.flatMap(({ survivors }) => survivors)).toEqual(big.survivors);
    expect(read.flatMap(({ freed }) => freed)).toEqual(big.freed);
    for (const part of read) {
      expect({ ...part, part: 0, parts: 1, seq: big.seq, sites: [], stacks: [], survivors: [], freed: [] }).toEqual({
        ...EMPTY,
        keyframe: true,
      });
    }
  });

  test('is refused when it was not cut', () => {
    expect(() => encodeAllocationChunk(big)).toThrow(/has \d+ bytes; cut it into parts of 1000000 at most/);
  });

  test('of one part when it fits', () => {
    expect(cutAllocationChunk(EMPTY)).toEqual([EMPTY]);
  });

  test('loses the outer frames of a stack that alone would not fit', () => {
    const frames = manyFrames(MAX_STACK_FRAMES, MAX_CHUNK_NAME).map((one) => ({ ...one, file: `${one.function}.c` }));
    const [part] = cutAllocationChunk({ ...EMPTY, stacks: [{ site: 9, frames, truncated: false }] });
    const kept = part!.stacks[0]!;
    expect(kept.truncated).toBe(true);
    expect(kept.frames.length).toBeGreaterThan(20);
    expect(kept.frames).toEqual(frames.slice(0, kept.frames.length));
    expect(bytesOf(part!).length).toBeLessThan(MAX_ALLOCATION_CHUNK_BYTES);
  });

  test('of whatever shape never gives a part that cannot be written', () => {
    const wide = fc.record({
      stacks: fc.array(
        fc.record({
          site: siteNumber,
          frames: fc.tuple(fc.nat(300), fc.nat(1_500)).map(([count, length]) => manyFrames(count, length)),
          truncated: fc.boolean(),
        }),
        { maxLength: 12 },
      ),
      survivors: fc.nat(40_000).map((count) =>
        Array.from({ length: count }, (_, index) => ({
          address: index * 2 ** 37,
          time: traceTime((index % 2) * MAX_TRACE_TIME),
          size: Number.MAX_SAFE_INTEGER,
          site: 0xffff_ffff,
        })),
      ),
    });
    fc.assert(
      fc.property(wide, (lists) => {
        for (const part of cutAllocationChunk({ ...EMPTY, ...lists })) encodeAllocationChunk(part);
      }),
      { numRuns: 15 },
    );
  });
});

describe('bytes that are no chunk', () => {
  const whole = bytesOf({ ...PLAIN, seq: 5, part: 1, parts: 2 });

  test('are refused wherever they are cut off, with the field and the place', () => {
    for (let length = 0; length < whole.length; length++) {
      const { code, message } = errorOf(Buffer.from(whole.subarray(0, length)));
      expect(code).toBe('CONTRACT_SHAPE');
      expect(message).toMatch(/^allocation chunk: .+ at byte \d+ /);
    }
  });

  test('are refused with more behind them', () => {
    expect(errorOf(Buffer.concat([whole, Buffer.from([0])])).message).toMatch(/end at byte \d+ is followed by 1 bytes/);
  });

  test.each<[string, (bytes: Buffer) => void, string, RegExp]>([
    ['of another kind', (bytes) => bytes.write('{"v"'), 'CONTRACT_SHAPE', /beginning/],
    ['of a future version', (bytes) => (bytes[4] = 2), 'CONTRACT_VERSION', /version 2; this build reads version 1/],
    ['with flags nobody knows', (bytes) => (bytes[5] = 0x80), 'CONTRACT_SHAPE', /flags at byte 6 is 128/],
    ['of a node that could leave a path', (bytes) => bytes.write('/', 7), 'CONTRACT_SHAPE', /node .* is no node id/],
    ['of text that is not UTF-8', (bytes) => (bytes[7] = 0xff), 'CONTRACT_SHAPE', /node .* is not UTF-8/],
  ])('%s are refused', (_, damage, code, message) => {
    const bytes = Buffer.from(whole);
    damage(bytes);
    const failure = errorOf(bytes);
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(message);
  });

  test('that promise more than they hold are refused before room is made for it', () => {
    const bytes = bytesOf(EMPTY);
    // Behind the head of an empty chunk: texts, frames, stacks, sites and their first, survivors and theirs, freed and theirs.
    const tail = bytes.length - 9;
    for (const at of [0, 1, 2, 3, 5, 7]) {
      const huge = Buffer.concat([
        bytes.subarray(0, tail + at),
        Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        bytes.subarray(tail + at + 1),
      ]);
      expect(errorOf(huge).message).toMatch(/number of \w+ at byte \d+ is \d+, more than \d+ bytes hold/);
    }
  });

  test('larger than any chunk are refused', () => {
    const { value, encoding } = compress(Buffer.alloc(MAX_ALLOCATION_CHUNK_BYTES + 1));
    expect(() => decodeAllocationChunk(value, { [ENCODING_HEADER]: encoding })).toThrow(/the most are 1000000/);
  });

  test('of whatever kind are refused or read, and nothing else is thrown', () => {
    const survives = (bytes: Uint8Array): void => {
      try {
        decodeAllocationChunk(bytes);
      } catch (error) {
        if (!(error instanceof ContractError)) throw error;
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => survives(Buffer.concat([whole.subarray(0, 6), noise]))),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(chunk, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), (one, changes) => {
        const bytes = bytesOf(one);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        survives(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  test('that are read are those that would be written: a chunk has one form', () => {
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
        const bytes = Buffer.from(whole);
        bytes[at] = value;
        let read: AllocationChunk;
        try {
          read = decodeAllocationChunk(bytes);
        } catch {
          return;
        }
        expect(decodeAllocationChunk(bytesOf(read))).toEqual(read);
      }),
      { numRuns: 1_000 },
    );
  });
});
