import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ENCODING_HEADER } from './encoding.js';
import { ContractError } from './errors.js';
import type { NodeId } from './ids.js';
import { FORMAT_HEADER, PACKED_FORMAT } from './packed-chunk.js';
import { PROCESS_NUMBERS, type ProcessColumns } from './process-columns.js';
import { decodeSampleChunk, encodeSampleChunk, MAX_CHUNK_ROWS, type SampleChunk } from './sample-chunk.js';

const EMPTY: SampleChunk = {
  v: 1,
  node: 'n' as NodeId,
  boot: 'b',
  run: 'r',
  seq: 0,
  at: 1_770_000_000_000,
  keyframe: true,
  part: 0,
  parts: 1,
  procs: { pid: [], start: [] },
  facts: {
    pid: [],
    start: [],
    startedAt: [],
    program: [],
    commandLine: [],
    uid: [],
    gid: [],
    user: [],
    cgroup: [],
    service: [],
  },
  exits: { pid: [], start: [] },
  system: {},
};

const safe = fc.nat(Number.MAX_SAFE_INTEGER);
const pid = fc.nat(0xffff_ffff);
const words = fc.string({ unit: 'grapheme', maxLength: 100 });
const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value);

function column<T>(cell: fc.Arbitrary<T>, rows: number): fc.Arbitrary<T[]> {
  return fc.array(cell, { minLength: rows, maxLength: rows });
}

const procs: fc.Arbitrary<ProcessColumns> = fc.nat(30).chain((rows) =>
  fc.record(
    {
      pid: column(pid, rows),
      start: column(safe, rows),
      state: column(orNull(fc.constantFrom('R', 'S', 'D', 'Z')), rows),
      ...Object.fromEntries(PROCESS_NUMBERS.map((name) => [name, column(orNull(safe), rows)])),
    },
    { requiredKeys: ['pid', 'start'] },
  ),
);

const facts = fc.nat(10).chain((rows) =>
  fc.record({
    pid: column(pid, rows),
    start: column(safe, rows),
    startedAt: column(fc.nat(2_000_000_000_000), rows),
    program: column(words, rows),
    commandLine: column(orNull(words), rows),
    uid: column(orNull(safe), rows),
    gid: column(orNull(safe), rows),
    user: column(orNull(words), rows),
    cgroup: column(orNull(words), rows),
    service: column(words, rows),
  }),
);

const chunk: fc.Arbitrary<SampleChunk> = fc.record({
  v: fc.constant(1 as const),
  node: fc.stringMatching(/^[A-Za-z0-9._-]{1,40}$/) as fc.Arbitrary<NodeId>,
  boot: fc.uuid(),
  run: fc.stringMatching(/^[A-Za-z0-9-]{1,64}$/),
  seq: safe,
  at: fc.nat(2_000_000_000_000),
  keyframe: fc.boolean(),
  part: fc.nat(3),
  parts: fc.integer({ min: 4, max: 10 }),
  procs,
  facts,
  exits: fc.nat(10).chain((rows) => fc.record({ pid: column(pid, rows), start: column(safe, rows) })),
  system: fc.record(
    {
      memory: fc.record({ total: safe, available: safe, used: safe, free: safe }),
      load: fc.record({ one: fc.nat(99), five: fc.nat(99), fifteen: fc.nat(99), running: safe, total: safe }),
      uptime: fc.record({ up: fc.double({ min: 0, max: 1e9, noNaN: true }), idle: safe }),
    },
    { requiredKeys: [] },
  ),
}) as fc.Arbitrary<SampleChunk>;

