import { siteId, toNodeId, type AllocationChunk, type ControlRecord, type ProcessKey } from '@tidemark/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTraceBook, type TraceBook, type TraceBookOptions } from '../index.js';
import { BLOCK, createSimulatedTrace, SIMULATED_SITES, type SimulatedTrace } from './simulated-trace.js';
import type { TraceLedger } from './trace-ledger.js';

const T0 = Date.UTC(2025, 0, 6);
const node = toNodeId('a');
const LIVE_BYTES = { field: 'liveBytes', descending: true, limit: 10 } as const;

/** Tells what it was shown; who leaks is judged, and tested, elsewhere. */
function spyLedger(looks: Parameters<TraceLedger['observe']>[0][] = []): TraceLedger {
  return {
    observe: (look) => void looks.push(look),
    forget: () => undefined,
    verdict: (site) => ({
      ...{ state: site === SIMULATED_SITES.leak ? 'SUSPECTED' : 'STABLE', bytesPerHour: site, low: null, high: null },
      ...{ generations: 0, oldFreeRate: null, confidence: 1, message: '' },
    }),
  };
}

function setUp(options: Partial<TraceBookOptions> = {}): { book: TraceBook; trace: SimulatedTrace; key: ProcessKey } {
  const book = createTraceBook({ createLedger: () => spyLedger(), ...options });
  const trace = createSimulatedTrace({ node, boot: 'boot-1', pid: 70, start: 7000, startedAt: T0 });
  return { book, trace, key: trace.key };
}

const at = (seconds: number): number => T0 + seconds * 1000;

/** A look cut into parts as the collector would: each list may go anywhere. */
function cut(chunk: AllocationChunk, parts: number): AllocationChunk[] {
  const share = <T>(list: readonly T[], part: number): T[] => list.filter((_, i) => i % parts === part);
  return Array.from({ length: parts }, (_, part) => ({
    ...{ ...chunk, part, parts, seq: chunk.seq + part, sites: share(chunk.sites, part) },
    ...{ stacks: share(chunk.stacks, (part + 1) % parts), survivors: share(chunk.survivors, part) },
  }));
}

function request(id: string, given: Partial<ControlRecord> = {}): ControlRecord {
  return {
    ...{ v: 1, type: 'trace-request', id, node, pid: 70, start: 7000, action: 'START', mode: 'EXACT' },
    ...{ sampleInterval: null, maxFrames: null, requestedAt: T0, expiresAt: T0 + 60_000 },
    ...given,
  } as ControlRecord;
}

function status(id: string, given: Partial<ControlRecord> = {}): ControlRecord {
  return {
    ...{ v: 1, type: 'trace-status', id, node, pid: 70, key: `a/boot-1/70/7000`, state: 'ACTIVE', means: 'LIBRARY' },
    ...{ mode: 'EXACT', sampleInterval: null, maxFrames: null, reason: null, code: null, at: T0 },
    ...given,
  } as ControlRecord;
}

