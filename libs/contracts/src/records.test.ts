import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TRACE_STATES } from './allocation-trace.js';
import { controlKey, decodeControlRecord, encodeControlRecord, type ControlRecord } from './control-record.js';
import { ContractError } from './errors.js';
import { decodeFindingRecord, encodeFindingRecord, LEAK_STATES, type Finding, type FindingRecord } from './finding.js';
import { processKey, type NodeId } from './ids.js';
import { decodeNodeRecord, encodeNodeRecord, type NodeRecord } from './node-record.js';

function golden<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '..', 'testdata', `${name}.json`), 'utf8')) as T;
}

const FINDING = golden<Finding>('finding.v1');
const NODE = golden<NodeRecord>('node-record.v1');
const REQUEST = golden<ControlRecord>('trace-request.v1');
const STATUS = golden<ControlRecord>('trace-status.v1');
const ORIGINALS = { finding: FINDING, node: NODE, control: STATUS };
const DECODERS = { finding: decodeFindingRecord, node: decodeNodeRecord, control: decodeControlRecord };

function refusal(kind: keyof typeof DECODERS, record: unknown): string {
  try {
    DECODERS[kind](Buffer.from(JSON.stringify(record)));
  } catch (error) {
    expect(error).toBeInstanceOf(ContractError);
    const { message, code } = error as ContractError;
    expect(message).not.toMatch(/[\n\r]/);
    expect(message.length).toBeLessThan(600);
    return `${code}: ${message}`;
  }
  throw new Error('it was accepted');
}

const count = fc.nat(Number.MAX_SAFE_INTEGER);
const time = fc.nat(2_000_000_000_000);
const words = fc.string({ unit: 'grapheme', maxLength: 60 });
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const node = fc.stringMatching(/^[a-z0-9.-]{1,40}$/) as fc.Arbitrary<NodeId>;

const finding = fc.record({
  v: fc.constant(1 as const),
  type: fc.constant('finding' as const),
  id: fc.string({ minLength: 1, maxLength: 100 }),
  kind: fc.constantFrom('PROCESS_LEAK' as const, 'SERVICE_LEAK' as const, 'EXHAUSTION' as const, 'SITE_LEAK' as const),
  subject: fc.string({ minLength: 1, maxLength: 100 }),
  node,
  process: fc.option(
    fc.record({
      key: fc.tuple(node, fc.nat(99_999), count).map(([name, pid, start]) => processKey(name, 'boot', pid, start)),
      pid: fc.nat(0xffff_ffff),
      program: words,
      commandLine: fc.option(words),
      user: fc.option(words),
    }),
  ),
  service: words,
  site: fc.option(
    fc.record({ id: fc.string({ minLength: 1, maxLength: 64 }), frames: fc.array(words, { maxLength: 10 }) }),
    { freq: 2 },
  ),
  state: fc.constantFrom(...LEAK_STATES),
  previous: fc.constantFrom(...LEAK_STATES),
  imminent: fc.boolean(),
  confidence: fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0),
  openedAt: time,
  at: time,
  bytes: count,
  limit: fc.option(count),
  growth: fc.option(fc.record({ bytesPerHour: number, low: number, high: number, window: count })),
  secondsToExhaustion: fc.option(fc.double({ min: 0, max: 1e300, noNaN: true }).map((value) => value + 0)),
  message: words,
  evidence: fc.dictionary(fc.stringMatching(/^[a-zA-Z]{1,20}$/), fc.option(number), { maxKeys: 20 }),
});

describe('a finding', () => {
  test('comes back as it went in', () => {
    fc.assert(
      fc.property(finding, (one) => {
        const { value, headers } = encodeFindingRecord(one as FindingRecord);
        expect(decodeFindingRecord(value, headers)).toEqual(JSON.parse(JSON.stringify(one)));
      }),
    );
  });

  test.each<[string, object, RegExp]>([
    ['of a future version', { v: 2 }, /finding: v /],
    ['of an unknown type', { type: 'rumour' }, /finding: type /],
    ['in a state that does not exist', { state: 'FINE' }, /finding: state /],
    ['with more than full confidence', { confidence: 1.1 }, /finding: confidence /],
    ['of a node that could leave a path', { node: 'a/b' }, /finding: node must be a node id/],
    ['of negative size', { bytes: -1 }, /finding: bytes /],
    ['of the far future', { at: 9e15 }, /finding: at /],
    ['with a negative pid', { process: { ...FINDING.process, pid: -3 } }, /finding: process\.pid /],
    ['with a program of megabytes', { process: { ...FINDING.process, program: 'x'.repeat(1e6) } }, /process\.program /],
    ['with a message of megabytes', { message: 'm'.repeat(1e6) }, /finding: message /],
    ['with a site of many frames', { site: { id: 'a', frames: Array(11).fill('f') } }, /finding: site\.frames /],
    ['with a site without a name', { site: { id: '', frames: [] } }, /finding: site\.id /],
    ['without evidence', { evidence: undefined }, /finding: evidence /],
    ['with words for evidence', { evidence: { ['why\n'.repeat(1_000)]: 'because' } }, /finding: evidence/],
    [
      'with endless evidence',
      { evidence: Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`e${index}`, 1])) },
      /finding: evidence must have at most 200 numbers/,
    ],
    ['with growth that is not a number', { growth: { bytesPerHour: 'much', low: 0, high: 0, window: 1 } }, /growth\./],
  ])('%s is refused in one line that names the field', (_, change, message) => {
    expect(refusal('finding', { ...FINDING, ...change })).toMatch(message);
  });
});

