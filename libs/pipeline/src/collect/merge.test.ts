import {
  decodeSampleChunk,
  PROCESS_NUMBERS,
  toNodeId,
  type EncodedRecord,
  type FactColumns,
  type SampleChunk,
  type SystemSample,
} from '@tidemark/contracts';
import { createRows } from '@tidemark/procfs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMerger, type Merger } from './merge.js';
import { mergeFigures, mergeState, type ProcessFacts, type ProcessState } from './process-state.js';

const options = { node: toNodeId('web-7'), boot: 'boot-1', run: 'run-1' };
const letter = (state: number): string => String.fromCharCode(state);

function facts(pid: number, extra: Partial<ProcessFacts> = {}): ProcessFacts {
  const program = `program-${pid}`;
  return {
    startedAt: 1000 + pid,
    program,
    commandLine: `/bin/${program} --serve`,
    uid: 0,
    gid: 0,
    user: 'root',
    cgroup: '/',
    service: program,
    ...extra,
  };
}

function process(pid: number, start = pid * 10, extra: Partial<ProcessFacts> = {}): ProcessState {
  return {
    pid,
    start,
    state: 83,
    row: createRows(),
    changed: 0,
    facts: facts(pid, extra),
    factsChanged: true,
    told: false,
    pending: false,
  };
}

function set(target: ProcessState, figures: Partial<Record<(typeof PROCESS_NUMBERS)[number], number>>): void {
  const row = createRows();
  for (const [name, value] of Object.entries(figures)) row[PROCESS_NUMBERS.indexOf(name as 'rss')] = value;
  mergeFigures(target, row);
}

function chunks(records: readonly EncodedRecord[]): SampleChunk[] {
  return records.map(({ value, headers }) => decodeSampleChunk(value, headers));
}

function round(merger: Merger, processes: ProcessState[], extra: Partial<Parameters<Merger['merge']>[0]> = {}) {
  return chunks(merger.merge({ at: 1, keyframe: false, processes, exits: [], system: {}, ...extra }));
}

describe('a round', () => {
  it('tells each change once, in the columns that changed alone', () => {
    const merger = createMerger(options);
    const [a, b] = [process(1), process(2)];
    set(a, { rss: 100, utime: 1 });
    set(b, { rss: 200 });
    round(merger, [a, b], { keyframe: true });
    set(a, { rss: 150 });
    set(b, { utime: 30 });
    const [chunk] = round(merger, [a, b]);
    expect(chunk).toMatchObject({ seq: 1, keyframe: false, part: 0, parts: 1 });
    expect(chunk?.procs).toEqual({ pid: [1, 2], start: [10, 20], utime: [null, 30], rss: [150, null] });
    expect(chunk?.facts.pid).toEqual([]);
    expect(round(merger, [])).toEqual([]);
  });

  it('tells nothing, and takes no number, when nothing is new', () => {
    const merger = createMerger(options);
    expect(round(merger, [])).toEqual([]);
    expect(round(merger, [], { system: { uptime: { up: 1, idle: 1 } } })).toHaveLength(1);
    expect(merger.seq).toBe(1);
  });

  it('tells what is known in a keyframe, and unknown as null, never 0', () => {
    const merger = createMerger(options);
    const [a, b] = [process(1), process(2)];
    set(a, { rss: 100, pss: 50 });
    set(b, { rss: 200 });
    round(merger, [a, b]);
    const [chunk] = round(merger, [a, b], { keyframe: true });
    expect(chunk?.procs).toEqual({ pid: [1, 2], start: [10, 20], state: ['S', 'S'], rss: [100, 200], pss: [50, null] });
    expect(chunk?.facts.program).toEqual(['program-1', 'program-2']);
  });

  it('tells facts with the first row, again when they changed, and in keyframes', () => {
    const merger = createMerger(options);
    const a = process(1);
    set(a, { rss: 1 });
    expect(round(merger, [a])[0]?.facts.pid).toEqual([1]);
    set(a, { rss: 2 });
    expect(round(merger, [a])[0]?.facts.pid).toEqual([]);
    a.facts = facts(1, { user: 'www' });
    a.factsChanged = true;
    const [chunk] = round(merger, [a]);
    expect(chunk?.facts.user).toEqual(['www']);
    expect(chunk?.procs.pid).toEqual([]);
    expect(a.told).toBe(true);
  });

  it('of a large host is cut into parts, each within the bounds and all complete together', () => {
    const merger = createMerger({ ...options, maxRows: 10 });
    const processes = Array.from({ length: 25 }, (_, index) => process(index + 1));
    for (const one of processes) set(one, { rss: one.pid });
    const exits = [{ pid: 99, start: 1 }];
    const system: SystemSample = { uptime: { up: 1, idle: 2 } };
    const parts = round(merger, processes, { keyframe: true, exits, system });
    expect(parts.map(({ seq, part, parts: of, procs }) => [seq, part, of, procs.pid.length])).toEqual([
      [0, 0, 3, 10],
      [1, 1, 3, 10],
      [2, 2, 3, 5],
    ]);
    expect(parts.flatMap(({ facts: { pid } }) => pid)).toEqual(processes.map(({ pid }) => pid));
    expect(parts.map(({ exits: { pid } }) => pid)).toEqual([[99], [], []]);
    expect(parts.map((part) => Object.keys(part.system))).toEqual([['uptime'], [], []]);
    expect(merger.seq).toBe(3);
  });

  it('is cut smaller until text that does not compress fits a record', () => {
    const maxBytes = 20_000;
    const merger = createMerger({ ...options, maxBytes });
    // Deterministic noise: every character another one, so that nothing repeats.
    let state = 1;
    const noise = () => letter(33 + ((state = (state * 48_271) % 0x7fff_ffff) % 90));
    const processes = Array.from({ length: 64 }, (_, index) =>
      process(index + 1, 1, { commandLine: Array.from({ length: 2000 }, noise).join('') }),
    );
    const records = merger.merge({ at: 1, keyframe: true, processes, exits: [], system: {} });
    expect(records.length).toBeGreaterThan(2);
    for (const { value } of records) expect(value.byteLength).toBeLessThanOrEqual(maxBytes);
    expect(chunks(records).flatMap(({ procs }) => procs.pid)).toEqual(processes.map(({ pid }) => pid));
  });

  it('with more exits than a chunk takes spreads them over parts', () => {
    const exits = Array.from({ length: 45_000 }, (_, index) => ({ pid: index + 1, start: 7 }));
    const parts = round(createMerger(options), [], { exits });
    expect(parts.map(({ exits: { pid } }) => pid.length)).toEqual([20_000, 20_000, 5_000]);
  });
});

