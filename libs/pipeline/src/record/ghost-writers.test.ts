import { encodeSampleChunk, Topic, type SampleChunk } from '@tidemark/contracts';
import { EventLogError, type CommittedPosition, type LogRecord, type PartitionContext } from '@tidemark/event-log';
import { HistoryError } from '@tidemark/history';
import { openTestHistory, simulateNode, type TestHistory } from '@tidemark/history/testing';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Checkpoint } from './batch-writer.js';
import { createGatherer } from './gatherer.js';
import { createLimiter } from './limiter.js';
import { PartitionWriter, type PartitionWriterDeps } from './partition-writer.js';
import { createRecordMetrics } from './record-metrics.js';
import { RECORD_TOPICS } from './record-topic.js';

const topic = RECORD_TOPICS.find((one) => one.topic === Topic.Samples)!;
const MOMENTS: readonly Checkpoint[] = ['intent', 'table', 'tables'];
const TABLES = ['process_samples', 'node_samples', 'device_samples'];
const ROLLUPS = ['process_samples_1m', 'process_samples_1h', 'node_samples_1m', 'node_samples_1h', 'processes'];
const settled = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 60_000, interval: 5 });

/** One partition of a log whose newest owner alone may commit. */
function createPartition(chunks: readonly SampleChunk[], partition = 3) {
  const records = chunks.map((chunk, offset): LogRecord => {
    const { value, headers } = encodeSampleChunk(chunk);
    return { topic: Topic.Samples, partition, offset, key: chunk.node, value, headers, timestamp: chunk.at };
  });
  let owner = 0;
  let position: CommittedPosition | undefined;
  return {
    get position() {
      return position;
    },
    /** The partition's records from where the last owner left it, and the right to commit. */
    assign(): { context: PartitionContext; records: LogRecord[] } {
      const self = ++owner;
      const context: PartitionContext = {
        ...{ topic: Topic.Samples, partition },
        committed: position,
        signal: new AbortController().signal,
        acknowledge: () => {},
        async commit(offset, metadata = '') {
          if (self !== owner) throw new EventLogError('EVENT_LOG_REVOKED', 'taken', false);
          position = { offset, metadata };
        },
        reject: () => expect.unreachable(),
      };
      return { context, records: records.slice(position?.offset ?? 0) };
    },
  };
}