describe('a node record', () => {
  test('comes back as it went in', () => {
    const record = fc.record({
      state: fc.constantFrom('UP' as const, 'LEAVING' as const),
      node,
      at: time,
      hostname: fc.string({ minLength: 1, maxLength: 60 }),
      limitations: fc.array(words, { maxLength: 10 }),
      processes: count,
    });
    fc.assert(
      fc.property(record, (change) => {
        const one: NodeRecord = { ...NODE, ...change };
        const { value, headers } = encodeNodeRecord(one);
        expect(decodeNodeRecord(value, headers)).toEqual(one);
      }),
    );
  });

  test.each<[string, object, RegExp]>([
    ['of a future version', { v: 2 }, /node record: v /],
    ['of a state that does not exist', { state: 'DOWN' }, /node record: state /],
    ['with a negative number of processes', { processes: -1 }, /node record: processes /],
    ['of the far future', { at: 9e15 }, /node record: at /],
    ['with a host name of megabytes', { hostname: 'h'.repeat(1e6) }, /node record: hostname /],
    ['with endless limitations', { limitations: Array(1e5).fill('x') }, /node record: limitations /],
    ['without a collector', { collector: null }, /node record: collector /],
    ['with a collector of no pid', { collector: { ...NODE.collector, pid: -1 } }, /node record: collector\.pid /],
  ])('%s is refused in one line that names the field', (_, change, message) => {
    expect(refusal('node', { ...NODE, ...change })).toMatch(message);
  });
});

describe('a control record', () => {
  const request = fc.record({
    v: fc.constant(1 as const),
    type: fc.constant('trace-request' as const),
    id: fc.string({ minLength: 1, maxLength: 200 }),
    node,
    pid: fc.nat(0xffff_ffff),
    start: fc.option(count),
    action: fc.constantFrom('START' as const, 'STOP' as const),
    mode: fc.constantFrom('SAMPLED' as const, 'EXACT' as const),
    sampleInterval: fc.option(fc.integer({ min: 4096, max: 2 ** 30 })),
    maxFrames: fc.option(fc.integer({ min: 1, max: 64 })),
    requestedAt: time,
    expiresAt: time,
  });
  const status = fc.record({
    v: fc.constant(1 as const),
    type: fc.constant('trace-status' as const),
    id: fc.string({ minLength: 1, maxLength: 200 }),
    node,
    pid: fc.nat(0xffff_ffff),
    key: fc.option(
      fc.tuple(node, fc.nat(99_999), count).map(([name, pid, start]) => processKey(name, 'b', pid, start)),
    ),
    state: fc.constantFrom(...TRACE_STATES),
    means: fc.option(fc.constantFrom('LIBRARY' as const, 'UPROBES' as const)),
    mode: fc.constantFrom('SAMPLED' as const, 'EXACT' as const),
    sampleInterval: fc.option(fc.integer({ min: 4096, max: 2 ** 30 })),
    maxFrames: fc.option(fc.integer({ min: 1, max: 64 })),
    reason: fc.option(words),
    code: fc.option(words),
    at: time,
  });

  test('comes back as it went in', () => {
    fc.assert(
      fc.property(fc.oneof(request, status), (record) => {
        const { value, headers } = encodeControlRecord(record);
        expect(decodeControlRecord(value, headers)).toEqual(record);
      }),
    );
  });

  test('of a request has the key of its answers', () => {
    expect(controlKey(REQUEST.node, REQUEST.pid)).toBe(controlKey(STATUS.node, STATUS.pid));
    expect(controlKey('n' as NodeId, 7)).toBe('n/7');
  });

  test.each<[string, ControlRecord, object, RegExp]>([
    ['of a future version', REQUEST, { v: 2 }, /control record: v /],
    ['of an unknown type', REQUEST, { type: 'order' }, /control record: type /],
    ['that asks for anything else', REQUEST, { action: 'KILL' }, /control record: action /],
    ['that asks for no tracing', REQUEST, { mode: 'DORMANT' }, /control record: mode /],
    ['that samples every byte', REQUEST, { sampleInterval: 1 }, /control record: sampleInterval /],
    ['that wants endless stacks', REQUEST, { maxFrames: 65 }, /control record: maxFrames /],
    ['of a node that could leave a path', REQUEST, { node: '../x' }, /control record: node must be a node id/],
    ['without a name', REQUEST, { id: '' }, /control record: id /],
    ['of the far future', REQUEST, { expiresAt: 9e15 }, /control record: expiresAt /],
    ['of a process that cannot be', STATUS, { key: 'a/b' }, /control record: key must be a process key/],
    ['in a state that does not exist', STATUS, { state: 'BUSY' }, /control record: state /],
    ['by means that do not exist', STATUS, { means: 'PTRACE' }, /control record: means /],
    ['with a reason of megabytes', STATUS, { reason: 'x'.repeat(1e6) }, /control record: reason /],
  ])('%s is refused in one line that names the field', (_, original, change, message) => {
    expect(refusal('control', { ...original, ...change })).toMatch(message);
  });
});

test.each(['finding', 'node', 'control'] as const)(
  'a %s of any other shape is refused or read, nothing else is thrown',
  (kind) => {
    const original = ORIGINALS[kind];
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(original)), fc.jsonValue({ maxDepth: 4 }), (field, value) => {
        try {
          DECODERS[kind](Buffer.from(JSON.stringify({ ...original, [field]: value })));
        } catch (error) {
          expect(error).toBeInstanceOf(ContractError);
        }
      }),
      { numRuns: 400 },
    );
  },
);
