import type { RawFrame, TraceObservation, TraceSource } from '@tidemark/alloc-trace';
import { BIRTH_BINS, type SiteFigures, type StackFrame } from '@tidemark/contracts';

/** A process whose sites are what the test says, for tests of what is made of it. */
export interface FakeProcess {
  readonly source: TraceSource;
  /** `count` blocks of `size` bytes more at the site, born now. */
  allocate(site: number, count: number, size?: number): void;
  /** The oldest block of the site is freed. */
  free(site: number): void;
  end(): void;
  /** Every look fails with this until it is undefined again. */
  failure: Error | undefined;
  /** So many looks fail with it, at most. */
  failures: number;
  readonly stopped: boolean;
  readonly looks: number;
}

interface FakeSite {
  firstAt: number;
  live: { address: number; time: number; size: number }[];
  freed: { count: number; bytes: number };
}

export function createFakeProcess(pid: number, now: () => number = () => Date.now()): FakeProcess {
  const sites = new Map<number, FakeSite>();
  const has = { ended: false, stopped: false, looks: 0, addresses: 0x7f00_0000_0000 };
  const fake: FakeProcess = {
    failure: undefined,
    failures: Infinity,
    get stopped() {
      return has.stopped;
    },
    get looks() {
      return has.looks;
    },
    allocate(site, count, size = 64) {
      const known = sites.get(site) ?? { firstAt: now(), live: [], freed: { count: 0, bytes: 0 } };
      sites.set(site, known);
      for (let index = 0; index < count; index++) {
        known.live.push({ address: (has.addresses += 256), time: now(), size });
      }
    },
    free(site) {
      const known = sites.get(site);
      const block = known?.live.shift();
      if (!known || !block) return;
      known.freed = { count: known.freed.count + 1, bytes: known.freed.bytes + block.size };
    },
    end() {
      has.ended = true;
    },
    source: {
      means: 'LIBRARY',
      pid,
      async observe() {
        has.looks++;
        if (fake.failure && fake.failures-- > 0) throw fake.failure;
        return look(sites, now(), has.ended);
      },
      stackOf: (site) => (sites.has(site) ? { frames: [rawFrame(site), rawFrame(0)], truncated: false } : undefined),
      change: async () => {},
      async stop() {
        has.stopped = true;
      },
    },
  };
  return fake;
}

function look(known: ReadonlyMap<number, FakeSite>, at: number, ended: boolean): TraceObservation {
  const sites = [...known].map(([number, site]) => figuresOf(number, site, at));
  const sum = (pick: (figures: SiteFigures) => number): number => sites.reduce((all, site) => all + pick(site), 0);
  const survivors = [...known].flatMap(([site, { live }]) => live.map((block) => ({ ...block, site })));
  const [allocations, frees] = [sum((site) => site.allocations), sum((site) => site.frees)];
  const totals = {
    allocations,
    frees,
    allocatedBytes: sum((site) => site.allocatedBytes),
    freedBytes: sum((site) => site.freedBytes),
    liveCount: allocations - frees,
    liveBytes: sum((site) => site.liveBytes),
    issued: allocations + frees,
    recorded: allocations + frees,
    cancelled: 0,
    dropped: 0,
    standardError: null,
  };
  const survivorsTotal = survivors.length;
  const mode = { mode: 'EXACT' as const, sampleInterval: null };
  return { at, ended, ...mode, totals, birthsUntil: at, sites, survivors, survivorsTotal, warnings: [] };
}

function figuresOf(site: number, { live, freed, firstAt }: FakeSite, at: number): SiteFigures {
  const bytes = live.reduce((sum, { size }) => sum + size, 0);
  const births = Array.from({ length: BIRTH_BINS }, () => 0);
  for (const { time } of live) {
    const bin = Math.floor(((time - firstAt) / Math.max(1, at - firstAt)) * BIRTH_BINS);
    births[Math.min(BIRTH_BINS - 1, Math.max(0, bin))]!++;
  }
  return {
    site,
    allocations: live.length + freed.count,
    frees: freed.count,
    allocatedBytes: bytes + freed.bytes,
    freedBytes: freed.bytes,
    liveCount: live.length,
    liveBytes: bytes,
    oldFrees: 0,
    liveSamples: live.length,
    liveVariance: 0,
    firstAt,
    births,
  };
}

/** Site 0 stands for what all stacks have in common. */
function rawFrame(site: number): RawFrame {
  const file = '/opt/bin/server';
  return { module: { path: file, file, buildId: 'ab12', start: 0, end: 1e9, bias: 0 }, address: 4096 + site * 16 };
}

/** `site_7` for the address of site 7. */
export async function fakeSymbolize(frames: readonly RawFrame[]): Promise<StackFrame[][]> {
  return frames.map(({ module, address }) => [
    {
      function: address === 4096 ? 'main' : `site_${(address - 4096) / 16}`,
      file: '/src/server.c',
      line: address - 4096,
      module: module?.path ?? null,
      buildId: module?.buildId ?? null,
      offset: address,
      inlined: false,
    },
  ]);
}
