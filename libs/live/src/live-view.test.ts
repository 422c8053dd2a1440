import { PROCESS_NUMBERS, toNodeId, type Finding, type SampleChunk } from '@tidemark/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLiveView, type LiveView } from './live-view.js';
import { createSimulatedHost, type SimulatedHost } from './simulated-host.js';

const MIB = 1_048_576;
const T0 = 1_750_000_000_000;

/** Everything that the view says of the host's processes, beside what the host itself knows. */
function expectTruth(view: LiveView, host: SimulatedHost): void {
  const rows = view
    .select(
      { selection: {}, node: host.node },
      { order: { field: 'pid', direction: 'asc' }, after: null, limit: 10_000 },
    )
    .rows.map(({ process }) => process);
  const seen = rows.map(({ pid, start, program, user, service, startedAt, state, numbers }) => ({
    ...{ pid, start, program, user, service, startedAt, state, numbers },
  }));
  const truth = [...host.processes.values()]
    .sort((a, b) => a.pid - b.pid)
    .map(({ pid, start, program, user, service, startedAt, state, numbers }) => ({
      ...{ pid, start, program, user, service, startedAt, state, numbers: { ...numbers } },
    }));
  expect(seen).toEqual(truth);
}

const figure = fc.constantFrom(...PROCESS_NUMBERS);
const action = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('spawn' as const), pid: fc.integer({ min: 1, max: 12 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('set' as const),
      pid: fc.integer({ min: 1, max: 12 }),
      name: figure,
      value: fc.nat(2 ** 40),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('exit' as const), pid: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), boot: fc.boolean() }) },
);
const round = fc.record({
  actions: fc.array(action, { maxLength: 6 }),
  keyframe: fc.boolean(),
  rowsPerPart: fc.integer({ min: 1, max: 5 }),
  /** Which chunks of the round are lost on the way, and which arrive twice. */
  lost: fc.array(fc.boolean(), { maxLength: 4 }),
  doubled: fc.array(fc.boolean(), { maxLength: 4 }),
});

function act(host: SimulatedHost, actions: readonly (typeof action extends fc.Arbitrary<infer A> ? A : never)[]) {
  for (const one of actions) {
    if (one.do === 'spawn') host.spawn(one.pid, { program: `program-${one.pid % 3}`, service: `service-${one.pid}` });
    if (one.do === 'set') host.set(one.pid, { [one.name]: one.value });
    if (one.do === 'exit') host.exit(one.pid);
    if (one.do === 'restart') host.restart(one.boot);
  }
}

