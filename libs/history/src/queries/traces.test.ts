import {
  BIRTH_BINS,
  processKey,
  siteId,
  traceTime,
  type AllocationChunk,
  type NodeId,
  type SiteFigures,
  type SiteStack,
  type Survivor,
} from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestHistory, type TestHistory } from '../testing/open-history.js';
import { allocationBlocks } from '../write/allocation-blocks.js';

const node = 'node-a' as NodeId;
const boot = 'boot-1';
const T0 = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;
const keyOf = (pid: number) => processKey(node, boot, pid, 4000);

const stackOf = (site: number): SiteStack => ({
  site,
  frames: [
    {
      ...{ function: `site_${site}<"ünï">`, file: '/src/a.c', line: site, module: '/bin/a', buildId: 'ab12' },
      ...{ offset: 4096 + site, inlined: false },
    },
  ],
  truncated: site === 3,
});

/** Site 2 grows by a block a second, site 3 holds what it has; a block of site 2 is freed every tenth second. */
function figures(site: number, second: number): SiteFigures {
  const [allocations, frees] = site === 2 ? [second + 1, Math.floor(second / 10)] : [5, 0];
  return {
    ...{ site, allocations, frees, allocatedBytes: allocations * 64, freedBytes: frees * 64 },
    ...{ liveCount: allocations - frees, liveBytes: (allocations - frees) * 64 + (site === 2 ? 0.25 : 0) },
    ...{ oldFrees: frees, liveSamples: allocations - frees, liveVariance: 0, firstAt: T0 + site },
    births: Array.from({ length: BIRTH_BINS }, (_, bin) => bin % site),
  };
}

const survivor = (second: number): Survivor => ({
  ...{ time: traceTime(T0 + second * 1_000 + 0.3), size: 64 + second, address: 2 ** 47 + second * 64, site: 2 },
});

/** Chunks of one trace, one a second, keyframes every minute; the last one is the end. */
function chunksOf(pid: number, seconds: number, over: Partial<AllocationChunk> = {}): AllocationChunk[] {
  return Array.from({ length: seconds }, (_, second) => {
    const keyframe = second % 60 === 0 || second === seconds - 1;
    const freed = second > 0 && second % 10 === 0 ? [survivor(second / 10 - 1)] : [];
    const live = Array.from({ length: second + 1 }, (_, index) => survivor(index)).slice(Math.floor(second / 10));
    const totals = figures(2, second);
    return {
      ...{ v: 1, node, boot, pid, start: 4000, key: keyOf(pid), program: 'server', commandLine: null, run: 'run-1' },
      ...{ seq: second, part: 0, parts: 1, keyframe, trace: 'trace-1', at: traceTime(T0 + second * 1_000 + 0.7) },
      ...{
        state: second === seconds - 1 ? 'ENDED' : 'ACTIVE',
        means: 'LIBRARY',
        mode: 'SAMPLED',
        sampleInterval: 4096,
      },
      ...{ startedAt: T0, birthsUntil: T0 + second * 1_000, anonymousBytes: 123_456, warnings: ['One.', 'Two.'] },
      totals: {
        ...{ allocations: totals.allocations + 5.5, frees: totals.frees, allocatedBytes: 1e13, freedBytes: 12 },
        ...{ liveCount: 7.25, liveBytes: 1e12, issued: 100, recorded: 60, cancelled: 39, dropped: 1 },
        standardError: { allocations: 1.5, allocatedBytes: 2.5, liveCount: 3.5, liveBytes: 4.5 },
      },
      sites: keyframe || second === 0 ? [figures(2, second), figures(3, second)] : [figures(2, second)],
      stacks: keyframe ? [stackOf(2), stackOf(3)] : [],
      survivors: keyframe ? live : [survivor(second)],
      freed: keyframe ? freed : freed.map(({ address, time }) => ({ address, time })),
      survivorsTotal: live.length,
      ...over,
    } as AllocationChunk;
  });
}