describe('chunks of a trace', () => {
  it('give its totals, its sites with stacks, and the allocations at risk', () => {
    const { book, trace, key } = setUp();
    for (let second = 1; second <= 20; second++) book.applyChunk(trace.chunk(at(second)), at(second));
    const view = book.trace(key, at(20))!;
    expect(view).toMatchObject({ state: 'ACTIVE', mode: 'EXACT', means: 'LIBRARY', startedAt: T0, at: at(20) });
    expect(view).toMatchObject({ partial: false, sitesTotal: 3, survivorsTotal: 15, explained: 0.5 });
    const { issued, recorded, cancelled, dropped } = view.totals!;
    expect(recorded + cancelled + dropped).toBe(issued);
    const sites = book.sites(key, LIVE_BYTES);
    expect(sites.map(({ site }) => site)).toEqual([SIMULATED_SITES.cache, SIMULATED_SITES.leak, SIMULATED_SITES.churn]);
    expect(sites[1]).toMatchObject({ frames: [{ function: 'remember' }, { function: 'main' }], truncated: false });
    expect(sites[1]!.id).toBe(siteId(sites[1]!.frames));
    expect(book.site(key, sites[1]!.id)?.figures.liveBytes).toBe(20 * BLOCK);
    const risk = book.atRisk(key, 100);
    expect(risk.map(({ survivor }) => survivor.time)).toEqual(Array.from({ length: 15 }, (_, i) => at(i)));
    expect(risk[0]!.site?.site).toBe(SIMULATED_SITES.leak);
  });

  it('orders sites by what is asked, those under suspicion first by verdict', () => {
    const { book, trace, key } = setUp();
    book.applyChunk(trace.chunk(at(20)), at(20));
    const order = (field: Parameters<TraceBook['sites']>[1]['field'], descending = true) =>
      book.sites(key, { field, descending, limit: 2 }).map(({ site }) => site);
    expect(order('verdict')).toEqual([SIMULATED_SITES.leak, SIMULATED_SITES.cache]);
    expect(order('allocations')).toEqual([SIMULATED_SITES.churn, SIMULATED_SITES.cache]);
    expect(order('bytesPerHour', false)).toEqual([SIMULATED_SITES.leak, SIMULATED_SITES.churn]);
  });

  it('are the same whether whole or in parts, told once or twice', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 5 }),
        (parts, twice, every) => {
          const [plain, other] = [setUp(), setUp()];
          let seq = 0;
          for (let second = 1; second <= 12; second++) {
            const keyframe = second % every === 0 || second === 1;
            plain.book.applyChunk(plain.trace.chunk(at(second), { keyframe }), at(second));
            const pieces = cut({ ...other.trace.chunk(at(second), { keyframe }), seq }, parts);
            seq += parts;
            for (const piece of pieces) {
              expect(other.book.applyChunk(piece, at(second)).outcome).toBe('applied');
              if (twice) expect(other.book.applyChunk(piece, at(second)).outcome).toBe('duplicate');
            }
          }
          expect(other.book.sites(other.key, LIVE_BYTES)).toEqual(plain.book.sites(plain.key, LIVE_BYTES));
          expect(other.book.atRisk(other.key, 100)).toEqual(plain.book.atRisk(plain.key, 100));
          expect(other.book.trace(other.key, at(13))).toEqual(plain.book.trace(plain.key, at(13)));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('show the ledger each look once and whole, in order', () => {
    const looks: Parameters<TraceLedger['observe']>[0][] = [];
    const { book, trace } = setUp({ createLedger: () => spyLedger(looks) });
    for (const piece of cut(trace.chunk(at(1)), 3)) book.applyChunk(piece, at(1));
    book.applyChunk({ ...trace.chunk(at(2)), seq: 3 }, at(2));
    book.applyChunk({ ...trace.chunk(at(3), { state: 'ENDED' }), seq: 4 }, at(3));
    expect(looks.map((look) => [look.at, look.ended, look.sites.length])).toEqual([
      [at(1), false, 3],
      [at(2), false, 3],
      [at(3), true, 3],
    ]);
  });
});