describe('a live view fed with what changed', () => {
  it('equals the host after every round when nothing is lost', () => {
    fc.assert(
      fc.property(fc.array(round, { maxLength: 12 }), (rounds) => {
        const host = createSimulatedHost('a');
        const view = createLiveView();
        rounds.forEach(({ actions, keyframe, rowsPerPart, doubled }, index) => {
          act(host, actions);
          const first = host.round(T0 + index * 1000, keyframe ? { keyframe, rowsPerPart } : { rowsPerPart });
          first.forEach((chunk, part) => {
            expect(view.applyChunk(chunk, T0).outcome).toBe('applied');
            if (doubled[part]) expect(view.applyChunk(chunk, T0).outcome).toBe('duplicate');
          });
          expect(view.node('a')?.stale).toBe(false);
          expect(view.node('a')?.missedChunks).toBe(0);
          expectTruth(view, host);
        });
      }),
      { numRuns: 150 },
    );
  });

  it('is stale from a lost chunk until a keyframe came whole, and equals the host then', () => {
    fc.assert(
      fc.property(fc.array(round, { minLength: 1, maxLength: 14 }), (rounds) => {
        const host = createSimulatedHost('a');
        const view = createLiveView();
        // The plain rule, from the list of what arrived: whole once parts 0 … n−1 of a keyframe stand side by side and
        // no number is missing since.
        const arrived: SampleChunk[] = [];
        rounds.forEach(({ actions, keyframe, rowsPerPart, lost }, index) => {
          act(host, actions);
          const chunks = host.round(T0 + index * 1000, keyframe ? { keyframe, rowsPerPart } : { rowsPerPart });
          chunks.forEach((chunk, part) => {
            if (lost[part]) return;
            arrived.push(chunk);
            view.applyChunk(chunk, T0);
            expect(view.node('a')?.stale).toBe(!isWhole(arrived));
          });
          if (arrived.length > 0 && isWhole(arrived) && arrived.at(-1) === chunks.at(-1)) expectTruth(view, host);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('keeps the last values while it is stale', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    host.spawn(1);
    host.set(1, { rss: 5 * MIB, swap: MIB });
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    host.set(1, { swap: 2 * MIB });
    host.round(T0 + 1000);
    host.set(1, { rss: 6 * MIB });
    const change = host.round(T0 + 2000).map((chunk) => view.applyChunk(chunk, T0))[0];
    expect(change).toMatchObject({ outcome: 'applied', missed: 1 });
    const process = view.process('a', 1);
    expect(process?.numbers).toMatchObject({ rss: 6 * MIB, swap: MIB });
    expect(process?.stale).toBe(true);
    expect(view.node('a')).toMatchObject({ stale: true, missedChunks: 1, lastGapAt: T0 + 2000 });
  });
});

describe('keyframes', () => {
  const twelve = () => {
    const host = createSimulatedHost('a');
    for (let pid = 1; pid <= 12; pid++) {
      host.spawn(pid);
      host.set(pid, { rss: pid * MIB, pss: MIB });
    }
    return host;
  };

  it('say with null that a figure is no longer known', () => {
    const host = twelve();
    const view = createLiveView();
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    host.set(3, { pss: null });
    host.round(T0 + 1000).forEach((chunk) => view.applyChunk(chunk, T0));
    expect(view.process('a', 3)?.numbers.pss).toBe(MIB);
    host.round(T0 + 2000, { keyframe: true }).forEach((chunk) => view.applyChunk(chunk, T0));
    expect(view.process('a', 3)?.numbers.pss).toBeNull();
    expect(view.process('a', 3)?.updatedAt).toBe(T0 + 2000);
    expect(view.process('a', 4)?.updatedAt).toBe(T0);
  });

  it('of which parts are missing are not completed by the parts of another', () => {
    const host = twelve();
    const view = createLiveView();
    const first = host.round(T0, { keyframe: true, rowsPerPart: 4 });
    const second = host.round(T0 + 1000, { keyframe: true, rowsPerPart: 4 });
    const third = host.round(T0 + 2000, { keyframe: true, rowsPerPart: 4 });
    for (const chunk of [first[0]!, second[1]!, second[2]!]) view.applyChunk(chunk, T0);
    expect(view.node('a')?.stale).toBe(true);
    third.forEach((chunk, part) => {
      view.applyChunk(chunk, T0);
      expect(view.node('a')?.stale).toBe(part < 2);
    });
    expectTruth(view, host);
  });

  it('end the processes that they do not name', () => {
    const host = twelve();
    const view = createLiveView();
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    const key = view.process('a', 5)!.key;
    host.exit(5);
    host.round(T0 + 1000);
    host.round(T0 + 2000, { keyframe: true }).forEach((chunk) => view.applyChunk(chunk, T0));
    expect(view.process('a', 5)).toBeUndefined();
    expect(view.processByKey(key)?.exitedAt).toBe(T0 + 2000);
  });
});

describe('CPU', () => {
  it('is the share of the time between two rounds, and none for a process that a round does not name', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    host.spawn(1);
    host.spawn(2);
    const round = (second: number, utime: number) => {
      host.set(1, { utime, stime: 50 });
      host.set(2, { utime: second, stime: 0 });
      host.round(T0 + second * 1000).forEach((chunk) => view.applyChunk(chunk, T0));
      return view.process('a', 1)?.cpuPercent;
    };
    expect(round(0, 100)).toBeNull();
    expect(round(2, 600)).toBe(25);
    expect(round(3, 600)).toBe(0);
    expect(round(4, 1600)).toBe(100);
  });

  it('of a whole node counts waiting for disks as idle', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    const cpus = (user: number, idle: number, iowait: number) => {
      host.setSystem({ cpus: [{ name: 'cpu', user, nice: 0, system: 0, idle, iowait }] });
      host.round(T0 + user).forEach((chunk) => view.applyChunk(chunk, T0));
      return view.node('a')?.busyPercent.get('cpu');
    };
    expect(cpus(100, 100, 0)).toBeUndefined();
    expect(cpus(130, 160, 10)).toBeCloseTo(30);
  });
});

/** Newest run only; the position where all parts of a keyframe were there in a row with nothing missing after. */
function isWhole(arrived: readonly SampleChunk[]): boolean {
  const run = arrived.at(-1)?.run;
  const chunks = arrived.filter((chunk) => chunk.run === run);
  let unbroken = chunks.length - 1;
  while (unbroken > 0 && chunks[unbroken]!.seq === chunks[unbroken - 1]!.seq + 1) unbroken--;
  const tail = chunks.slice(unbroken);
  return tail.some((chunk, index) => {
    if (!chunk.keyframe || chunk.part !== chunk.parts - 1) return false;
    return index - chunk.part >= 0 && tail[index - chunk.part]!.part === 0 && tail[index - chunk.part]!.keyframe;
  });
}

describe('processes that end', () => {
  it('answer by key for a while with the time of their end, then no more', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView({ exitedForMs: 5000 });
    host.spawn(7, { program: 'gone' });
    host.set(7, { rss: MIB });
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    const key = view.process('a', 7)!.key;
    host.exit(7);
    host.round(T0 + 1000).forEach((chunk) => view.applyChunk(chunk, T0 + 1000));
    expect(view.process('a', 7)).toBeUndefined();
    expect(view.processByKey(key)).toMatchObject({ exitedAt: T0 + 1000, program: 'gone', numbers: { rss: MIB } });
    view.tick(T0 + 5999);
    expect(view.processByKey(key)).toBeDefined();
    view.tick(T0 + 6000);
    expect(view.processByKey(key)).toBeUndefined();
    expect(view.metrics()).toMatchObject({ processes: 0 });
  });

  it('are told from the next one with the same pid', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    host.spawn(7, { program: 'first' });
    host.set(7, { rss: MIB });
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    const first = view.process('a', 7)!.key;
    host.spawn(7, { program: 'second' });
    host.round(T0 + 1000).forEach((chunk) => view.applyChunk(chunk, T0 + 1000));
    const second = view.process('a', 7)!;
    expect(second).toMatchObject({ program: 'second', numbers: { rss: null }, exitedAt: null });
    expect(second.key).not.toBe(first);
    expect(view.processByKey(first)).toMatchObject({ program: 'first', exitedAt: T0 + 1000 });
  });

  it('are kept in bounded number', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView({ maxExitedPerNode: 10 });
    for (let pid = 1; pid <= 100; pid++) {
      host.spawn(pid);
      host.round(T0 + pid * 10).forEach((chunk) => view.applyChunk(chunk, T0));
      host.exit(pid);
    }
    host.round(T0 + 2000).forEach((chunk) => view.applyChunk(chunk, T0));
    expect(view.metrics().processes).toBe(10);
  });
});

describe('nodes', () => {
  it('turn INACTIVE when nothing was heard of them for the node timeout, keep their values, and come back', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView({ nodeTimeoutMs: 8000 });
    host.spawn(1);
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    view.applyNode(host.heartbeat(T0 + 2000), T0 + 2000);
    expect(view.tick(T0 + 10_000)).toEqual([]);
    expect(view.tick(T0 + 10_001)).toEqual(['a']);
    expect(view.tick(T0 + 11_000)).toEqual([]);
    expect(view.node('a')).toMatchObject({ state: 'INACTIVE', processCount: 1 });
    expect(view.process('a', 1)?.stale).toBe(true);
    expect(view.aggregate({ selection: {} }, 'rss').processes).toBe(0);
    view.applyNode(host.heartbeat(T0 + 12_000), T0 + 12_000);
    expect(view.node('a')?.state).toBe('ACTIVE');
  });

  it('silent for long lose their processes first, and are forgotten at last, with all that they held', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView({ silentForMs: 60_000, forgetNodeMs: 600_000 });
    host.spawn(1, { commandLine: 'sleep 1000' });
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    view.tick(T0 + 60_000);
    expect(view.node('a')).toMatchObject({ state: 'INACTIVE', processCount: 1 });
    view.tick(T0 + 60_001);
    expect(view.node('a')).toMatchObject({ state: 'INACTIVE', processCount: 0 });
    expect(view.metrics()).toMatchObject({ processes: 0, commandLineChars: 0 });
    view.tick(T0 + 600_001);
    expect(view.nodes()).toEqual([]);
    view.applyNode(host.heartbeat(T0), T0 + 600_002);
    view.applyNode(host.heartbeat(T0, 'LEAVING'), T0 + 600_002);
    view.tick(T0 + 1_300_000);
    expect(view.nodes()).toEqual([]);
  });

  it('that left are not brought back by late chunks of the same run, but by the next run', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    view.applyNode(host.heartbeat(T0, 'LEAVING'), T0);
    host.round(T0 + 1000).forEach((chunk) => view.applyChunk(chunk, T0 + 1000));
    expect(view.node('a')?.state).toBe('LEFT');
    host.restart(false);
    host.round(T0 + 2000).forEach((chunk) => view.applyChunk(chunk, T0 + 2000));
    expect(view.node('a')?.state).toBe('ACTIVE');
  });

  it('forget what still arrives of an earlier collector run', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    host.spawn(1);
    const old = [...host.round(T0), ...host.round(T0 + 1000)];
    view.applyChunk(old[0]!, T0);
    host.restart(true);
    host.spawn(2);
    host.round(T0 + 2000).forEach((chunk) => view.applyChunk(chunk, T0));
    expect(view.applyChunk(old[1]!, T0).outcome).toBe('superseded');
    expectTruth(view, host);
  });

  it('beyond the bound replace the one that is silent for longest, or are refused', () => {
    const view = createLiveView({ maxNodes: 2, nodeTimeoutMs: 8000 });
    const [a, b, c] = ['a', 'b', 'c'].map((name) => createSimulatedHost(name));
    view.applyNode(a!.heartbeat(T0), T0);
    view.applyNode(b!.heartbeat(T0), T0 + 9000);
    expect(view.applyChunk(c!.round(T0)[0]!, T0 + 9000).outcome).toBe('refused');
    view.tick(T0 + 9000);
    expect(view.applyChunk(c!.round(T0, { keyframe: true })[0]!, T0 + 9000).outcome).toBe('applied');
    expect(view.nodes().map((node) => node.id)).toEqual(['b', 'c']);
  });

  it('whose last figures are known from before stand with them until they speak themselves', () => {
    const view = createLiveView();
    const memory = { total: 8 * MIB, available: 4 * MIB, used: 4 * MIB, free: MIB };
    view.seedMemory(toNodeId('a'), memory);
    expect(view.node('a')).toBeUndefined();
    const host = createSimulatedHost('a');
    view.applyNode(host.heartbeat(T0), T0);
    expect(view.node('a')?.system.memory).toEqual(memory);
    host.setSystem({ memory: { ...memory, free: 2 * MIB } });
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    expect(view.node('a')?.system.memory?.free).toBe(2 * MIB);
  });
});

