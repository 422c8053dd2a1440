import { processKey, type NodeId, type ProcessKey, type ProcessNumber, type SampleChunk } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestHistory, type TestHistory } from '../testing/open-history.js';
import { simulateNode, type SimulatedProcess, type Simulation } from '../testing/simulated-node.js';
import { sampleBlocks } from '../write/sample-blocks.js';
import { CARRY_MS, type SeriesPoint, type SeriesWindow } from './series-window.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A figure of one process as a staircase: each value holds from its time on. */
type Stairs = { at: number; value: number }[];

function stairsOf(process: SimulatedProcess, ...figures: ProcessNumber[]): Stairs {
  const now = new Map<ProcessNumber, number>();
  return process.changes.flatMap(({ at, values }) => {
    for (const figure of figures) if (values[figure] !== undefined) now.set(figure, values[figure]);
    if (now.size < figures.length || figures.every((figure) => values[figure] === undefined)) return [];
    return [{ at, value: [...now.values()].reduce((sum, value) => sum + value, 0) }];
  });
}

/** Mean, least and greatest by walking through every stretch; keyframes keep a value alive until the process dies. */
function naiveSeries(stairs: Stairs, endedAt: number, { from, to, stepMs }: SeriesWindow): SeriesPoint[] {
  const points: SeriesPoint[] = [];
  for (let start = Math.floor(from / stepMs) * stepMs; start < to; start += stepMs) {
    const end = start + stepMs;
    let area = 0;
    let time = 0;
    const values: number[] = [];
    stairs.forEach(({ at, value }, index) => {
      const until = Math.min(stairs[index + 1]?.at ?? Infinity, endedAt);
      const span = Math.min(until, end) - Math.max(at, start);
      if (span <= 0) return;
      area += value * span;
      time += span;
      values.push(value);
    });
    if (time > 0) points.push({ at: start, value: area / time, min: Math.min(...values), max: Math.max(...values) });
  }
  return points;
}

const close = (points: readonly SeriesPoint[]): unknown =>
  points.map((point) => ({ ...point, value: expect.closeTo(point.value, -2) }));