describe('a view that comes late or misses chunks', () => {
  it('is partial until the next whole keyframe says all', () => {
    const { book, trace, key } = setUp();
    const first = trace.chunk(at(10));
    book.applyChunk(trace.chunk(at(11)), at(11));
    expect(book.trace(key, at(11))).toMatchObject({ partial: true, state: 'ACTIVE' });
    expect(book.sites(key, LIVE_BYTES)[0]!.id).toBe(`#${SIMULATED_SITES.cache}`);
    expect(book.atRisk(key, 100)).toHaveLength(1);
    expect(book.applyChunk(first, at(11)).outcome).toBe('duplicate');
    book.applyChunk(trace.chunk(at(12), { keyframe: true }), at(12));
    expect(book.trace(key, at(12))?.partial).toBe(false);
    expect(book.atRisk(key, 100)).toHaveLength(7);
    expect(book.sites(key, LIVE_BYTES)[0]!.id).toMatch(/^[0-9a-f]{16}$/);
  });

  it('forgets what a whole keyframe does not name, and not what half of one does not', () => {
    const { book, trace, key } = setUp();
    book.applyChunk(trace.chunk(at(20)), at(20));
    const keyframe = trace.chunk(at(21), { keyframe: true });
    const named = { ...keyframe, sites: keyframe.sites.slice(0, 1), survivors: keyframe.survivors.slice(3) };
    const [first, second] = cut(named, 2);
    book.applyChunk(first!, at(21));
    expect(book.sites(key, LIVE_BYTES)).toHaveLength(3);
    book.applyChunk(second!, at(21));
    expect(book.sites(key, LIVE_BYTES)).toHaveLength(1);
    expect(book.atRisk(key, 100)).toHaveLength(13);
  });

  it('takes frees out of the allocations at risk', () => {
    const { book, trace, key } = setUp();
    book.applyChunk(trace.chunk(at(20)), at(20));
    const { survivor } = book.atRisk(key, 1)[0]!;
    const freed = [{ address: survivor.address, time: survivor.time }];
    book.applyChunk({ ...trace.chunk(at(21)), freed }, at(21));
    expect(book.atRisk(key, 100).map((one) => one.survivor.time)).not.toContain(survivor.time);
    expect(book.atRisk(key, 100)).toHaveLength(15);
  });

  it('goes on with another collector, and takes nothing more from the one before', () => {
    const { book, trace, key } = setUp();
    book.applyChunk(trace.chunk(at(20)), at(20));
    const late = trace.chunk(at(21));
    trace.restart('run-2');
    book.applyChunk(trace.chunk(at(22)), at(22));
    expect(book.applyChunk(late, at(23)).outcome).toBe('superseded');
    expect(book.trace(key, at(23))).toMatchObject({ at: at(22), partial: false, sitesTotal: 3 });
  });

  it('does not mix processes of one pid', () => {
    const { book, trace, key } = setUp();
    book.applyChunk(trace.chunk(at(20)), at(20));
    const other = createSimulatedTrace({ node, boot: 'boot-1', pid: 70, start: 9000, startedAt: at(30) });
    book.applyChunk(other.chunk(at(33)), at(33));
    expect(book.trace(key, at(33))?.at).toBe(at(20));
    expect(book.trace(other.key, at(33))?.at).toBe(at(33));
    const rebooted = createSimulatedTrace({ node, boot: 'boot-2', pid: 70, start: 7000, startedAt: at(40) });
    book.applyChunk(rebooted.chunk(at(43)), at(43));
    expect(book.trace(key, at(43))).toBeUndefined();
    expect(book.applyChunk(trace.chunk(at(21)), at(44)).outcome).toBe('superseded');
    expect(book.trace(rebooted.key, at(44))?.at).toBe(at(43));
  });
});

