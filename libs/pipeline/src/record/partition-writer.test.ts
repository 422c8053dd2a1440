import { encodeNodeRecord, Topic, type NodeId, type NodeRecord } from '@tidemark/contracts';
import { EventLogError, type CommittedPosition, type LogRecord, type PartitionContext } from '@tidemark/event-log';
import { HistoryError, type Block, type History, type WriteOptions } from '@tidemark/history';
import { Registry, silentLogger } from '@tidemark/service';
import { describe, expect, it, vi } from 'vitest';
import { createGatherer } from './gatherer.js';
import { createLimiter } from './limiter.js';
import { PartitionWriter, type PartitionWriterDeps } from './partition-writer.js';
import { createRecordMetrics } from './record-metrics.js';
import { RECORD_TOPICS } from './record-topic.js';
import type { WrittenBefore } from './repeats.js';

const nodes = RECORD_TOPICS.find(({ topic }) => topic === Topic.Nodes)!;

function heartbeat(offset: number, over: Partial<NodeRecord> = {}): LogRecord {
  const now = Date.now();
  const record: NodeRecord = {
    v: 1,
    node: `node-${offset}` as NodeId,
    boot: 'b',
    run: 'r',
    at: now,
    state: 'UP',
    hostname: 'h',
    kernel: 'k',
    architecture: 'x64',
    cpus: 1,
    pageSize: 4096,
    bootedAt: now,
    interval: 1000,
    processes: 1,
    limitations: [],
    collector: {
      version: '1',
      pid: 1,
      startedAt: now,
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
  };
  const { value, headers } = encodeNodeRecord(record);
  return { topic: Topic.Nodes, partition: 3, offset, key: record.node, value, headers, timestamp: now };
}

const nothingBefore: WrittenBefore = {
  writtenChunks: async () => [],
  writtenHeartbeats: async () => [],
  writtenFindings: async () => [],
};

interface Written {
  blocks: readonly Block[];
  options: WriteOptions;
}

/** A partition in the hands of a writer, with everything that it does to the log and to history written down. */
function setUp(committed?: CommittedPosition, over: Partial<PartitionWriterDeps> = {}) {
  const commits: CommittedPosition[] = [];
  const rejected: { offset: number; reason: string }[] = [];
  const written: Written[] = [];
  const context: PartitionContext = {
    topic: Topic.Nodes,
    partition: 3,
    committed,
    signal: new AbortController().signal,
    acknowledge: () => expect.unreachable(),
    commit: async (offset, metadata = '') => void commits.push({ offset, metadata }),
    reject: async ({ offset }, { message }) => void rejected.push({ offset, reason: message }),
  };
  const write: History['write'] = async (blocks, options) => {
    written.push({ blocks, options });
    return { rows: { heartbeats: blocks[0]?.rows ?? 0 }, found: 0, oddities: [] };
  };
  const registry = new Registry();
  const base = {
    topic: nodes,
    history: { ...nothingBefore, write },
    logger: silentLogger,
    metrics: createRecordMetrics(registry, () => ({ pendingRecords: 0, pendingBytes: 0, failing: 0 })),
    flushMs: 5,
    retry: { initialMs: 1, maxMs: 2 },
    ...over,
  };
  const deps: PartitionWriterDeps = { gatherer: createGatherer({ ...base, limiter: createLimiter(1) }), ...base };
  return { commits, rejected, written, context, deps, registry, open: () => PartitionWriter.create(context, deps) };
}

const settled = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 5 });
const metadata = (position: CommittedPosition | undefined): unknown => JSON.parse(position?.metadata ?? 'null');