/** What a consumer that follows the contract knows after the chunks: independent of how they were made. */
function replay(all: readonly SampleChunk[]) {
  const known = new Map<string, Record<string, unknown>>();
  for (const { procs, facts: told, exits, keyframe, part } of all) {
    if (keyframe && part === 0) known.clear();
    procs.pid.forEach((pid, row) => {
      const key = `${pid}/${procs.start[row]}`;
      const before = known.get(key) ?? {};
      known.set(key, before);
      for (const name of ['state', ...PROCESS_NUMBERS] as const) {
        const cell = procs[name]?.[row] ?? null;
        if (cell !== null) before[name] = cell;
      }
    });
    told.pid.forEach((pid, row) => {
      const key = `${pid}/${told.start[row]}`;
      const columns = Object.entries(told).map(([name, cells]) => [name, cells[row]] as const);
      known.set(key, { ...known.get(key), ...Object.fromEntries(columns) });
    });
    exits.pid.forEach((pid, row) => known.delete(`${pid}/${exits.start[row]}`));
  }
  return known;
}

function truth(living: Iterable<ProcessState>) {
  const known = new Map<string, Record<string, unknown>>();
  for (const { pid, start, state, row, facts: told } of living) {
    const figures = PROCESS_NUMBERS.map((name, index) => [name, row[index]!] as const);
    const sent = Object.fromEntries(figures.filter(([, figure]) => !Number.isNaN(figure)));
    const columns: Record<keyof FactColumns, unknown> = { pid, start, ...told };
    known.set(`${pid}/${start}`, { ...sent, ...columns, state: letter(state) });
  }
  return known;
}

describe('replaying the chunks', () => {
  const change = fc.record({
    pid: fc.integer({ min: 1, max: 8 }),
    what: fc.constantFrom('figure', 'state', 'facts', 'exit', 'reuse'),
    column: fc.nat(PROCESS_NUMBERS.length - 1),
    value: fc.maxSafeNat(),
  });
  const turn = fc.record({ changes: fc.array(change, { maxLength: 12 }), keyframe: fc.boolean() });

  it('gives every value back bit for bit, after each round', () => {
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), (turns, maxRows) => {
        const merger = createMerger({ ...options, maxRows });
        const living = new Map<number, ProcessState>();
        const sent: SampleChunk[] = [];
        let births = 0;
        for (const { changes, keyframe } of turns) {
          const exits: ProcessState[] = [];
          for (const { pid, what, column, value } of changes) {
            const one = living.get(pid);
            if (one && (what === 'exit' || what === 'reuse')) {
              if (one.told) exits.push(one);
              living.delete(pid);
            }
            if (what === 'exit') continue;
            const target = living.get(pid) ?? process(pid, ++births);
            if (!living.has(pid)) mergeState(target, 82);
            living.set(pid, target);
            if (what === 'state') mergeState(target, 65 + (value % 26));
            else if (what === 'facts') {
              target.facts = facts(pid, { user: `user-${value % 5}` });
              target.factsChanged = true;
            } else set(target, { [PROCESS_NUMBERS[column]!]: value });
          }
          const processes = [...living.values()].filter((one) => keyframe || one.changed !== 0 || one.factsChanged);
          sent.push(...chunks(merger.merge({ at: 1, keyframe, processes, exits, system: {} })));
          expect(replay(sent)).toEqual(truth(living.values()));
        }
        expect(sent.map(({ seq }) => seq)).toEqual(sent.map((_, index) => index));
        // Whoever joins late, or lost something, is right again after the next keyframe.
        const last = sent.findLastIndex(({ keyframe, part }) => keyframe && part === 0);
        if (last >= 0) expect(replay(sent.slice(last))).toEqual(truth(living.values()));
      }),
      { numRuns: 300 },
    );
  });
});
