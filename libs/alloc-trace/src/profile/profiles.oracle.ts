import { LEAK_STATES, type LeakState, type StackFrame, type TraceTotals } from '@tidemark/contracts';
import fc from 'fast-check';
import type { ProfiledSite, TraceProfile } from './trace-profile.js';

export function frame(name: string | null, more: Partial<StackFrame> = {}): StackFrame {
  const known = { file: name === null ? null : `src/${name}.c`, line: name === null ? null : 10 };
  return {
    function: name,
    ...known,
    module: '/usr/bin/demo',
    buildId: 'abcdef01',
    offset: 0x1140,
    inlined: false,
    ...more,
  };
}

/** Frames innermost first; everything freed that is not live. */
export function site(
  number: number,
  frames: readonly StackFrame[],
  live: { bytes: number; blocks: number },
  more: { verdict?: LeakState; freed?: { bytes: number; blocks: number }; truncated?: boolean } = {},
): ProfiledSite {
  const freed = more.freed ?? { bytes: 0, blocks: 0 };
  return {
    figures: {
      site: number,
      allocations: live.blocks + freed.blocks,
      frees: freed.blocks,
      allocatedBytes: live.bytes + freed.bytes,
      freedBytes: freed.bytes,
      liveCount: live.blocks,
      liveBytes: live.bytes,
      oldFrees: 0,
      liveSamples: live.blocks,
      liveVariance: 0,
      firstAt: 0,
      births: [],
    },
    stack: { site: number, frames, truncated: more.truncated ?? false },
    verdict: more.verdict ?? 'STABLE',
  };
}

export function profileOf(sites: readonly ProfiledSite[], more: Partial<TraceProfile> = {}): TraceProfile {
  const sum = (key: 'allocations' | 'frees' | 'allocatedBytes' | 'freedBytes' | 'liveCount' | 'liveBytes'): number =>
    sites.reduce((total, { figures }) => total + figures[key], 0);
  const totals: TraceTotals = {
    allocations: sum('allocations'),
    frees: sum('frees'),
    allocatedBytes: sum('allocatedBytes'),
    freedBytes: sum('freedBytes'),
    liveCount: sum('liveCount'),
    liveBytes: sum('liveBytes'),
    issued: sum('allocations') + sum('frees'),
    recorded: sum('allocations') + sum('frees'),
    cancelled: 0,
    dropped: 0,
    standardError: null,
  };
  return {
    process: { pid: 42, program: 'demo' },
    mode: 'EXACT',
    sampleInterval: null,
    startedAt: Date.UTC(2026, 10, 20, 9, 30),
    durationMs: 12_000,
    totals,
    sites,
    ...more,
  };
}

/** Stacks over few functions, so that many begin alike; names that break what is careless. */
export const anyProfile: fc.Arbitrary<TraceProfile> = fc
  .array(
    fc.record({
      frames: fc.array(
        fc.record({
          name: fc.oneof(
            fc.constantFrom(
              'main',
              'work',
              'take',
              'a<b>&"\'',
              'semi;colon',
              ']]></script><script>',
              '\u202etxt',
              '\ud800',
            ),
            fc.constant(null),
            fc.string({ unit: 'binary', maxLength: 6 }),
          ),
          module: fc.constantFrom('/usr/bin/demo', '/lib/libc.so.6', null),
          offset: fc.nat(5),
          inlined: fc.boolean(),
        }),
        { maxLength: 12 },
      ),
      bytes: fc.nat(1_000_000),
      blocks: fc.nat(1000),
      freed: fc.nat(1_000_000),
      verdict: fc.constantFrom(...LEAK_STATES),
      truncated: fc.boolean(),
    }),
    { maxLength: 60 },
  )
  .map((sites) =>
    profileOf(
      sites.map(({ frames, bytes, blocks, freed, verdict, truncated }, index) =>
        site(
          index + 2,
          frames.map(({ name, ...more }) => frame(name, more)),
          { bytes, blocks },
          { verdict, truncated, freed: { bytes: freed, blocks: 3 } },
        ),
      ),
    ),
  );