describe('bounds', () => {
  it('refuse processes beyond the view and count them, and take them when there is room again', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView({ maxProcesses: 5, exitedForMs: 0 });
    for (let pid = 1; pid <= 8; pid++) host.spawn(pid);
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    // Facts and figures are each a row that found no room.
    expect(view.metrics()).toMatchObject({ processes: 5, refusedRows: 6 });
    for (let pid = 1; pid <= 5; pid++) host.exit(pid);
    host.round(T0 + 1000).forEach((chunk) => view.applyChunk(chunk, T0));
    view.tick(T0 + 1000);
    host.round(T0 + 2000, { keyframe: true }).forEach((chunk) => view.applyChunk(chunk, T0));
    expectTruth(view, host);
  });

  it('cut long command lines, hold no more of them than allowed, and give the room back', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView({ maxCommandLineChars: 10_000, exitedForMs: 0 });
    for (let pid = 1; pid <= 4; pid++) host.spawn(pid, { commandLine: 'x'.repeat(60_000) });
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    expect([1, 2, 3, 4].map((pid) => view.process('a', pid)?.commandLine?.length)).toEqual([
      4096,
      4096,
      undefined,
      undefined,
    ]);
    for (let pid = 1; pid <= 4; pid++) host.exit(pid);
    host.round(T0 + 1000).forEach((chunk) => view.applyChunk(chunk, T0));
    view.tick(T0 + 1000);
    expect(view.metrics()).toMatchObject({ commandLineChars: 0, processes: 0 });
  });

  it('hold for findings: the one not heard of for longest goes', () => {
    const view = createLiveView({ maxFindings: 2 });
    for (const id of ['1', '2', '1', '3']) view.applyFinding(findingOf(id, T0));
    expect([...view.findings.all()].map(({ finding }) => finding.id)).toEqual(['1', '3']);
    expect(view.findings.overflowed).toBe(true);
  });
});