describe('allocation traces in history', () => {
  let test: TestHistory;
  let token = 0;
  const write = async (chunks: readonly AllocationChunk[], again = false): Promise<void> => {
    await test.history.write(allocationBlocks(chunks), { token: `t/${token++}`, again });
  };
  beforeAll(async () => {
    test = await openTestHistory();
    const chunks = chunksOf(7, 201);
    for (let from = 0; from < chunks.length; from += 40) await write(chunks.slice(from, from + 40));
  });
  afterAll(() => test.close());

  it('are their newest state and totals', async () => {
    const last = chunksOf(7, 201).at(-1)!;
    expect(await test.history.traceOf(keyOf(7))).toEqual({
      ...{ key: keyOf(7), trace: 'trace-1', run: 'run-1', at: T0 + 200_000, startedAt: T0, program: 'server' },
      ...{ commandLine: null, state: 'ENDED', means: 'LIBRARY', mode: 'SAMPLED', sampleInterval: 4096 },
      ...{ totals: last.totals, birthsUntil: T0 + 200_000, anonymousBytes: 123_456 },
      ...{ survivorsTotal: last.survivorsTotal, warnings: ['One.', 'Two.'] },
    });
    expect(await test.history.traceOf(keyOf(8))).toBeNull();
    expect(await test.history.traceOf('no key' as never)).toBeNull();
  });

  it('are their sites with the last figures and the stacks, in the order asked for', async () => {
    const sites = await test.history.tracedSites(keyOf(7), 'liveBytes', 10);
    expect(sites).toEqual(
      [2, 3].map((site) => ({
        id: siteId(stackOf(site).frames),
        frames: stackOf(site).frames,
        truncated: site === 3,
        figures: figures(site, 200),
        at: T0 + 200_000,
        birthsUntil: T0 + 200_000,
      })),
    );
    const ordered = async (order: 'liveCount' | 'allocations' | 'allocatedBytes') =>
      (await test.history.tracedSites(keyOf(7), order, 1)).map((one) => one.figures.site);
    expect([await ordered('liveCount'), await ordered('allocations'), await ordered('allocatedBytes')]).toEqual([
      [2],
      [2],
      [2],
    ]);
    await expect(test.history.tracedSites(keyOf(7), 'liveBytes', 0)).rejects.toThrow(/0 sites asked for, .* 1 to 1000/);
  });

  it('are the allocations that no free was seen of, oldest first', async () => {
    const expected = Array.from({ length: 201 }, (_, second) => survivor(second)).slice(20);
    const all = await test.history.atRisk(keyOf(7), 10_000);
    expect(all.map(({ address, size, site }) => ({ address, size, site }))).toEqual(
      expected.map(({ address, size, site }) => ({ address, size, site })),
    );
    all.forEach(({ time }, index) => expect(time).toBeCloseTo(expected[index]!.time, 2));
    expect(new Set(all.map((one) => one.siteId))).toEqual(new Set([siteId(stackOf(2).frames)]));
    expect((await test.history.atRisk(keyOf(7), 3)).map(({ size }) => size)).toEqual([84, 85, 86]);
  });

  it('are the live bytes of a site over time, also where nothing changed', async () => {
    const window = { from: T0, to: T0 + 240_000, stepMs: 10_000 };
    const growing = await test.history.siteSeries(keyOf(7), siteId(stackOf(2).frames), window);
    expect(growing.map(({ at }) => at)).toEqual(Array.from({ length: 21 }, (_, step) => T0 + step * 10_000));
    expect(growing.at(-1)!.max).toBe(figures(2, 200).liveBytes);
    for (const [step, { max }] of growing.slice(0, 20).entries()) {
      expect(max).toBe(figures(2, step * 10 + 9).liveBytes);
    }
    const still = await test.history.siteSeries(keyOf(7), siteId(stackOf(3).frames), window);
    expect(still).toHaveLength(21);
    expect(new Set(still.map(({ value }) => value))).toEqual(new Set([320]));
    expect(await test.history.siteSeries(keyOf(7), '0'.repeat(16), window)).toEqual([]);
  });

  it('are the same when everything is written twice, in whatever batches', async () => {
    const answers = async () => ({
      trace: await test.history.traceOf(keyOf(7)),
      sites: await test.history.tracedSites(keyOf(7), 'liveBytes', 10),
      atRisk: await test.history.atRisk(keyOf(7), 10_000),
      rows: await Promise.all(
        ['allocation_sites', 'allocation_site_names', 'allocation_stacks', 'unmatched_allocations'].map((table) =>
          test.connection.query(`SELECT count() AS rows FROM ${table} FINAL`),
        ),
      ),
    });
    const before = await answers();
    const chunks = chunksOf(7, 201);
    await write(chunks.slice(150), true);
    await write(chunks, true);
    await write(chunks.slice(0, 60));
    expect(await answers()).toEqual(before);
  });

  it('keep a stack once, and a row of a site for ten seconds', async () => {
    await write(chunksOf(8, 30));
    const [stacks] = await test.connection.query<{ rows: number | string }>(
      'SELECT count() AS rows FROM allocation_stacks FINAL',
    );
    expect(Number(stacks!.rows)).toBe(2);
    const [sites] = await test.connection.query<{ rows: number | string }>(
      'SELECT count() AS rows FROM allocation_sites FINAL WHERE pid = 8 AND site = 2',
    );
    expect(Number(sites!.rows)).toBe(3);
  });

  it('are those of the newest trace when there were several, and of its newest run', async () => {
    const later = { trace: 'trace-2', run: 'run-2' };
    await write(chunksOf(9, 20));
    await write(
      chunksOf(9, 5, later).map((chunk) => ({ ...chunk, at: chunk.at + 60_000, stacks: [], state: 'ACTIVE' as const })),
    );
    expect(await test.history.traceOf(keyOf(9))).toMatchObject({ ...later, state: 'ACTIVE' });
    const sites = await test.history.tracedSites(keyOf(9), 'liveBytes', 10);
    expect(sites.map(({ id, frames }) => ({ id, frames }))).toEqual([
      { id: null, frames: [] },
      { id: null, frames: [] },
    ]);
    expect(await test.history.atRisk(keyOf(9), 100)).toHaveLength(5);
  });

  it('know of nothing at risk when nothing was left', async () => {
    const chunks = chunksOf(10, 3);
    const last = { ...chunks.at(-1)!, survivors: [], survivorsTotal: 0 };
    await write([...chunks.slice(0, -1), last]);
    expect(await test.history.atRisk(keyOf(10), 100)).toEqual([]);
  });

  it('take whatever a chunk may hold', async () => {
    const [chunk] = chunksOf(11, 1);
    const most = Number.MAX_SAFE_INTEGER;
    const far = 2 ** 43 - 1;
    const odd: AllocationChunk = {
      ...chunk!,
      ...{ sampleInterval: null, anonymousBytes: null, birthsUntil: far, startedAt: far, program: '\u0000🌊' },
      sites: [{ ...figures(0xffff_ffff, 1), liveBytes: -1e300, firstAt: far, births: Array(BIRTH_BINS).fill(most) }],
      stacks: [{ site: 0xffff_ffff, frames: [], truncated: true }],
      survivors: [{ address: most, time: far, size: most, site: 0xffff_ffff }],
      totals: { ...chunk!.totals, standardError: null },
    };
    await write([odd]);
    expect(await test.history.traceOf(keyOf(11))).toMatchObject({ program: '\u0000🌊', sampleInterval: null });
    const [site] = await test.history.tracedSites(keyOf(11), 'liveBytes', 10);
    expect(site).toMatchObject({ frames: [], truncated: true, figures: { liveBytes: -1e300 } });
    expect(await test.history.atRisk(keyOf(11), 10)).toMatchObject([{ address: most, size: most }]);
  });
});
