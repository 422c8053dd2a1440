import { toNodeId, type LeakState, type MemoryMetric } from '@tidemark/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLiveView, type LiveView } from './live-view.js';
import type { LeakStatus } from './leak-status.js';
import { comparePositions, type ProcessPosition } from './process-order.js';
import type { ProcessSelection } from './process-selection.js';
import { quantile } from './quantile.js';
import { createSimulatedHost, type SimulatedHost, type SimulatedProcess } from './simulated-host.js';

const T0 = 1_750_000_000_000;
const PROGRAMS = ['chrome', 'Chromium', 'postgres', 'sh'];
const STATES: LeakState[] = ['LEARNING', 'STABLE', 'SUSPECTED'];

const process = fc.record({
  node: fc.constantFrom('a', 'b', 'c'),
  pid: fc.integer({ min: 1, max: 40 }),
  program: fc.constantFrom(...PROGRAMS),
  user: fc.constantFrom('root', 'www', null),
  commandLine: fc.constantFrom(null, 'chrome --type=renderer', 'sh -c "a.*b"'),
  state: fc.constantFrom('R', 'S', 'D'),
  rss: fc.option(fc.nat(5)),
  rssAnon: fc.option(fc.nat(5)),
  swap: fc.option(fc.nat(3)),
  pss: fc.option(fc.nat(1000)),
});
const fleet = fc.array(process, { maxLength: 60 });

interface Truth extends SimulatedProcess {
  node: string;
  leak: LeakState;
}

function leakStateOf(pid: number): LeakState {
  return STATES[pid % STATES.length]!;
}

function build(rows: readonly (typeof process extends fc.Arbitrary<infer P> ? P : never)[]) {
  const leakOf = (key: string): LeakStatus => ({
    state: leakStateOf(Number(key.split('/')[2])),
    ...{ since: null, confidence: null, imminent: false, growth: null, secondsToExhaustion: null },
  });
  const view = createLiveView({ leakOf });
  const hosts = new Map<string, SimulatedHost>(['a', 'b', 'c'].map((name) => [name, createSimulatedHost(name)]));
  for (const { node, pid, program, user, commandLine, state, ...numbers } of rows) {
    const host = hosts.get(node)!;
    host.spawn(pid, { program, user, commandLine, state, service: `${program}.service` });
    host.set(pid, numbers);
  }
  const truth: Truth[] = [];
  for (const host of hosts.values()) {
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    for (const one of host.processes.values()) truth.push({ ...one, node: host.node, leak: leakStateOf(one.pid) });
  }
  return { view, truth };
}

const criteria = fc.record({
  nodes: fc.subarray(['a', 'b', 'x'].map(toNodeId)),
  programs: fc.subarray([...PROGRAMS, 'none']),
  pids: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 10 }),
  user: fc.constantFrom('root', 'nobody'),
  service: fc.constantFrom('sh.service', 'x'),
  states: fc.constantFrom('R', 'SD', ''),
  min: fc.record({ metric: fc.constantFrom('rss' as const, 'leakSignal' as const), bytes: fc.nat(5) }),
  leakStates: fc.subarray(STATES),
  text: fc.constantFrom('CHROM', 'a.*b', 'www', '7', ''),
});
/** With more criteria at once, nearly nothing would match. */
const selection: fc.Arbitrary<ProcessSelection> = fc
  .tuple(
    criteria,
    fc.subarray(['nodes', 'programs', 'pids', 'user', 'service', 'states', 'min', 'leakStates', 'text'] as const, {
      maxLength: 2,
    }),
  )
  .map(([all, names]) => Object.fromEntries(names.map((name) => [name, all[name]])));

function sizeOf({ numbers }: SimulatedProcess, metric: MemoryMetric | 'leakSignal'): number | null {
  if (metric !== 'leakSignal') return numbers[metric];
  return numbers.rssAnon === null ? null : numbers.rssAnon + (numbers.swap ?? 0);
}

/** The filter said as plainly as possible. */
function allows(wanted: ProcessSelection, one: Truth): boolean {
  const { nodes, programs, pids, user, service, states, min, leakStates, text } = wanted;
  if (nodes && !nodes.some((node) => node === one.node)) return false;
  if (programs && !programs.includes(one.program)) return false;
  if (pids && !pids.includes(one.pid)) return false;
  if (user !== undefined && one.user !== user) return false;
  if (service !== undefined && one.service !== service) return false;
  if (states !== undefined && !states.includes(one.state)) return false;
  if (min && !((sizeOf(one, min.metric) ?? -1) >= min.bytes)) return false;
  if (leakStates && !leakStates.includes(one.leak)) return false;
  if (!text) return true;
  const part = text.toLowerCase();
  const texts = [one.program, one.service, one.user ?? '', one.commandLine ?? ''];
  return texts.some((known) => known.toLowerCase().includes(part)) || String(one.pid) === text;
}