describe('series from history', () => {
  let test: TestHistory;
  let simulation: Simulation;
  let hours: Simulation;
  const node = 'node-a' as NodeId;
  const from = Math.floor(Date.now() / HOUR) * HOUR - 3 * HOUR;
  const keyOf = ({ pid, start }: SimulatedProcess, of = node): ProcessKey =>
    processKey(of, `boot-of-${of}`, pid, start);
  const lastAt = ({ chunks }: Simulation): number => chunks.at(-1)!.at;

  const write = async (chunks: readonly SampleChunk[], number: number): Promise<void> => {
    for (let index = 0; index < chunks.length; index += 40) {
      const part = sampleBlocks(chunks.slice(index, index + 40), () => (number + index) * 1024);
      await test.history.write(part, { token: `t/${number + index}`, again: false });
    }
  };

  beforeAll(async () => {
    test = await openTestHistory();
    // Twelve minutes by the second, and three hours by ten seconds.
    simulation = simulateNode({ node, from, rounds: 720, roundMs: 1_000, processes: 6, seed: 3, keyframeEvery: 60 });
    hours = simulateNode({
      node: 'node-b',
      from,
      rounds: 1_000,
      roundMs: 10_000,
      processes: 5,
      seed: 5,
      keyframeEvery: 6,
    });
    await write(simulation.chunks, 1_000);
    await write(hours.chunks, 5_000);
  });
  afterAll(() => test.close());

  const raw: SeriesWindow = { from: from + 2 * MINUTE + 5_000, to: from + 9 * MINUTE, stepMs: 10_000 };

  it.each([
    ['rss', ['rss']],
    ['pss', ['pss']],
    ['vms', ['vms']],
    ['leakSignal', ['rssAnon', 'swap']],
  ] as const)('give the time-weighted mean and the extremes of %s in every step', async (metric, figures) => {
    const keys = simulation.processes.map((process) => keyOf(process));
    const series = await test.history.processSeries(keys, metric, raw);
    for (const process of simulation.processes) {
      const wanted = naiveSeries(stairsOf(process, ...figures), process.diedAt ?? lastAt(simulation), raw);
      expect(series.get(keyOf(process)) ?? []).toEqual(close(wanted));
    }
    expect(series.size).toBeGreaterThan(6);
  });

  it('do not depend on whether parts were merged', async () => {
    const keys = simulation.processes.map((process) => keyOf(process));
    const minutes = { ...raw, stepMs: 2 * MINUTE };
    const before = await Promise.all([raw, minutes].map((window) => test.history.processSeries(keys, 'rss', window)));
    for (const table of ['process_samples', 'process_samples_1m', 'process_samples_1h']) {
      await test.connection.command(`OPTIMIZE TABLE ${table} FINAL`);
    }
    const after = await Promise.all([raw, minutes].map((window) => test.history.processSeries(keys, 'rss', window)));
    expect(after).toEqual(before);
  });

  it('have no point where nothing was known: before birth, after exit, and long after the last word', async () => {
    const process = simulation.processes.find(({ diedAt }) => diedAt !== null)!;
    const window = { from: process.bornAt - 5 * MINUTE, to: process.diedAt! + 5 * MINUTE, stepMs: 10_000 };
    const points = (await test.history.processSeries([keyOf(process)], 'rss', window)).get(keyOf(process)) ?? [];
    expect(points[0]!.at).toBe(Math.floor(process.bornAt / 10_000) * 10_000);
    expect(points.at(-1)!.at).toBe(Math.floor(process.diedAt! / 10_000) * 10_000);

    const alive = simulation.processes.find(({ diedAt }) => diedAt === null)!;
    const later = { from: lastAt(simulation) - MINUTE, to: lastAt(simulation) + 10 * MINUTE, stepMs: 10_000 };
    const known = (await test.history.processSeries([keyOf(alive)], 'rss', later)).get(keyOf(alive)) ?? [];
    expect(known.at(-1)!.at).toBeLessThan(lastAt(simulation) + CARRY_MS);
    expect(known.at(-1)!.at).toBeGreaterThan(lastAt(simulation));
  });

  it('are of minutes when the steps are: the last value of each, true extremes', async () => {
    const window = { from: from + HOUR, to: from + 2 * HOUR, stepMs: MINUTE };
    const keys = hours.processes.map((process) => keyOf(process, 'node-b' as NodeId));
    const series = await test.history.processSeries(keys, 'rss', window);
    for (const process of hours.processes) {
      const stairs = stairsOf(process, 'rss');
      const ended = process.diedAt ?? lastAt(hours);
      const wanted = naiveSeries(stairs, ended, window);
      const points = series.get(keyOf(process, 'node-b' as NodeId)) ?? [];
      expect(points.map(({ at }) => at)).toEqual(wanted.map(({ at }) => at));
      points.forEach((point, index) => {
        const last = stairs.filter(({ at }) => at < Math.min(point.at + MINUTE, ended + 1)).at(-1)!.value;
        const before = stairs.filter(({ at }) => at < point.at).at(-1)?.value;
        expect([last, before]).toContain(point.value > 0 ? nearest(point.value, [last, before ?? last]) : last);
        expect(point.min).toBeLessThanOrEqual(wanted[index]!.min!);
        expect(point.max).toBeGreaterThanOrEqual(wanted[index]!.max!);
      });
    }
  });

  it('are refused in one line when they would have too many points, or none', async () => {
    const years = { from: 0, to: Date.now(), stepMs: 1_000 };
    await expect(test.history.processSeries([], 'rss', years)).rejects.toMatchObject({ code: 'HISTORY_RANGE' });
    await expect(test.history.nodeSeries([], 'used', years)).rejects.toThrow(/steps, at most 2000 are allowed$/);
    const backwards = { from: 10, to: 10, stepMs: 1 };
    await expect(test.history.aggregateSeries({}, 'rss', backwards)).rejects.toThrow('must end after it begins');
    const fraction = { from: 0.5, to: 10, stepMs: 1 };
    await expect(test.history.aggregateSeries({}, 'rss', fraction)).rejects.toThrow('whole milliseconds');
  });

  it('of a node follow what it told', async () => {
    const window = { from: from + MINUTE, to: from + 10 * MINUTE, stepMs: 20_000 };
    for (const [metric, pick] of [
      ['used', (chunk: SampleChunk) => chunk.system.memory?.used],
      [
        'swapUsed',
        (chunk: SampleChunk) => chunk.system.memory && chunk.system.memory.swapTotal! - chunk.system.memory.swapFree!,
      ],
      ['loadOne', (chunk: SampleChunk) => chunk.system.load?.one],
    ] as const) {
      const stairs = simulation.chunks.flatMap((chunk) => {
        const value = pick(chunk);
        return value === undefined ? [] : [{ at: chunk.at, value }];
      });
      const series = await test.history.nodeSeries([node, 'nobody' as NodeId], metric, window);
      const wanted = naiveSeries(stairs, Infinity, window);
      expect([...series.keys()]).toEqual([node]);
      expect(series.get(node)).toEqual(wanted.map((point) => ({ ...point, value: expect.closeTo(point.value, 3) })));
    }
  });

  describe('summed over processes', () => {
    /** The sum at one moment, of those that live then and were heard of. */
    const sumAt = (of: Simulation, moment: number, chosen: (process: SimulatedProcess) => boolean): number | null => {
      const values = of.processes
        .filter(chosen)
        .filter(({ bornAt, diedAt }) => bornAt < moment && (diedAt === null || diedAt >= moment))
        .map(
          (process) =>
            stairsOf(process, 'rss')
              .filter(({ at }) => at < moment)
              .at(-1)?.value,
        )
        .filter((value) => value !== undefined);
      return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
    };
    const naive = (
      of: Simulation,
      window: SeriesWindow,
      gridMs: number,
      chosen: (process: SimulatedProcess) => boolean,
    ) => {
      const points: SeriesPoint[] = [];
      for (
        let start = Math.floor(window.from / window.stepMs) * window.stepMs;
        start < window.to;
        start += window.stepMs
      ) {
        const sums: number[] = [];
        for (let moment = start + gridMs; moment <= start + window.stepMs; moment += gridMs) {
          const sum = sumAt(of, moment, chosen);
          if (sum !== null) sums.push(sum);
        }
        if (sums.length === 0) continue;
        const value = sums.reduce((a, b) => a + b, 0) / sums.length;
        points.push({ at: start, value, min: Math.min(...sums), max: Math.max(...sums) });
      }
      return points;
    };

    it('count each living process once per step, from raw samples', async () => {
      const window = { from: from + 3 * MINUTE, to: from + 9 * MINUTE, stepMs: 15_000 };
      for (const program of ['program-0', 'program-1', 'nothing']) {
        const points = await test.history.aggregateSeries({ programs: [program], nodes: [node] }, 'rss', window);
        expect(points).toEqual(close(naive(simulation, window, 15_000, (process) => process.program === program)));
      }
      const all = await test.history.aggregateSeries({ nodes: [node] }, 'rss', window);
      expect(all).toEqual(close(naive(simulation, window, 15_000, () => true)));
      expect(all).toHaveLength(24);
    });

    it('count each living process once per minute, meaned by step, from the rollup', async () => {
      const window = { from: from + HOUR, to: from + 2 * HOUR, stepMs: 5 * MINUTE };
      const ada = ({ pid }: SimulatedProcess): boolean => pid % 2 === 0;
      const points = await test.history.aggregateSeries({ user: 'ada', nodes: ['node-b' as NodeId] }, 'rss', window);
      expect(points).toEqual(close(naive(hours, window, MINUTE, ada)));
      expect(points).toHaveLength(12);
    });

    it('count by service and pid, and over nodes', async () => {
      const window = { from: from + 4 * MINUTE, to: from + 8 * MINUTE, stepMs: MINUTE };
      const whole = await test.history.aggregateSeries({}, 'rss', window);
      const parts = await Promise.all(
        ['program-0', 'program-1', 'program-2'].map((name) =>
          test.history.aggregateSeries({ service: `${name}.service` }, 'rss', window),
        ),
      );
      whole.forEach((point) => {
        const sum = parts
          .flat()
          .filter(({ at }) => at === point.at)
          .reduce((total, { value }) => total + value, 0);
        expect(sum).toBeCloseTo(point.value, -2);
      });
      expect(whole).toHaveLength(4);
      const one = simulation.processes.find(({ bornAt, diedAt }) => (diedAt ?? Infinity) > bornAt + 3 * MINUTE)!;
      const born = Math.floor(one.bornAt / MINUTE) * MINUTE;
      const single = await test.history.aggregateSeries({ pids: [one.pid], nodes: [node] }, 'rss', {
        from,
        to: born + 2 * MINUTE,
        stepMs: MINUTE,
      });
      expect(single.map(({ at }) => at)).toEqual([born, born + MINUTE]);
    });
  });
});

function nearest(value: number, candidates: readonly number[]): number {
  return candidates.reduce((best, candidate) =>
    Math.abs(candidate - value) < Math.abs(best - value) ? candidate : best,
  );
}
