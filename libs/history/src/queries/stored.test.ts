import {
  MEMORY_METRICS,
  processKey,
  type Acknowledgement,
  type Finding,
  type NodeId,
  type NodeRecord,
  type ProcessKey,
} from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestHistory, type TestHistory } from '../testing/open-history.js';
import { simulateNode, type SimulatedProcess, type Simulation } from '../testing/simulated-node.js';
import { findingBlocks } from '../write/finding-blocks.js';
import { nodeBlocks } from '../write/node-blocks.js';
import { sampleBlocks } from '../write/sample-blocks.js';
import type { FindingQuery, StoredFinding } from './findings.js';

const MINUTE = 60_000;
const node = 'node-a' as NodeId;

describe('what history remembers', () => {
  let test: TestHistory;
  let simulation: Simulation;
  const from = Date.now() - 20 * MINUTE;
  const keyOf = ({ pid, start }: SimulatedProcess): ProcessKey => processKey(node, 'boot-of-node-a', pid, start);
  let token = 0;
  const write = async (blocks: Parameters<TestHistory['history']['write']>[0]): Promise<void> => {
    await test.history.write(blocks, { token: `w/${token++}`, again: false });
  };

  beforeAll(async () => {
    test = await openTestHistory();
    simulation = simulateNode({ node, from, rounds: 300, roundMs: 1_000, processes: 8, seed: 21, keyframeEvery: 60 });
    for (let index = 0; index < 300; index += 50) {
      await write(sampleBlocks(simulation.chunks.slice(index, index + 50), () => (1 + index) * 1024));
    }
  });
  afterAll(() => test.close());

  /** The value of each figure at a moment. */
  const memoryAt = (process: SimulatedProcess, moment: number): Record<string, number | null> =>
    Object.fromEntries(
      ['ppid', ...MEMORY_METRICS].map((figure) => [
        figure,
        process.changes
          .filter(({ at, values }) => at <= moment && figure in values)
          .map(({ values }) => values[figure as 'rss'] ?? null)
          .at(-1) ?? null,
      ]),
    );

  describe('of processes', () => {
    it('are the facts, the exit and the last figures, also of those that are gone', async () => {
      const { processes } = simulation;
      const unknown = processKey(node, 'boot-of-node-a', 99_999, 1);
      const stored = await test.history.processes([...processes.map(keyOf), unknown, 'no key' as ProcessKey]);
      expect(stored.size).toBe(processes.length);
      expect(processes.some(({ diedAt }) => diedAt !== null)).toBe(true);
      for (const process of processes) {
        const { ppid, ...memory } = memoryAt(process, Infinity);
        expect(stored.get(keyOf(process))).toMatchObject({
          key: keyOf(process),
          ppid,
          memory,
          program: process.program,
          service: `${process.program}.service`,
          commandLine: `/usr/bin/${process.program} --id ${process.pid}`,
          user: process.pid % 2 === 0 ? 'ada' : null,
          uid: 1000,
          gid: null,
          startedAt: process.bornAt,
          exitedAt: process.diedAt,
        });
      }
    });

    it('are listed as they were at a moment, page by page', async () => {
      const moment = from + 150_500;
      const wanted = simulation.processes
        .filter(({ bornAt, diedAt }) => bornAt <= moment && (diedAt === null || diedAt > moment))
        .sort((a, b) => a.pid - b.pid);
      const found = [];
      let after: { pid: number; start: number } | null = null;
      for (;;) {
        const page = await test.history.processesAt(node, moment, after, 3);
        found.push(...page);
        if (page.length < 3) break;
        const last = simulation.processes.find((process) => keyOf(process) === page.at(-1)?.key)!;
        after = { pid: last.pid, start: last.start };
      }
      expect(found.map(({ key }) => key)).toEqual(wanted.map(keyOf));
      found.forEach((process, index) => {
        const { ppid, ...memory } = memoryAt(wanted[index]!, moment);
        expect(process).toMatchObject({ ppid, memory });
      });
    });

    it('are found among the longest list of the longest names', async () => {
      const long = Array.from({ length: 199 }, (_, pid) =>
        processKey('n'.repeat(253) as NodeId, 'b'.repeat(64), pid, 1),
      );
      const known = keyOf(simulation.processes[0]!);
      expect([...(await test.history.processes([...long, known])).keys()]).toEqual([known]);
      const window = { from, to: from + 5 * MINUTE, stepMs: 10_000 };
      expect([...(await test.history.processSeries([...long, known], 'rss', window)).keys()]).toEqual([known]);
    });

    it('are none of a moment before or long after', async () => {
      await expect(test.history.processesAt(node, from - MINUTE, null, 10)).resolves.toEqual([]);
      await expect(test.history.processesAt(node, from + 19 * MINUTE, null, 10)).resolves.toEqual([]);
      await expect(test.history.processesAt(node, from, null, 0)).rejects.toMatchObject({ code: 'HISTORY_RANGE' });
      const many = Array.from({ length: 201 }, (_, pid) => processKey(node, 'b', pid, 1));
      await expect(test.history.processes(many)).rejects.toThrow('201 processes asked for at once, at most 200');
    });
  });

  describe('of the detector', () => {
    it('are the newest snapshot of each process of one boot', async () => {
      const kept = (pid: number, at: number, boot = 'b1') => ({
        node,
        boot,
        pid,
        start: 5,
        at,
        snapshot: JSON.stringify({ pid, at, text: "'\n" }),
      });
      await test.history.saveSeries([kept(1, from), kept(2, from), kept(3, from, 'b2')]);
      await test.history.saveSeries([kept(2, from + 5)]);
      await test.history.saveSeries([]);
      await expect(test.history.loadSeries(node, 'b1')).resolves.toEqual([kept(1, from), kept(2, from + 5)]);
      await expect(test.history.loadSeries('nobody' as NodeId, 'b1')).resolves.toEqual([]);
    });

    it('are floors of the leak signal by the minute, never above the true floor', async () => {
      const minima = await test.history.loadMinima(node, 'boot-of-node-a');
      expect(minima.map(({ pid }) => pid)).toEqual(
        expect.arrayContaining(simulation.processes.slice(0, 3).map(({ pid }) => pid)),
      );
      for (const { pid, minute, hour } of minima) {
        expect(hour).toEqual([]);
        const process = simulation.processes.find((one) => one.pid === pid)!;
        for (const { at, bytes } of minute) {
          const lowest = (figure: 'rssAnon' | 'swap'): number =>
            Math.min(
              ...simulation.chunks
                .filter((chunk) => chunk.at >= at && chunk.at < at + MINUTE)
                .flatMap(({ procs }) => procs[figure]?.[procs.pid.indexOf(process.pid)] ?? []),
            );
          expect(bytes).toBe(lowest('rssAnon') + lowest('swap'));
        }
        expect(minute.map(({ at }) => at)).toEqual(minute.map(({ at }) => at).toSorted((a, b) => a - b));
      }
    });
  });

  describe('of nodes', () => {
    const heartbeat = (name: string, at: number, over: Partial<NodeRecord> = {}): NodeRecord => ({
      v: 1,
      node: name as NodeId,
      boot: 'b',
      run: 'r',
      at,
      state: 'UP',
      hostname: `${name}.example`,
      kernel: '6.1',
      architecture: 'x64',
      cpus: 4,
      pageSize: 4096,
      bootedAt: from,
      interval: 1_000,
      processes: 8,
      limitations: ['none of smaps'],
      collector: {
        version: '1',
        pid: 1,
        startedAt: from,
        rounds: 1,
        cpuMs: 1,
        rss: 1,
        reads: 1,
        opens: 1,
        bytesRead: 1,
        bytesSent: 1,
        spooledBytes: 0,
        droppedBytes: 0,
        droppedChunks: 0,
        latenessMs: 0,
        skippedRounds: 0,
        clockJumps: 0,
      },
      ...over,
    });

    it('are the newest heartbeat, and the newest memory even of one that fell silent', async () => {
      const gone = Date.now() - 26 * 60 * MINUTE;
      await write(nodeBlocks([heartbeat('node-a', from), heartbeat('silent', gone)], () => 1));
      await write(nodeBlocks([heartbeat('node-a', from + 1, { state: 'LEAVING', processes: 9 })], () => 2));
      const silent = simulateNode({
        node: 'silent',
        from: gone - 10_000,
        rounds: 10,
        roundMs: 1_000,
        processes: 1,
        seed: 1,
        keyframeEvery: 5,
      });
      await write(sampleBlocks(silent.chunks, () => 7 * 1024));
      const nodes = await test.history.lastNodes();
      expect(nodes.map(({ node, state, processes, at }) => ({ node, state, processes, at }))).toEqual([
        { node: 'node-a', state: 'LEAVING', processes: 9, at: from + 1 },
        { node: 'silent', state: 'UP', processes: 8, at: gone },
      ]);
      const memory = await test.history.lastNodeMemory();
      const lastOf = ({ chunks }: Simulation) => chunks.findLast(({ system }) => system.memory)!;
      expect(memory.map(({ node, at, memory }) => [node, at, memory])).toEqual(
        [simulation, silent].map((one) => [lastOf(one).node, lastOf(one).at, lastOf(one).system.memory]),
      );
      const recent = simulateNode({
        node: 'node-a',
        from: Date.now() - 5_000,
        rounds: 3,
        roundMs: 1_000,
        processes: 1,
        seed: 2,
        keyframeEvery: 1,
      });
      await write(sampleBlocks(recent.chunks, () => 8 * 1024));
      expect((await test.history.lastNodeMemory()).map((one) => [one.node, one.memory])).toEqual([
        ['node-a', lastOf(recent).system.memory],
        ['silent', lastOf(silent).system.memory],
      ]);
    });
  });

  describe('of findings', () => {
    const finding = (id: string, at: number, over: Partial<Finding> = {}): Finding => ({
      v: 1,
      type: 'finding',
      id,
      kind: 'PROCESS_LEAK',
      subject: `subject of ${id}`,
      node,
      process: null,
      service: 'web.service',
      state: 'SUSPECTED',
      previous: 'GROWING',
      imminent: false,
      confidence: 0.9,
      openedAt: at,
      at,
      bytes: 5,
      limit: null,
      growth: { bytesPerHour: 1, low: 0.5, high: 2, window: 60 },
      secondsToExhaustion: 7,
      message: 'grows',
      evidence: { slope: 1, p: null },
      ...over,
    });
    const process = { key: 'k' as ProcessKey, pid: 7, program: 'leaky', commandLine: null, user: 'ada' };
    const base = from;
    const all: Finding[] = [
      ...Array.from({ length: 25 }, (_, index) =>
        finding(`f${String(index).padStart(2, '0')}`, base + Math.floor(index / 3)),
      ),
      finding('other-node', base + 1, { node: 'node-b' as NodeId, kind: 'SERVICE_LEAK', imminent: true }),
      finding('of-process', base + 2, { process, state: 'CONFIRMED', service: 'leaky.service' }),
    ];
    const acknowledgement: Acknowledgement = {
      v: 1,
      type: 'acknowledgement',
      id: 'of-process',
      subject: 'subject of of-process',
      at: base + 9,
      note: null,
    };

    beforeAll(async () => {
      // An older word on two of them first; only the newest counts.
      await write(
        findingBlocks(
          [finding('f00', base - 500, { state: 'GROWING' }), finding('of-process', base - 400, { state: 'CLEARED' })],
          () => 1,
        ),
      );
      await write(findingBlocks([...all, { ...acknowledgement, at: base + 5, note: 'seen' }], () => 2));
      await write(findingBlocks([acknowledgement], () => 3));
    });

    const newestFirst = (a: Finding, b: Finding): number => b.at - a.at || (a.id < b.id ? 1 : -1);
    const ids = (found: readonly StoredFinding[]): string[] => found.map(({ finding }) => finding.id);

    it('come newest first, one per id, page by page', async () => {
      const found: StoredFinding[] = [];
      let before: { at: number; id: string } | null = null;
      for (;;) {
        const page: StoredFinding[] = await test.history.findings({}, before, 4);
        found.push(...page);
        if (page.length < 4) break;
        const { at, id } = page.at(-1)!.finding;
        before = { at, id };
      }
      expect(found.map((one) => one.finding)).toEqual([...all].sort(newestFirst));
      expect(await test.history.countFindings({})).toBe(all.length);
    });

    it.each<[string, FindingQuery, (finding: Finding) => boolean]>([
      ['node', { nodes: ['node-b' as NodeId] }, ({ node }) => node === 'node-b'],
      ['kind', { kinds: ['SERVICE_LEAK'] }, ({ kind }) => kind === 'SERVICE_LEAK'],
      ['state', { states: ['CONFIRMED', 'CLEARED'] }, ({ state }) => state === 'CONFIRMED'],
      ['the state that is no longer', { states: ['GROWING', 'CLEARED'] }, () => false],
      ['program', { program: 'leaky' }, ({ id }) => id === 'of-process'],
      ['pid', { pid: 7 }, ({ id }) => id === 'of-process'],
      ['service', { service: 'web.service' }, ({ service }) => service === 'web.service'],
      ['subject', { subject: 'subject of f03' }, ({ id }) => id === 'f03'],
      ['imminence', { imminent: true }, ({ imminent }) => imminent],
      ['no imminence', { imminent: false }, ({ imminent }) => !imminent],
      ['acknowledgement', { acknowledged: true }, ({ id }) => id === 'of-process'],
      ['no acknowledgement', { acknowledged: false }, ({ id }) => id !== 'of-process'],
      ['time', { from: base + 2, to: base + 4 }, ({ at }) => at >= base + 2 && at < base + 4],
      ['text that looks like SQL', { subject: "' OR 1 = 1 --" }, () => false],
    ])('are found by %s', async (_, query, matches) => {
      const wanted = all.filter(matches).sort(newestFirst);
      expect(ids(await test.history.findings(query, null, 100))).toEqual(wanted.map(({ id }) => id));
      expect(await test.history.countFindings(query)).toBe(wanted.length);
    });

    it('are told whole, with the newest acknowledgement', async () => {
      await expect(test.history.finding('of-process')).resolves.toEqual({ finding: all.at(-1), acknowledgement });
      await expect(test.history.finding('f00')).resolves.toEqual({ finding: all[0], acknowledgement: null });
      await expect(test.history.finding('nothing')).resolves.toBeNull();
      await expect(test.history.findings({}, null, 5_000)).rejects.toMatchObject({ code: 'HISTORY_RANGE' });
    });
  });
});