function decodeJson(value: unknown): SampleChunk {
  return decodeSampleChunk(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
}

function refusal(value: unknown): string {
  try {
    decodeJson(value);
  } catch (error) {
    expect(error).toBeInstanceOf(ContractError);
    const { message, code } = error as ContractError;
    expect(message).not.toMatch(/[\n\r]/);
    expect(message.length).toBeLessThan(600);
    return `${code}: ${message}`;
  }
  throw new Error('it was accepted');
}

describe('a sample chunk', () => {
  test('comes back as it went in', () => {
    fc.assert(
      fc.property(chunk, (one) => {
        const { value, headers } = encodeSampleChunk(one);
        expect(decodeSampleChunk(value, headers)).toEqual(JSON.parse(JSON.stringify(one)));
      }),
      { numRuns: 50 },
    );
  });

  test('is decoded once for all who hold the same bytes', () => {
    const { value, headers } = encodeSampleChunk(EMPTY);
    expect(decodeSampleChunk(value, headers)).toBe(decodeSampleChunk(value, headers));
    expect(decodeSampleChunk(Buffer.from(value), headers)).not.toBe(decodeSampleChunk(value, headers));
  });

  const wrong: [string, object, RegExp][] = [
    ['of a future version', { v: 2 }, /^CONTRACT_VERSION: sample chunk is of version 2; this build reads version 1$/],
    ['of no version', { v: undefined }, /^CONTRACT_VERSION: .*version nothing/],
    ['whose version is an object', { v: { major: 1 } }, /^CONTRACT_VERSION: .*version an object/],
    ['of a node that could leave a path', { node: '../etc' }, /node must be a node id, found "..\/etc"/],
    ['of a node with a long name', { node: 'n'.repeat(10_000_000) }, /node must be a node id/],
    ['without a boot id', { boot: '' }, /boot must be a boot id/],
    ['with a negative number', { seq: -1 }, /seq must be a whole number from 0, found -1/],
    ['with a broken number', { seq: 1.5 }, /seq must be/],
    ['with a number beyond counting', { seq: 2 ** 60 }, /seq must be/],
    ['of the far future', { at: 99_999_999_999_999 }, /at must be a time before the year 3000/],
    ['whose keyframe is a word', { keyframe: 'yes' }, /keyframe must be true or false, found "yes"/],
    ['that is part 3 of 3', { part: 3, parts: 3 }, /part must be below parts, found 3/],
    ['of no parts', { parts: 0 }, /part must be below parts/],
    ['of endless parts', { parts: 9e15 }, /parts must be at most 1000/],
    ['without processes', { procs: undefined }, /procs must be an object, found nothing/],
    ['whose processes are a list', { procs: [] }, /procs must be an object, found an array of 0/],
    ['with a negative pid', { procs: { pid: [-5], start: [1] } }, /procs\.pid\[0\] must be a whole number.*found -5/],
    ['with a pid beyond 32 bits', { procs: { pid: [2 ** 32], start: [1] } }, /procs\.pid\[0\]/],
    ['with a pid that is null', { procs: { pid: [null], start: [1] } }, /procs\.pid\[0\].*found null/],
    [
      'with a short column',
      { procs: { pid: [1, 2], start: [1, 2], rss: [1] } },
      /procs\.rss must be an array of 2 cells/,
    ],
    ['with a long column', { exits: { pid: [1], start: [1, 2] } }, /exits\.start must be an array of 1 cells/],
    ['with a column that is text', { procs: { pid: [1], start: [1], rss: 'many' } }, /procs\.rss.*found "many"/],
    ['with a column that is an object', { procs: { pid: [1], start: [1], rss: { length: 1 } } }, /procs\.rss/],
    ['with a negative size', { procs: { pid: [1], start: [1], rss: [-4096] } }, /procs\.rss\[0\].*found -4096/],
    ['with a size in words', { procs: { pid: [1], start: [1], rss: ['1 MB'] } }, /procs\.rss\[0\].*found "1 MB"/],
    ['with a state of many letters', { procs: { pid: [1], start: [1], state: ['SLEEPING'] } }, /procs\.state\[0\]/],
    ['with exits that nobody can read', { exits: { pid: 'all' } }, /exits\.pid must be an array, found "all"/],
    ['with memory that is not there', { system: { memory: { total: 1 } } }, /sample chunk: system\.memory\.available/],
    [
      'with negative memory',
      { system: { memory: { total: -1, available: 0, used: 0, free: 0 } } },
      /system\.memory\.total/,
    ],
    ['with a system that is a list', { system: [] }, /system must be an object/],
    [
      'with a section name of many lines',
      { system: { memory: { total: 1, available: 1, used: 1, free: 1, ['a\nb'.repeat(50_000)]: 'x' } } },
      /system\.memory\.a\?b/,
    ],
    [
      'with too many rows',
      { procs: { pid: Array(MAX_CHUNK_ROWS + 1).fill(1), start: Array(MAX_CHUNK_ROWS + 1).fill(1) } },
      /procs\.pid must be at most 20000 rows, found 20001/,
    ],
    ['with fewer facts than processes named', { facts: { ...EMPTY.facts, pid: [1], start: [1] } }, /facts\.startedAt/],
    [
      'with a command line of megabytes',
      {
        facts: {
          ...{ pid: [1], start: [1], startedAt: [1], program: ['p'], uid: [0], gid: [0], user: [null], cgroup: [null] },
          service: ['s'],
          commandLine: ['x'.repeat(5_000_000)],
        },
      },
      /facts\.commandLine\[0\] must be text of at most 65536 characters/,
    ],
  ];

  test.each(wrong)('%s is refused in one line that names the field', (_, change, message) => {
    expect(refusal({ ...EMPTY, ...change })).toMatch(message);
  });

  test.each(['null', '17', '"chunk"', '[]', 'true'])('that is %s is refused', (json) => {
    expect(refusal(json)).toMatch(/^CONTRACT_SHAPE: sample chunk: chunk must be an object/);
  });

  test('nested for megabytes in any of its fields is refused', () => {
    const deep = `${'['.repeat(3_000_000)}${']'.repeat(3_000_000)}`;
    const json = JSON.stringify(EMPTY);
    for (const [field, replaced] of [
      ['"v":1', '"v":'],
      ['"procs":{"pid":[]', '"procs":{"pid":'],
      ['"system":{', '"system":{"memory":'],
      ['"seq":0', '"seq":'],
    ] as const) {
      const hostile = json.replace(field, replaced + deep);
      expect(hostile.length).toBeGreaterThan(6_000_000);
      expect(refusal(hostile)).toMatch(/^CONTRACT_SHAPE: record of \d+ bytes nests deeper/);
    }
  });

  test('in any other shape is refused or read, and nothing else is ever thrown', () => {
    const paths = [
      'v',
      'node',
      'boot',
      'run',
      'seq',
      'at',
      'keyframe',
      'part',
      'parts',
      'procs',
      'facts',
      'exits',
      'system',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 4 }), (path, value) => {
        try {
          decodeJson({ ...EMPTY, [path]: value });
        } catch (error) {
          expect(error).toBeInstanceOf(ContractError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('with any byte changed is refused or read, and nothing else is ever thrown', () => {
    const { value, headers } = encodeSampleChunk({ ...EMPTY, procs: { pid: [1, 2], start: [3, 4], rss: [5, null] } });
    expect(headers[ENCODING_HEADER]).toBeDefined();
    fc.assert(
      fc.property(fc.nat(value.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(value);
        damaged[at]! ^= change;
        try {
          decodeSampleChunk(damaged, headers);
        } catch (error) {
          expect(error).toBeInstanceOf(ContractError);
        }
      }),
      { numRuns: 500 },
    );
  });

  const packed = encodeSampleChunk({
    ...EMPTY,
    procs: { pid: [1, 2], start: [3, 4], state: ['R', null], rss: [4096, null] },
  });
  /** The same bytes, put together by hand: `state` is bit 0, `rss` bit 10. */
  const byHand = (change: object = {}): Buffer => {
    const fields = {
      ...{ v: 1, node: 'n', boot: 'b', run: 'r', seq: 0, at: EMPTY.at, keyframe: 1, part: 0, parts: 1, rows: 2 },
      ...{ columns: 0b100_0000_0001, json: '', system: [0], pid: [4, 2, 2], start: [4, 6, 2], state: [1, 1, 0x52] },
      ...{ rss: [3, 1, 1], behind: [] },
      ...change,
    };
    const varint = (value: number): number[] =>
      value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
    return Buffer.from(
      Object.values(fields).flatMap((field) => {
        if (typeof field === 'number') return varint(field);
        return typeof field === 'string' ? [...varint(field.length), ...Buffer.from(field, 'latin1')] : field;
      }),
    );
  };

  test('packed is what the description of its bytes says', () => {
    expect(Buffer.from(packed.value)).toEqual(byHand());
  });

  test('is packed, and read the same from its JSON', () => {
    expect(packed.headers).toEqual({ [ENCODING_HEADER]: 'identity', [FORMAT_HEADER]: PACKED_FORMAT });
    fc.assert(
      fc.property(chunk, (one) => {
        const { value, headers } = encodeSampleChunk(one);
        expect(headers[FORMAT_HEADER]).toBe(PACKED_FORMAT);
        expect(decodeSampleChunk(value, headers)).toEqual(decodeJson(one));
      }),
      { numRuns: 200 },
    );
  });

  test.each([
    ['with a negative cell', { pid: [1], start: [1], rss: [-1] }],
    ['with a short column', { pid: [1, 2], start: [1, 2], rss: [1] }],
    ['with a column that nobody knows', { pid: [1], start: [1], extra: [1] }],
    ['with a column that all objects have', { pid: [1], start: [1], constructor: [1] }],
    ['with a state of many letters', { pid: [1], start: [1], state: ['SLEEPING'] }],
  ])('%s is left as JSON', (_, procs) => {
    const { headers } = encodeSampleChunk({ ...EMPTY, procs });
    expect(headers).not.toHaveProperty(FORMAT_HEADER);
  });

  test.each([
    ['of a format that nobody knows', packed.value, 'rows', /^CONTRACT_ENCODING: record format "rows" is unknown/],
    ['with more rows than a chunk has', byHand({ rows: 20_001 }), undefined, /rows .* is 20001, the most is 20000/],
    ['with more rows than bytes', byHand({ rows: 20_000 }), undefined, /pid cannot be read: it is cut off/],
    [
      'with more columns than there can be',
      byHand({ columns: 2 ** 31 }),
      undefined,
      /columns .* the most is 2147483647/,
    ],
    ['with a column too few', byHand({ columns: 1 }), undefined, /goes on behind/],
    ['with a column too many', byHand({ columns: 0b100_0000_0011 }), undefined, /rss cannot be read: it is cut off/],
    ['with a pid that is null', byHand({ pid: [5, 3, 2, 2] }), undefined, /pid cannot be read: its flags are 5/],
    ['with something behind', byHand({ behind: [0] }), undefined, /goes on behind/],
    ['of another version', byHand({ v: 2 }), undefined, /^CONTRACT_VERSION/],
    ['of a wrong node', byHand({ node: '../x' }), undefined, /node must be a node id/],
    ['of a node that is too long', byHand({ node: 'n'.repeat(300) }), undefined, /node must be a node id/],
    ['of a part that cannot be', byHand({ part: 1 }), undefined, /part must be below parts/],
    ['with half a keyframe', byHand({ keyframe: 2 }), undefined, /keyframe .* is 2, the most is 1/],
    ['with figures of a system that is none', byHand({ json: '{"system":[]}' }), undefined, /system must be an object/],
    ['with memory that is not there', byHand({ system: [1, 2, 1, 8] }), undefined, /packed memory .* must have/],
    ['with a section that is too short', byHand({ system: [1, 6, 15, 2, 2, 2, 2] }), undefined, /memory .* ends at/],
    ['with a section that is too long', byHand({ system: [1, 4, 15, 2, 2, 2, 2] }), undefined, /memory .* ends at/],
    ['with a section without end', byHand({ system: [1, 255, 127] }), undefined, /memory .* it is cut off/],
    ['with more devices than bytes', byHand({ system: [16, 3, 255, 255, 3] }), undefined, /packed cpus/],
    ['with a device without a name', byHand({ system: [16, 3, 1, 0, 0] }), undefined, /cpus .* label has 0/],
    ['older, without a system', byHand({ json: '{}', system: [] }), 'columns', /system must be an object/],
    ['older, without JSON', byHand({ system: [] }), 'columns', /^CONTRACT_NOT_JSON/],
    ['with JSON of null', byHand({ json: 'null' }), undefined, /JSON must be an object, found null/],
    ['with JSON that is none', byHand({ json: '{' }), undefined, /^CONTRACT_NOT_JSON/],
    ['with facts that are none', byHand({ json: '{"facts":7}' }), undefined, /facts must be an object/],
    ['without bytes', Buffer.alloc(0), undefined, /version cannot be read: it is cut off/],
    ['that ends in its node', byHand().subarray(0, 2), undefined, /node cannot be read: it is cut off/],
  ])('packed %s is refused', (_, value, format = PACKED_FORMAT, message) => {
    let said = '';
    try {
      decodeSampleChunk(Buffer.from(value), { [FORMAT_HEADER]: format });
    } catch (error) {
      said = `${(error as ContractError).code}: ${(error as ContractError).message}`;
    }
    expect(said).toMatch(message);
  });

  test('packed with columns that a newer build adds is read without them', () => {
    const columns = 0b100_0000_0001 | (1 << 22) | (1 << 30);
    const newer = byHand({ columns, behind: [0, 7, 8, 1, 2, 9] });
    const { procs } = decodeSampleChunk(newer, { [FORMAT_HEADER]: PACKED_FORMAT });
    expect(procs).toEqual({ pid: [1, 2], start: [3, 4], state: ['R', null], rss: [4096, null] });
  });

  test('packed with more JSON than this build knows is read all the same, and nothing of it replaces what is packed', () => {
    const newer = byHand({ json: '{"node":"other","procs":{},"__proto__":{"v":9},"addedLater":[1]}' });
    const read = decodeSampleChunk(newer, { [FORMAT_HEADER]: PACKED_FORMAT });
    expect(read).toEqual(decodeSampleChunk(byHand(), { [FORMAT_HEADER]: PACKED_FORMAT }));
  });

  test('packed by an older build, with its system as JSON, is read', () => {
    const system = { memory: { total: 4, available: 3, used: 1, free: 2 }, load: EMPTY.system.load, newSection: 'x' };
    const older = byHand({ json: JSON.stringify({ system }), system: [] });
    const read = decodeSampleChunk(older, { [FORMAT_HEADER]: 'columns' });
    expect(read).toEqual({ ...decodeSampleChunk(byHand(), { [FORMAT_HEADER]: PACKED_FORMAT }), system });
  });

  test('packed and damaged anywhere is another chunk that keeps the contract, or refused', () => {
    fc.assert(
      fc.property(fc.nat(packed.value.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(packed.value);
        damaged[at]! ^= change;
        try {
          const read = decodeSampleChunk(damaged, packed.headers);
          expect(decodeJson(read)).toEqual(JSON.parse(JSON.stringify(read)));
        } catch (error) {
          expect(error).toBeInstanceOf(ContractError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