describe('requests and answers', () => {
  it('are REQUESTED until answered, and EXPIRED when nobody does', () => {
    const { book, key } = setUp();
    book.applyControl(request('r'), T0);
    expect(book.trace(key, T0)).toMatchObject({ state: 'REQUESTED', totals: null, explained: null });
    expect(book.tick(T0 + 60_000)).toEqual([]);
    expect(book.trace(key, T0 + 60_001)).toMatchObject({
      ...{ state: 'EXPIRED', code: 'TRACE_EXPIRED', reason: `Node ${node} did not answer within 60 s.` },
    });
    expect(book.tick(T0 + 60_001)).toMatchObject([{ node, pid: 70, over: false }]);
    expect(book.tick(T0 + 60_002)).toEqual([]);
    book.applyControl(status('r', { state: 'ACTIVE' }), T0);
    expect(book.trace(key, T0 + 60_001)).toMatchObject({ state: 'ACTIVE', means: 'LIBRARY' });
  });

  it('carry the reason of a refusal, also of a process that was not found', () => {
    const { book, key } = setUp();
    book.applyControl(request('r'), T0);
    const refused = { state: 'REFUSED', means: null, reason: 'it is static', code: 'STATIC', key: null } as const;
    book.applyControl(status('r', refused), T0);
    expect(book.trace(key, T0)).toMatchObject({ state: 'REFUSED', reason: 'it is static', code: 'STATIC' });
  });

  it('do not end what runs when a second request is refused, nor before the node says so', () => {
    const { book, trace, key } = setUp();
    book.applyControl(request('request-1'), T0);
    book.applyControl(status('request-1'), T0);
    book.applyChunk(trace.chunk(at(1)), at(1));
    book.applyControl(request('second'), at(2));
    book.applyControl(status('second', { state: 'REFUSED', reason: 'already traced', code: 'BUSY', at: at(2) }), at(2));
    expect(book.trace(key, at(2))).toMatchObject({ state: 'ACTIVE', reason: 'already traced' });
    book.applyControl(request('stop', { action: 'STOP' } as Partial<ControlRecord>), at(3));
    expect(book.trace(key, at(3))).toMatchObject({ state: 'REQUESTED', mode: 'EXACT', reason: 'It is to be stopped.' });
    book.applyControl(status('stop', { state: 'STOPPED', at: at(3) }), at(3));
    expect(book.trace(key, at(3))?.state).toBe('STOPPED');
    book.applyChunk(trace.chunk(at(2)), at(3));
    expect(book.trace(key, at(3))).toMatchObject({ state: 'STOPPED', at: at(2) });
  });

  it('know the process by the answer when the request named a pid only', () => {
    const { book, key } = setUp();
    book.applyControl(request('r', { start: null } as Partial<ControlRecord>), T0);
    expect(book.metrics().traces).toBe(1);
    book.applyControl(status('r'), T0);
    expect(book.trace(key, T0)?.state).toBe('ACTIVE');
    expect(book.metrics().traces).toBe(1);
  });

  it('end with the last words of the trace', () => {
    const { book, trace, key } = setUp();
    book.applyChunk(trace.chunk(at(1)), at(1));
    book.applyChunk(trace.chunk(at(2), { state: 'ENDED' }), at(2));
    expect(book.trace(key, at(2))?.state).toBe('ENDED');
  });
});

describe('bounds', () => {
  it('leave out sites and blocks beyond them, and say how many there are', () => {
    const { book, trace, key } = setUp({ maxSites: 2, maxSurvivors: 4 });
    book.applyChunk(trace.chunk(at(20)), at(20));
    expect(book.sites(key, LIVE_BYTES)).toHaveLength(2);
    expect(book.atRisk(key, 100)).toHaveLength(4);
    expect(book.trace(key, at(20))).toMatchObject({ sitesTotal: 3, survivorsTotal: 15 });
  });

  it('forget the trace that is over for longest first, and all that are silent for long', () => {
    const { book } = setUp({ maxTraces: 2 });
    const traces = [1, 2, 3].map((pid) => createSimulatedTrace({ node, boot: 'b', pid, start: pid, startedAt: T0 }));
    book.applyChunk(traces[0]!.chunk(at(1)), at(1));
    book.applyChunk(traces[1]!.chunk(at(2), { state: 'ENDED' }), at(2));
    book.applyChunk(traces[2]!.chunk(at(3)), at(3));
    expect(traces.map(({ key }) => book.trace(key, at(3)) !== undefined)).toEqual([true, false, true]);
    book.tick(at(602));
    expect(traces.map(({ key }) => book.trace(key, at(602)) !== undefined)).toEqual([false, false, true]);
    expect(book.metrics()).toEqual({ traces: 1, sites: 3, survivors: 0 });
  });
});
