import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TopicSpec } from '@tidemark/contracts';
import { acknowledgeAll, nothingSeen, record, texts, totalLag, until, watching } from '../conformance/bench.js';
import { Broker } from '../memory/broker.js';
import { MemoryEventLog } from '../memory/memory-event-log.js';
import { resolveOptions } from '../memory/options.js';
import { realDisk, type Disk } from './disk.js';
import { openJournalStorage } from './journal-storage.js';

const SPEC: TopicSpec = { name: 'a', partitions: 1, cleanup: 'delete', retentionMs: 3_600_000 };

/** A disk with so many bytes left: a write takes what fits, and the next one fails, as a real one does. */
class LimitedDisk implements Disk {
  left = Infinity;

  write: Disk['write'] = async (file, bytes, position) => {
    if (this.left <= 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const written = await realDisk.write(file, bytes.subarray(0, Math.min(bytes.length, this.left)), position);
    this.left -= written;
    return written;
  };

  create: Disk['create'] = async (path) => {
    if (this.left <= 0) throw Object.assign(new Error('ENOSPC: no space left on device, open'), { code: 'ENOSPC' });
    return realDisk.create(path);
  };
}

let directory: string;
let disk: LimitedDisk;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tidemark-full-'));
  disk = new LimitedDisk();
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function open(): Promise<MemoryEventLog> {
  const options = resolveOptions({ commitIntervalMs: 20, housekeepingMs: 20, retry: { initialMs: 5, maxMs: 20 } });
  const storage = { directory, fsync: false, segmentBytes: 2_000, memoryBytes: 65_536, disk, warn: () => {} };
  const broker = await Broker.open(await openJournalStorage(storage), options);
  const log = new MemoryEventLog(broker, options, () => broker.close());
  await log.ensureTopics([SPEC]);
  return log;
}

describe('a full disk', () => {
  test('refuses appends with a retriable error in one clear line, and takes them again when there is space', async () => {
    const log = await open();
    const kept: string[] = [];
    let refused: unknown;
    let number = 0;
    const send = async (): Promise<void> => {
      const value = String(number++);
      try {
        await log.append([record('a', 'k', value)]);
        kept.push(value);
      } catch (error) {
        refused = error;
      }
    };
    for (let round = 0; round < 30; round++) {
      // Runs out in the middle of a frame, of a header, of a file's creation: wherever it happens.
      disk.left = 97 * round;
      refused = undefined;
      while (!refused) await send();
      expect(refused).toMatchObject({ code: 'EVENT_LOG_JOURNAL', retriable: true });
      expect((refused as Error).message).toMatch(/^journal: writing to \S+ failed \(ENOSPC\): free some space.*$/);
      disk.left = Infinity;
      await send();
      expect(kept.at(-1)).toBe(String(number - 1));
    }
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => texts(seen), kept);
    await log.close();
    const again = await open();
    const after = nothingSeen();
    await again.subscribe({ topic: 'a', group: 'new', from: 'earliest', assign: watching(after, acknowledgeAll) });
    await until(() => texts(after), kept);
    await again.close();
  });

  test('stops no delivery: positions are committed when there is space again', async () => {
    const log = await open();
    await log.append([record('a', 'k', '0'), record('a', 'k', '1')]);
    disk.left = 10;
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => texts(seen), ['0', '1']);
    await until(() => log.metrics().retries > 2, true);
    expect(await totalLag(log, 'a', 'g')).toBe(2);
    await expect(seen.contexts[0]!.commit(1)).rejects.toMatchObject({ code: 'EVENT_LOG_JOURNAL', retriable: true });
    disk.left = Infinity;
    await seen.contexts[0]!.commit(2);
    expect(await totalLag(log, 'a', 'g')).toBe(0);
    await log.close();
  });

  test('keeps a dead letter waiting until there is space, and loses neither it nor what follows', async () => {
    const log = await open();
    await log.append([record('a', 'k', 'bad'), record('a', 'k', 'good')]);
    disk.left = 0;
    const handled: string[] = [];
    await log.subscribe({
      topic: 'a',
      group: 'g',
      from: 'earliest',
      maxTries: 1,
      maxBatchRecords: 1,
      assign: (context) => ({
        async handle([one]) {
          const value = Buffer.from(one!.value!).toString();
          if (value === 'bad') throw new Error('bad');
          handled.push(value);
          context.acknowledge(one!.offset);
        },
      }),
    });
    await until(() => log.metrics().retries > 4, true);
    expect(handled).toEqual([]);
    disk.left = Infinity;
    await until(() => handled, ['good']);
    const dead = nothingSeen();
    await log.subscribe({ topic: 'a.dlq', group: 'g', from: 'earliest', assign: watching(dead, acknowledgeAll) });
    await until(() => texts(dead), ['bad']);
    await log.close();
  });

  test('can be opened and read, and drops what is old to go on', async () => {
    const log = await open();
    for (let number = 0; number < 200; number++) await log.append([record('a', 'k', String(number))]);
    await log.close();
    disk.left = 0;
    const again = await open();
    const seen = nothingSeen();
    await again.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => seen.records.length, 200);
    expect((await readdir(join(directory, 'topics', 'a', '0'))).length).toBeGreaterThan(5);
    await again.close(200);
  });
});