describe('selecting processes', () => {
  it('gives what a plain filter and sort give, page by page, whatever the page size', () => {
    const field = fc.constantFrom('rss' as const, 'leakSignal' as const, 'pid' as const, 'program' as const);
    fc.assert(
      fc.property(
        fleet,
        selection,
        field,
        fc.boolean(),
        fc.integer({ min: 1, max: 7 }),
        (rows, wanted, by, up, size) => {
          const { view, truth } = build(rows);
          const direction = up ? 'asc' : 'desc';
          const expected = truth
            .filter((one) => allows(wanted, one))
            .map((one) => ({
              value: by === 'pid' ? one.pid : by === 'program' ? one.program : sizeOf(one, by),
              ...{ node: one.node, pid: one.pid },
            }))
            .sort((a, b) => {
              if (a.value !== b.value) {
                if (a.value === null) return 1;
                if (b.value === null) return -1;
                return (a.value < b.value ? -1 : 1) * (up ? 1 : -1);
              }
              return a.node < b.node ? -1 : a.node > b.node ? 1 : a.pid - b.pid;
            });
          const pages: ProcessPosition[] = [];
          for (let after: ProcessPosition | null = null; ;) {
            const page = { order: { field: by, direction } as const, after, limit: size };
            const found = view.select({ selection: wanted }, page);
            expect(found.total).toBe(expected.length);
            if (found.rows.length === 0) break;
            pages.push(...found.rows.map((row) => row.position));
            after = found.rows.at(-1)!.position;
          }
          expect(pages.map(({ value, node, pid }) => ({ value, node, pid }))).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('compares positions so that unknown comes last in both directions', () => {
    const at = (value: number | null) => ({ value, node: 'a', pid: 1, start: 1 }) as ProcessPosition;
    for (const direction of ['asc', 'desc'] as const) {
      expect(comparePositions(direction)(at(null), at(0))).toBeGreaterThan(0);
      expect(comparePositions(direction)(at(0), at(null))).toBeLessThan(0);
    }
  });

  it('finds the children of a process', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    for (const pid of [1, 9, 5, 7]) host.spawn(pid);
    host.set(9, { ppid: 1 });
    host.set(5, { ppid: 1 });
    host.set(7, { ppid: 5 });
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    expect(view.children('a', 1).map(({ pid }) => pid)).toEqual([5, 9]);
    expect(view.children('b', 1)).toEqual([]);
  });
});

describe('aggregating processes', () => {
  it('gives the sums of a plain loop', () => {
    fc.assert(
      fc.property(fleet, selection, fc.constantFrom('pss' as const, 'leakSignal' as const), (rows, wanted, metric) => {
        const { view, truth } = build(rows);
        const matches = truth.filter((one) => allows(wanted, one));
        expectAggregate(view, wanted, matches, metric);
      }),
      { numRuns: 200 },
    );
  });

  it('takes the nearest rank for a quantile', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1 }), fc.double({ min: 0, max: 1, noNaN: true }), (values, p) => {
        const sorted = [...values].sort((a, b) => a - b);
        const rank = Math.max(1, Math.ceil(p * sorted.length));
        expect(quantile(Float64Array.from(values), values.length, p)).toBe(sorted[rank - 1]);
      }),
    );
    expect(quantile(new Float64Array(3), 0, 0.5)).toBeNaN();
  });
});

function expectAggregate(view: LiveView, wanted: ProcessSelection, matches: Truth[], metric: 'pss' | 'leakSignal') {
  const sizes = (some: Truth[]) => some.map((one) => sizeOf(one, metric)).filter((size) => size !== null);
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  const greatest = (numbers: number[]) => (numbers.length === 0 ? null : Math.max(...numbers));
  const group = (name: (one: Truth) => string) => {
    const groups = groupBy(matches, name);
    return [...groups].map(([key, some]) => ({
      ...{ key, total: sum(sizes(some)), processes: some.length, max: greatest(sizes(some)) },
      nodes: new Set(some.map((one) => one.node)).size,
    }));
  };
  const found = view.aggregate({ selection: wanted }, metric);
  const all = sizes(matches);
  expect(found).toMatchObject({
    ...{ total: sum(all), processes: matches.length, measured: all.length, max: greatest(all) },
    mean: all.length === 0 ? null : sum(all) / all.length,
    p95: all.length === 0 ? null : [...all].sort((a, b) => a - b)[Math.ceil(0.95 * all.length) - 1],
    unmeasuredRss: sum(matches.filter((one) => sizeOf(one, metric) === null).map((one) => one.numbers.rss ?? 0)),
  });
  const byNode = found.byNode.map(({ node, total, processes, max }) => ({
    key: node,
    total,
    processes,
    max,
    nodes: 1,
  }));
  expect(new Set(byNode)).toEqual(new Set(group((one) => one.node)));
  const byProgram = found.byProgram.map(({ program, ...rest }) => ({ key: program, ...rest }));
  expect(new Set(byProgram)).toEqual(new Set(group((one) => one.program)));
  for (const shares of [found.byNode, found.byProgram]) {
    expect(shares.map(({ total }) => total)).toEqual(shares.map(({ total }) => total).sort((a, b) => b - a));
  }
}

function groupBy<T>(items: readonly T[], name: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(name(item), [...(groups.get(name(item)) ?? []), item]);
  return groups;
}
