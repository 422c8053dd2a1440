import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  decodeNodeRecord,
  decodeSampleChunk,
  toNodeId,
  Topic,
  type NodeRecord,
  type SampleChunk,
} from '@tidemark/contracts';
import { startCollect, startRecord, type CollectStage } from '@tidemark/pipeline';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoKafka } from '../tools/kafka/distribution.mjs';
import { openDrillStores, RECORDED, untilRead, type DrillStores } from './support/drill-stores.js';
import { until } from './support/until.js';

const why = process.env['CI'] === 'true' ? undefined : whyNoKafka();
const OUTAGE_MS = 32_000;
/** Ten times the usual rate, so that as much piles up as in five minutes. */
const INTERVAL_MS = 100;
const MEMORY_BYTES = 65_536;
/** Less than piles up: the oldest have to go. */
const SMALL_DISK_BYTES = 100_000;

/** What one collector said before, during and after the outage. */
interface Told {
  chunks: SampleChunk[];
  heartbeats: NodeRecord[];
}

describe.skipIf(why)(`a broker that is away${why ? ` (skipped: ${why})` : ''}`, () => {
  let stores: DrillStores;
  let directory: string;
  const told = new Map<string, Told>();
  /** Most that was seen waiting, in memory and on disk. */
  const waiting = { roomy: 0, tight: 0 };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-spool-'));
    stores = await openDrillStores();
    await collectThroughOutage();
  }, 240_000);

  afterAll(async () => {
    await stores?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  /** Two collectors of this host, one with room for all and one without, and a writer; the broker is killed meanwhile. */
  async function collectThroughOutage(): Promise<void> {
    const writerLog = await stores.open('writer');
    const { history } = stores.history;
    const record = startRecord({ log: writerLog, history, logger: silentLogger, registry: new Registry() });
    await record.ready;
    const roomy = await collector('roomy', 64 * 1024 * 1024);
    const tight = await collector('tight', SMALL_DISK_BYTES);
    const broker = stores.kafka.brokers[0]!;
    await until('both to send', () => [roomy, tight].every((one) => (one.stats()?.sentRecords ?? 0) > 10));
    await broker.kill();
    const back = Date.now() + OUTAGE_MS;
    while (Date.now() < back) {
      waiting.roomy = Math.max(waiting.roomy, roomy.stats()?.spooledBytes ?? 0);
      waiting.tight = Math.max(waiting.tight, tight.stats()?.spooledBytes ?? 0);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const keyframes = tight.stats()!.keyframes;
    await broker.start();
    await until('the spools to be sent', () =>
      [roomy, tight].every((one) => (one.stats()?.spooledBytes ?? Infinity) < MEMORY_BYTES / 4),
    );
    await until('everything said anew', () => tight.stats()!.keyframes > keyframes);
    await Promise.all([roomy, tight].map((one) => one.drain(20_000)));
    await untilRead(writerLog, RECORDED);
    await record.drain(5_000);
    await readLog();
  }

  async function collector(node: string, spoolDisk: number): Promise<CollectStage> {
    const stage = startCollect({
      log: await stores.open(node),
      config: {
        ...{ node: toNodeId(node), interval: INTERVAL_MS, spoolMemory: MEMORY_BYTES, spoolDisk },
        spoolDirectory: join(directory, node),
      },
      logger: silentLogger,
    });
    await stage.ready;
    return stage;
  }

  async function readLog(): Promise<void> {
    const log = await stores.open('reader');
    for (const { value, headers } of await stores.read(log, Topic.Samples)) {
      const chunk = decodeSampleChunk(value!, headers);
      toldBy(chunk.node).chunks.push(chunk);
    }
    for (const { value, headers } of await stores.read(log, Topic.Nodes)) {
      const record = decodeNodeRecord(value!, headers);
      toldBy(record.node).heartbeats.push(record);
    }
  }

  function toldBy(node: string): Told {
    const known = told.get(node) ?? { chunks: [], heartbeats: [] };
    told.set(node, known);
    return known;
  }

  /** Numbers of the chunks of a node in the order of the log, without repeats. */
  function numbersOf(node: string): number[] {
    return [...new Set(toldBy(node).chunks.map(({ seq }) => seq))];
  }

  /** Every round in history has the rows that its chunk has, and no other round has any. */
  async function expectHistory(node: string): Promise<void> {
    const chunks = new Map(toldBy(node).chunks.map((chunk) => [chunk.seq, chunk]));
    const expected = new Map<number, number>();
    for (const { at, procs } of chunks.values()) {
      if (procs.pid.length > 0) expected.set(at, (expected.get(at) ?? 0) + procs.pid.length);
    }
    const rows = await stores.ask<{ at: string; rows: string }>(
      `SELECT toString(toUnixTimestamp64Milli(at)) AS at, toString(count()) AS rows FROM process_samples AS s
       WHERE node = '${node}' GROUP BY s.at ORDER BY s.at`,
    );
    expect(rows.map(({ at, rows }) => [Number(at), Number(rows)])).toEqual([...expected].sort(([a], [b]) => a - b));
  }

  it('costs nothing while the spool has room: all is sent, in order, and is in history once', async () => {
    const numbers = numbersOf('roomy');
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index));
    expect(numbers.length).toBeGreaterThan((OUTAGE_MS / INTERVAL_MS) * 0.2);
    // It went through memory to the disk.
    expect(waiting.roomy).toBeGreaterThan(MEMORY_BYTES);
    expect(toldBy('roomy').heartbeats.at(-1)).toMatchObject({
      state: 'LEAVING',
      collector: { droppedChunks: 0, droppedBytes: 0 },
    });
    await expectHistory('roomy');
  });

  it('costs the oldest when the spool is full: exactly as many as the heartbeats say', async () => {
    const numbers = numbersOf('tight');
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    const missing = numbers.at(-1)! + 1 - numbers.length;
    const { droppedChunks, droppedBytes } = toldBy('tight').heartbeats.at(-1)!.collector;
    expect(missing).toBeGreaterThan(0);
    expect(droppedChunks).toBe(missing);
    expect(droppedBytes).toBeGreaterThan(0);
    // Within its bound: memory, disk, and what is on its way from one to the other.
    expect(waiting.tight).toBeLessThan(2 * MEMORY_BYTES + SMALL_DISK_BYTES + 1024 * 1024);
    await expectHistory('tight');
  });

  it('says everything anew after a loss, so that nobody builds on what is missing', () => {
    const { chunks } = toldBy('tight');
    const gapAt = chunks.findIndex(({ seq }, index) => index > 0 && seq > chunks[index - 1]!.seq + 1);
    expect(gapAt).toBeGreaterThan(0);
    const losses = chunks.filter(({ seq }, index) => index > 0 && seq > chunks[index - 1]!.seq + 1);
    const lastLoss = losses.at(-1)!;
    expect(chunks.some(({ seq, keyframe }) => keyframe && seq >= lastLoss.seq)).toBe(true);
  });
});