describe('a writer that was stopped and goes on as if nothing had happened', { timeout: 120_000 }, () => {
  let test: TestHistory;
  let node = 0;
  beforeAll(async () => {
    test = await openTestHistory();
  });
  afterAll(() => test.close());

  const simulate = (): SampleChunk[] =>
    simulateNode({
      ...{ node: `ghost-${++node}`, from: Date.now() - 20_000, rounds: 20, roundMs: 1_000 },
      ...{ processes: 4, seed: node, keyframeEvery: 5 },
    }).chunks;

  /** Those of one process: partitions that get the same are written together. */
  const depsOf = (over: Partial<PartitionWriterDeps> = {}): PartitionWriterDeps => {
    const base = {
      ...{ topic, history: test.history, logger: silentLogger, flushMs: 1, retry: { initialMs: 1, maxMs: 20 } },
      metrics: createRecordMetrics(new Registry(), () => ({ pendingRecords: 0, pendingBytes: 0, failing: 0 })),
    };
    return { ...base, gatherer: createGatherer({ ...base, limiter: createLimiter(1) }), ...over };
  };

  /** Begins to write the partition, and stands still when it comes to the moment for the `nth` time. */
  async function startGhost(partition: ReturnType<typeof createPartition>, moment: Checkpoint, nth = 1, leaseMs = 1e9) {
    let goOn!: () => void;
    let left = nth;
    let stands = false;
    const released = new Promise<void>((resolve) => (goOn = resolve));
    const checkpoint = async (name: Checkpoint): Promise<void> => {
      if (name !== moment || --left !== 0) return;
      stands = true;
      await released;
    };
    const { context, records } = partition.assign();
    const writer = await PartitionWriter.create(context, depsOf({ checkpoint, leaseMs }));
    await writer.handle(records);
    await settled(() => expect(stands).toBe(true));
    return async (): Promise<void> => {
      goOn();
      await writer.close('drain');
    };
  }

  async function writeAll(partition: ReturnType<typeof createPartition>, count: number): Promise<void> {
    const { context, records } = partition.assign();
    const writer = await PartitionWriter.create(context, depsOf());
    await writer.handle(records);
    await settled(() => expect(partition.position?.offset).toBe(count));
    await writer.close('drain');
  }

  async function contents(name: string): Promise<Record<string, unknown[]>> {
    const found: Record<string, unknown[]> = {};
    for (const table of TABLES) {
      found[table] = await test.connection.query(
        `SELECT * EXCEPT (node, boot, batch) FROM ${table} WHERE node = '${name}' ORDER BY ALL`,
      );
    }
    for (const table of ROLLUPS) {
      found[table] = await test.connection.query(
        `SELECT * EXCEPT (node, boot) FROM ${table} FINAL WHERE node = '${name}' ORDER BY ALL`,
      );
    }
    return found;
  }

  function rowsOf(chunks: readonly SampleChunk[]): { process_samples: number; node_samples: number } {
    return {
      process_samples: chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0),
      node_samples: chunks.filter(({ system }) => system.memory).length,
    };
  }

  async function expectOnce(chunks: readonly SampleChunk[]): Promise<Record<string, unknown[]>> {
    const found = await contents(chunks[0]!.node);
    const { process_samples, node_samples } = rowsOf(chunks);
    expect(found['process_samples']).toHaveLength(process_samples);
    expect(found['node_samples']).toHaveLength(node_samples);
    expect(found['device_samples']).toHaveLength(node_samples);
    return found;
  }

  // Where the first one wrote all, its follower has nothing to write.
  const pairs = MOMENTS.flatMap((ghost) => MOMENTS.map((next) => [ghost, next] as const)).filter(
    ([ghost, next]) => ghost !== 'tables' || next !== 'table',
  );
  it.each(pairs)(
    'doubles nothing: stopped after “%s”, its follower after “%s”, a third wrote all, then both go on',
    async (ghostMoment, nextMoment) => {
      const chunks = simulate();
      const partition = createPartition(chunks);
      const first = await startGhost(partition, ghostMoment);
      const second = await startGhost(partition, nextMoment, nextMoment === 'table' ? 2 : 1);
      await writeAll(partition, chunks.length);
      const before = await expectOnce(chunks);
      await Promise.all([first(), second()]);
      expect(await contents(chunks[0]!.node)).toEqual(before);
      expect(partition.position?.offset).toBe(chunks.length);
    },
  );

  it('doubles nothing when it goes on while its follower writes', async () => {
    for (let nth = 1; nth <= 5; nth++) {
      const chunks = simulate();
      const partition = createPartition(chunks);
      const goOn = await startGhost(partition, nth === 1 ? 'intent' : 'table', Math.max(1, nth - 1));
      await Promise.all([writeAll(partition, chunks.length), goOn()]);
      await expectOnce(chunks);
    }
  });

  /** Three partitions in the hands of one writer, which stands still when it comes to the moment for the `nth` time. */
  async function startGhostOfThree(moment: Checkpoint, nth: number) {
    const chunks = [3, 4, 5].map(() => simulate());
    const partitions = chunks.map((own, index) => createPartition(own, 3 + index));
    let goOn!: () => void;
    let left = nth;
    let stands = false;
    const released = new Promise<void>((resolve) => (goOn = resolve));
    const checkpoint = async (name: Checkpoint): Promise<void> => {
      if (name === moment && --left === 0) stands = true;
      if (stands) await released;
    };
    const deps = depsOf({ checkpoint, leaseMs: 1e9, flushMs: 20 });
    const assigned = partitions.map((partition) => partition.assign());
    const writers = await Promise.all(assigned.map(({ context }) => PartitionWriter.create(context, deps)));
    await Promise.all(writers.map((writer, index) => writer.handle(assigned[index]!.records)));
    await settled(() => expect(stands).toBe(true));
    const release = async (): Promise<void> => {
      goOn();
      await Promise.all(writers.map((writer) => writer.close('drain')));
    };
    return { chunks, partitions, release };
  }

  const moments = [['intent', 3] as const, ...[1, 2, 3, 4, 5].map((nth) => ['table', nth] as const)];
  const takers = ['the first', 'two after another', 'two at once', 'all'] as const;
  it.each(moments.flatMap((moment) => takers.map((taken) => [...moment, taken] as const)))(
    'loses and doubles nothing of three partitions that share an insert: stopped after “%s” %i, %s taken away',
    async (moment, nth, taken) => {
      const { chunks, partitions, release } = await startGhostOfThree(moment, nth);
      const take = (index: number): Promise<void> => writeAll(partitions[index]!, chunks[index]!.length);
      await take(0);
      if (taken === 'two after another') await take(1);
      if (taken === 'two at once') await Promise.all([take(1), release()]);
      if (taken === 'all') await Promise.all([take(1), take(2), release()]);
      await release();
      for (const [index, own] of chunks.entries()) {
        // What the ghost could not settle any more waits for the next owner.
        if (partitions[index]!.position?.offset !== own.length) await take(index);
        await expectOnce(own);
      }
    },
  );

  it('loses nothing of those that would have shared an insert with one that was left to another before it', async () => {
    const chunks = [3, 4, 5].map(() => simulate());
    const partitions = chunks.map((own, index) => createPartition(own, 3 + index));
    let answer!: () => void;
    const asked = new Promise<void>((resolve) => (answer = resolve));
    const writtenChunks: typeof test.history.writtenChunks = async (name, partition) => {
      if (partition === 3) throw new HistoryError('HISTORY_UNAVAILABLE', 'nobody answers', true);
      if (partition === 5) await asked;
      return test.history.writtenChunks(name, partition);
    };
    const deps = depsOf({ history: { ...test.history, writtenChunks }, leaseMs: 1e9, flushMs: 20 });
    const assigned = partitions.map((partition) => partition.assign());
    const writers = await Promise.all(assigned.map(({ context }) => PartitionWriter.create(context, deps)));
    await Promise.all(writers.map((writer, index) => writer.handle(assigned[index]!.records)));
    for (const partition of partitions) await settled(() => expect(partition.position?.metadata).toContain('shared'));
    // It does not wait for the others of its round, and its follower takes the name.
    await writers[0]!.close('revoked');
    await writeAll(partitions[0]!, chunks[0]!.length);
    answer();
    await settled(() => expect(partitions[1]!.position?.offset).toBe(chunks[1]!.length));
    await settled(() => expect(partitions[2]!.position?.offset).toBe(chunks[2]!.length));
    for (const own of chunks) await expectOnce(own);
    await Promise.all(writers.map((writer) => writer.close('drain')));
  });

  it('asks the log after a while, and sends nothing more when the partition is another’s', async () => {
    const chunks = simulate();
    const partition = createPartition(chunks);
    const goOn = await startGhost(partition, 'intent', 1, 0);
    await writeAll(partition, chunks.length);
    const before = await expectOnce(chunks);
    // Without the tokens that would keep the repeated rows out.
    for (const table of [...TABLES, ...ROLLUPS]) {
      await test.connection.command(`ALTER TABLE ${table} MODIFY SETTING non_replicated_deduplication_window = 0`);
    }
    try {
      await goOn();
      expect(await contents(chunks[0]!.node)).toEqual(before);
    } finally {
      for (const table of [...TABLES, ...ROLLUPS]) {
        await test.connection.command(
          `ALTER TABLE ${table} MODIFY SETTING non_replicated_deduplication_window = 10000`,
        );
      }
    }
  });
});
