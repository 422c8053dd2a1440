import {
  BIRTH_BINS,
  decodeFindingRecord,
  encodeFindingRecord,
  LEAK_STATES,
  processKey,
  traceTime,
  type AllocationChunk,
  type NodeId,
} from '@tidemark/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameText } from './frame-text.js';
import { siteFinding } from './site-findings.js';

const FRAME = { function: null, file: null, line: null, module: null, buildId: null, offset: 255, inlined: false };
const CHUNK: AllocationChunk = {
  ...{ v: 1, node: 'n' as NodeId, boot: 'b', pid: 7, start: 9, key: processKey('n' as NodeId, 'b', 7, 9), run: 'r' },
  ...{ program: 'server', commandLine: null, seq: 0, part: 0, parts: 1, keyframe: true, trace: 't', at: 1e12 },
  ...{ state: 'ACTIVE', means: 'LIBRARY', mode: 'EXACT', sampleInterval: null, startedAt: 0, birthsUntil: 0 },
  totals: {
    ...{ allocations: 0, frees: 0, allocatedBytes: 0, freedBytes: 0, liveCount: 0, liveBytes: 0 },
    ...{ issued: 0, recorded: 0, cancelled: 0, dropped: 0, standardError: null },
  },
  ...{ anonymousBytes: null, sites: [], stacks: [], survivors: [], freed: [], survivorsTotal: 0, warnings: [] },
};

describe('a finding on a site', () => {
  const number = fc.double();
  const text = fc.string({ unit: 'grapheme', maxLength: 1_024 });
  const frame = fc.record({
    function: fc.option(text),
    file: fc.option(text),
    line: fc.option(fc.nat()),
    module: fc.option(text),
    buildId: fc.option(text),
    offset: fc.nat(Number.MAX_SAFE_INTEGER),
    inlined: fc.boolean(),
  });

  it('can be read by whoever follows, whatever the figures and the names are', () => {
    const change = fc.record({
      at: fc.double({ min: 0, max: 2 ** 43 - 1, noNaN: true }).map(traceTime),
      firstAt: fc.double({ min: 0, max: 2 ** 43 - 1, noNaN: true }).map(traceTime),
      ...{ liveBytes: number, liveCount: number, program: text },
      frames: fc.array(frame, { maxLength: 30 }),
      ...{ previous: fc.constantFrom(...LEAK_STATES), state: fc.constantFrom(...LEAK_STATES) },
      rate: fc.option(fc.tuple(number, number, number)),
      ...{ confidence: number, generations: number, oldFreeRate: fc.option(number), message: text },
      evidence: fc.dictionary(fc.stringMatching(/^[a-z]{1,20}$/), fc.option(number), { maxKeys: 20 }),
    });
    fc.assert(
      fc.property(change, ({ at, firstAt, liveBytes, liveCount, program, frames, previous, rate, ...verdict }) => {
        const [bytesPerHour, low, high] = rate ?? [null, null, null];
        const figures = {
          ...{ site: 2, allocations: 1, frees: 0, allocatedBytes: 1, freedBytes: 0, liveCount, liveBytes, oldFrees: 0 },
          ...{ liveSamples: 1, liveVariance: 0, firstAt, births: Array.from({ length: BIRTH_BINS }, () => 0) },
        };
        const finding = siteFinding({
          chunk: { ...CHUNK, at, program },
          figures,
          stack: { site: 2, frames, truncated: false },
          previous,
          verdict: { ...verdict, bytesPerHour, low, high },
        });
        const { value, headers } = encodeFindingRecord(finding);
        expect(decodeFindingRecord(value, headers)).toMatchObject({ id: finding.id, kind: 'SITE_LEAK' });
      }),
      { numRuns: 300 },
    );
  });

  it('leaves out of its sentence where every thread begins', () => {
    const names = ['grow', 'main', '__libc_start_call_main', '__libc_start_main@GLIBC_2.2.5', '_start'];
    const { message, site } = siteFinding({
      chunk: CHUNK,
      figures: {
        ...{ site: 2, allocations: 9, frees: 0, allocatedBytes: 9, freedBytes: 0, liveCount: 9, liveBytes: 9 },
        ...{ oldFrees: 0, liveSamples: 9, liveVariance: 0, firstAt: 0, births: [] },
      },
      stack: { site: 2, frames: names.map((name) => ({ ...FRAME, function: name, file: '/a.c' })), truncated: false },
      previous: 'LEARNING',
      verdict: {
        ...{ state: 'CONFIRMED', bytesPerHour: 2 ** 20, low: 1, high: 2, generations: 9, oldFreeRate: null },
        ...{ confidence: 1, message: 'Why.', evidence: {} },
      },
    });
    expect(message).toBe('server (pid 7) on n leaks at grow (a.c), called from main (a.c): grows by 1.0 MiB/h. Why.');
    expect(site!.frames).toHaveLength(5);
  });
});

describe('a frame as text', () => {
  it.each([
    [{ function: 'f', file: '/src/a.c', line: 3, module: '/bin/x' }, 'f (a.c:3)'],
    [{ function: 'f', file: '/src/a.c' }, 'f (a.c)'],
    [{ function: 'f', module: '/lib/libx.so' }, 'f in libx.so'],
    [{ function: 'f' }, 'f in generated code'],
    [{ module: '/lib/libx.so' }, 'libx.so+0xff'],
    [{}, '0xff'],
  ])('%j is %s', (known, text) => {
    expect(frameText({ ...FRAME, ...known })).toBe(text);
  });
});