describe('leak status and growth', () => {
  it('come from the newest finding of the process when no detector is at hand', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    host.spawn(7);
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    const key = view.process('a', 7)!.key;
    const growth = { bytesPerHour: 10, low: 5, high: 15, window: 60 };
    const finding = findingOf('1', T0);
    view.applyFinding({
      ...finding,
      ...{ subject: key, state: 'SUSPECTED', growth, secondsToExhaustion: 99 },
      process: { key, pid: 7, program: 'idle', commandLine: null, user: null },
    });
    expect(view.process('a', 7)).toMatchObject({
      leak: { state: 'SUSPECTED', since: T0, confidence: 0.5, imminent: false },
      growth: { ...growth, secondsToExhaustion: 99, source: 'detector' },
    });
    view.applyFinding({ v: 1, type: 'acknowledgement', id: '1', subject: key, at: T0 + 1, note: 'seen' });
    expect(view.findings.get('1')?.acknowledgement?.note).toBe('seen');
  });

  it('of a process do not come from findings on its sites, nor from older ones that are told again', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    host.spawn(7);
    host.round(T0).forEach((chunk) => view.applyChunk(chunk, T0));
    const key = view.process('a', 7)!.key;
    const process = { key, pid: 7, program: 'idle', commandLine: null, user: null };
    const growth = { bytesPerHour: 10, low: 5, high: 15, window: 60 };
    const older = { ...findingOf('1', T0), state: 'CLEARED', previous: 'GROWING', growth, process } as const;
    view.applyFinding({ ...findingOf('2', T0 + 5), state: 'CONFIRMED', growth, process });
    view.applyFinding({ ...findingOf('3', T0 + 9), kind: 'SITE_LEAK', state: 'CLEARED', process });
    view.applyFinding(older);
    expect(view.process('a', 7)).toMatchObject({ leak: { state: 'CONFIRMED' }, growth: { bytesPerHour: 10 } });
    view.applyFinding({ ...older, id: '2', at: T0 + 10 });
    expect(view.process('a', 7)).toMatchObject({ leak: { state: 'CLEARED' }, growth: null });
  });

  it('come from the detector first, and from a line through the last minutes when it has no slope', () => {
    const host = createSimulatedHost('a');
    const learning = { state: 'LEARNING', since: null, confidence: null, imminent: false, growth: null } as const;
    const view = createLiveView({ leakOf: () => ({ ...learning, secondsToExhaustion: null }) });
    host.spawn(7);
    // 1 MiB a second is 3,600 MiB an hour.
    for (let second = 0; second <= 120; second++) {
      host.set(7, { rssAnon: second * MIB });
      host.round(T0 + second * 1000).forEach((chunk) => view.applyChunk(chunk, T0));
    }
    const process = view.process('a', 7)!;
    expect(process.leak?.state).toBe('LEARNING');
    expect(process.growth?.source).toBe('recent');
    expect(process.growth!.bytesPerHour / MIB).toBeCloseTo(3600, 0);
    expect(process.growth!.low).toBeLessThanOrEqual(process.growth!.bytesPerHour);
    expect(process.growth!.window).toBe(120);
  });

  it('have no line yet with too few points, and none across a clock that went back', () => {
    const host = createSimulatedHost('a');
    const view = createLiveView();
    host.spawn(7);
    for (const second of [0, 30, 60, 90, -500]) {
      host.set(7, { rssAnon: (1000 + second) * MIB });
      host.round(T0 + second * 1000).forEach((chunk) => view.applyChunk(chunk, T0));
      expect(view.process('a', 7)?.growth === null).toBe(second !== 90);
    }
  });
});

function findingOf(id: string, at: number): Finding {
  return {
    ...{ v: 1, type: 'finding', id, kind: 'PROCESS_LEAK', subject: 's', node: toNodeId('a'), process: null },
    ...{ service: 's', state: 'GROWING', previous: 'STABLE', imminent: false, confidence: 0.5, openedAt: at, at },
    ...{ bytes: 1, limit: null, growth: null, secondsToExhaustion: null, message: 'grows', evidence: {} },
  };
}
