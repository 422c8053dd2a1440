import {
  BIRTH_BINS,
  processKey,
  type AllocationChunk,
  type NodeId,
  type ProcessKey,
  type SiteFigures,
  type SiteStack,
  type Survivor,
} from '@tidemark/contracts';

/** Number of each site of the simulated program. */
export const SIMULATED_SITES = { leak: 2, churn: 3, cache: 4 } as const;

/** Bytes of each block, and blocks the cache holds. */
export const BLOCK = 64;
const CACHED = 100;

export interface SimulatedTrace {
  readonly key: ProcessKey;
  /** The next chunk: a look at `at`, whole; everything in it when it is a keyframe. */
  chunk(at: number, given?: Partial<AllocationChunk>): AllocationChunk;
  /** Another collector goes on with the same trace. */
  restart(run: string): void;
}

/** What a program is, and when its tracing began; epoch milliseconds. */
export interface SimulatedProgram {
  node: NodeId;
  boot: string;
  pid: number;
  start: number;
  startedAt: number;
  trace?: string;
}

/**
 * A traced program that leaks a block a second at one site, frees what it takes at another, and filled a cache at its
 * begin. Every figure follows from the time.
 */
export function createSimulatedTrace(program: SimulatedProgram): SimulatedTrace {
  const { node, boot, pid, start, startedAt, trace = 'request-1' } = program;
  const key = processKey(node, boot, pid, start);
  let [run, seq] = ['run-1', 0];
  let told = 0;
  return {
    key,
    restart(name) {
      [run, seq, told] = [name, 0, 0];
    },
    chunk(at, given = {}) {
      const keyframe = given.keyframe ?? seq === 0;
      if (keyframe) told = 0;
      const seconds = Math.max(0, Math.floor((at - startedAt) / 1000));
      const old = Math.max(0, seconds - 5);
      const survivors = Array.from({ length: old - told }, (_, i) => leaked(startedAt, told + i));
      told = old;
      const sites = figuresAt(startedAt, at, seconds);
      const live = sites.reduce((sum, { liveCount }) => sum + liveCount, 0);
      const allocations = sites.reduce((sum, one) => sum + one.allocations, 0);
      const frees = allocations - live;
      return {
        ...{ v: 1, node, boot, pid, start, key, program: 'leaker', commandLine: 'leaker --fast', run, seq: seq++ },
        ...{ part: 0, parts: 1, keyframe, trace, at, state: 'ACTIVE', means: 'LIBRARY', mode: 'EXACT' },
        ...{ sampleInterval: null, startedAt, birthsUntil: at, anonymousBytes: live * BLOCK * 2, sites },
        ...{ stacks: keyframe ? STACKS : [], survivors, freed: [], survivorsTotal: old, warnings: [] },
        totals: {
          ...{ allocations, frees, allocatedBytes: allocations * BLOCK, freedBytes: frees * BLOCK },
          ...{ liveCount: live, liveBytes: live * BLOCK, issued: allocations + frees, recorded: 2 * live },
          ...{ cancelled: allocations + frees - 2 * live - 1, dropped: 1, standardError: null },
        },
        ...given,
      };
    },
  };
}

function leaked(startedAt: number, index: number): Survivor {
  const time = startedAt + index * 1000;
  return { time, size: BLOCK, address: 0x7f00_0000_1000 + index * BLOCK, site: SIMULATED_SITES.leak };
}

function figuresAt(startedAt: number, at: number, seconds: number): SiteFigures[] {
  const spread = (count: number, from: number, to: number): number[] => {
    const births = new Array<number>(BIRTH_BINS).fill(0);
    for (let i = 0; i < count; i++) {
      births[Math.min(BIRTH_BINS - 1, Math.floor((from + ((to - from) * i) / count) * BIRTH_BINS))]!++;
    }
    return births;
  };
  const site = (site: number, live: number, frees: number, births: number[]): SiteFigures => ({
    ...{ site, allocations: live + frees, frees, allocatedBytes: (live + frees) * BLOCK, freedBytes: frees * BLOCK },
    ...{ liveCount: live, liveBytes: live * BLOCK, oldFrees: 0, liveSamples: live, liveVariance: 0 },
    ...{ firstAt: startedAt, births },
  });
  const second = 1000 / Math.max(1000, at - startedAt);
  return [
    site(SIMULATED_SITES.leak, seconds, 0, spread(seconds, 0, 1)),
    site(SIMULATED_SITES.churn, 10, seconds * 100, spread(10, 0.999, 1)),
    site(SIMULATED_SITES.cache, CACHED, 0, spread(CACHED, 0, second)),
  ];
}

const frame = (function_: string, line: number, offset: number) => ({
  ...{ function: function_, file: '/src/leaker.c', line, module: '/usr/bin/leaker', buildId: 'ab12', offset },
  inlined: false,
});
const MAIN = frame('main', 90, 0x1200);

const STACKS: SiteStack[] = [
  { site: SIMULATED_SITES.leak, frames: [frame('remember', 12, 0x1010), MAIN], truncated: false },
  { site: SIMULATED_SITES.churn, frames: [frame('churn', 34, 0x1050), MAIN], truncated: false },
  { site: SIMULATED_SITES.cache, frames: [frame('fill', 56, 0x1090), MAIN], truncated: true },
];