describe('a partition writer', () => {
  it('commits the batch before it writes it, and past it afterwards', async () => {
    const { commits, written, open } = setUp();
    const writer = await open();
    await writer.handle([heartbeat(4), heartbeat(5)]);
    await settled(() => expect(commits).toHaveLength(2));
    const [before, after] = commits;
    const { batch } = metadata(before) as { batch: number };
    expect(before).toMatchObject({ offset: 4 });
    expect(metadata(before)).toEqual({ v: 1, batch, last: 5 });
    expect(after).toMatchObject({ offset: 6 });
    expect(metadata(after)).toEqual({ v: 1, batch });
    expect(written).toHaveLength(1);
    expect(written[0]!.options).toMatchObject({ token: `${Topic.Nodes}/3/4-5/${batch}`, again: false });
    await writer.close('drain');
  });

  it('writes a batch that was under way again, with the same name, and looks for what is there', async () => {
    const { commits, written, open } = setUp({ offset: 4, metadata: '{"v":1,"batch":77,"last":5}' });
    const writer = await open();
    expect(commits).toEqual([{ offset: 4, metadata: '{"v":1,"batch":77,"last":5}' }]);
    await writer.handle([heartbeat(4)]);
    await writer.handle([heartbeat(5), heartbeat(6)]);
    await settled(() => expect(commits.at(-1)?.offset).toBe(7));
    expect(written.map(({ options }) => [options.token, options.again])).toEqual([
      [`${Topic.Nodes}/3/4-5/77`, true],
      [`${Topic.Nodes}/3/6-6/78`, false],
    ]);
    await writer.close('drain');
  });

  it('reports a batch under way that the log no longer has, and goes on', async () => {
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (_: object, message: string) => void errors.push(message) };
    const { commits, written, open, registry } = setUp(
      { offset: 4, metadata: '{"v":1,"batch":77,"last":5}' },
      { logger },
    );
    const writer = await open();
    await writer.handle([heartbeat(9)]);
    await settled(() => expect(commits.at(-1)?.offset).toBe(10));
    expect(written.map(({ options }) => options.token)).toEqual([`${Topic.Nodes}/3/9-9/78`]);
    expect(errors).toEqual([expect.stringContaining('gone from the log')]);
    await expect(registry.metrics()).resolves.toMatch(/tidemark_record_lost_batches_total\{topic="mem.nodes.v1"\} 1/);
    await writer.close('drain');
  });

  it('tries for as long as history is away, says so, and then writes the same batch', async () => {
    let away = 3;
    const tries: WriteOptions[] = [];
    // What it says is looked at from within the tries: from outside, the moment between two of them may be missed.
    const said: (string | undefined)[] = [];
    const write: History['write'] = async (_, options) => {
      tries.push(options);
      said.push(writer.failure?.message);
      if (away-- > 0) throw new HistoryError('HISTORY_UNAVAILABLE', 'nobody answers', true);
      return { rows: {}, found: 0, oddities: [] };
    };
    const { commits, open } = setUp(undefined, { history: { ...nothingBefore, write } });
    const writer = await open();
    await writer.handle([heartbeat(0)]);
    await settled(() => expect(commits.at(-1)?.offset).toBe(1));
    expect(said).toEqual([undefined, 'nobody answers', 'nobody answers', 'nobody answers']);
    expect(writer.failure).toBeUndefined();
    expect(new Set(tries.map(({ token }) => token)).size).toBe(1);
    expect(tries.map(({ again }) => again)).toEqual([false, true, true, true]);
    await writer.close('drain');
  });

  it('puts damaged records and records of an impossible time aside, and writes the others', async () => {
    const { commits, rejected, written, open } = setUp();
    const writer = await open();
    const damaged = { ...heartbeat(1), value: Buffer.from('{"v":1') };
    const ahead = heartbeat(3, { at: Date.now() + 3 * 86_400_000 });
    const ancient = heartbeat(4, { at: 1_000 });
    const tombstone = { ...heartbeat(5), value: null };
    await writer.handle([heartbeat(0), damaged, heartbeat(2), ahead, ancient, tombstone]);
    await settled(() => expect(commits.at(-1)?.offset).toBe(6));
    expect(rejected.map(({ offset }) => offset)).toEqual([1, 3, 4]);
    expect(rejected[1]!.reason).toContain('3 days after the record was logged');
    expect(written.map(({ blocks }) => blocks.map(({ rows }) => rows))).toEqual([[2]]);
    await writer.close('drain');
  });

  it('moves past damaged records that stand alone', async () => {
    const { commits, open } = setUp();
    const writer = await open();
    await writer.handle([{ ...heartbeat(0), value: Buffer.from('x') }]);
    await settled(() => expect(commits.at(-1)?.offset).toBe(1));
    await writer.close('drain');
  });

  it('takes each record once when a damaged one could not be put aside at first', async () => {
    const { context, commits, written, open } = setUp();
    const full = vi.spyOn(context, 'reject').mockRejectedValueOnce(new EventLogError('EVENT_LOG_FULL', 'full', true));
    const writer = await open();
    const records = [heartbeat(0), { ...heartbeat(1), value: Buffer.from('x') }, heartbeat(2)];
    await expect(writer.handle(records)).rejects.toThrow('full');
    await writer.handle(records);
    await settled(() => expect(commits.at(-1)?.offset).toBe(3));
    expect(written.flatMap(({ blocks }) => blocks.map(({ rows }) => rows)).reduce((sum, rows) => sum + rows, 0)).toBe(
      2,
    );
    expect(full).toHaveBeenCalledTimes(2);
    await writer.close('drain');
  });

  it('writes what waits when it drains, and leaves it when the partition is taken away', async () => {
    const drained = setUp(undefined, { flushMs: 1_000_000 });
    const draining = await drained.open();
    await draining.handle([heartbeat(0), heartbeat(1)]);
    expect(drained.commits).toEqual([]);
    await draining.close('drain');
    expect(drained.commits.at(-1)?.offset).toBe(2);

    const revoked = setUp(undefined, { flushMs: 1_000_000 });
    const losing = await revoked.open();
    await losing.handle([heartbeat(0)]);
    await losing.close('revoked');
    expect(revoked.commits).toEqual([]);
    expect(revoked.written).toEqual([]);
  });

  it('does not hold up a drain while history is away: the batch stays under way', async () => {
    const write = (): Promise<never> => Promise.reject(new HistoryError('HISTORY_UNAVAILABLE', 'nobody answers', true));
    const { commits, open } = setUp(undefined, {
      history: { ...nothingBefore, write },
      retry: { initialMs: 60_000, maxMs: 60_000 },
    });
    const writer = await open();
    await writer.handle([heartbeat(0)]);
    await settled(() => expect(writer.failure).toBeDefined());
    await writer.close('drain');
    expect(commits).toEqual([{ offset: 0, metadata: expect.stringContaining('"last":0') }]);
  });

  it('stops without a word more when the partition is another’s', async () => {
    const { context, written, open } = setUp();
    vi.spyOn(context, 'commit').mockRejectedValue(new EventLogError('EVENT_LOG_REVOKED', 'taken', false));
    const writer = await open();
    await writer.handle([heartbeat(0)]);
    await settled(() => expect(writer.pendingRecords).toBe(0));
    await writer.close('revoked');
    expect(written).toEqual([]);
    expect(writer.failure).toBeUndefined();
  });
});
