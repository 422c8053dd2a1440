import {
  appendFile,
  copyFile,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TopicSpec } from '@tidemark/contracts';
import {
  acknowledgeAll,
  acknowledgeNone,
  nothingSeen,
  numbered,
  record,
  text,
  texts,
  totalLag,
  until,
  watching,
} from '../conformance/bench.js';
import type { EventLog } from '../event-log.js';
import { Broker } from '../memory/broker.js';
import { MemoryEventLog } from '../memory/memory-event-log.js';
import { resolveOptions, type MemoryEventLogOptions } from '../memory/options.js';
import { openJournalStorage, type JournalStorageOptions } from './journal-storage.js';

const SPEC: TopicSpec = { name: 'a', partitions: 1, cleanup: 'delete', retentionMs: 3_600_000 };
const PARTITION = join('topics', 'a', '0');

let directory: string;
let warnings: string[];
const running: Broker[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tidemark-recovery-'));
  warnings = [];
});

afterEach(async () => {
  for (const broker of running.splice(0)) await broker.abandon();
  await rm(directory, { recursive: true });
});

interface Opened {
  log: EventLog;
  kill(): Promise<void>;
}

async function open(
  more: Partial<JournalStorageOptions> = {},
  options: MemoryEventLogOptions = {},
  spec = SPEC,
): Promise<Opened> {
  const resolved = resolveOptions({ commitIntervalMs: 20, ...options, journal: { directory } });
  const storage = await openJournalStorage({
    directory,
    fsync: false,
    segmentBytes: 4_096,
    memoryBytes: 8_192,
    warn: (line) => warnings.push(line),
    ...more,
  });
  const broker = await Broker.open(storage, resolved);
  running.push(broker);
  const log = new MemoryEventLog(broker, resolved, () => broker.close());
  await log.ensureTopics([spec]);
  return {
    log,
    async kill() {
      log.abandon();
      await broker.abandon();
    },
  };
}

async function everything(log: EventLog, count?: number): Promise<string[]> {
  const seen = nothingSeen();
  const [position] = await log.lag('a', 'nobody');
  const assign = watching(seen, acknowledgeAll);
  const view = await log.subscribe({ topic: 'a', group: '', ephemeral: true, from: 'earliest', assign });
  await until(() => seen.records.length >= (count ?? position!.lag), true);
  await view.drain(1_000);
  return texts(seen);
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => String(from + index));
}

async function segments(): Promise<string[]> {
  const files = await readdir(join(directory, PARTITION));
  return files.filter((file) => file.endsWith('.seg')).sort();
}

function inPartition(file: string): string {
  return join(directory, PARTITION, file);
}

describe('a journal that was cut off', () => {
  test('keeps every whole record, wherever its last file ends, and goes on behind it', async () => {
    const first = await open({ segmentBytes: 1_000_000 });
    const sizes: number[] = [];
    for (let index = 0; index < 20; index++) {
      await first.log.append([record('a', 'k', `${index}`.padEnd(index * 3, '.'))]);
      sizes.push((await stat(inPartition((await segments())[0]!))).size);
    }
    await first.kill();
    const [file] = await segments();
    const whole = await readFile(inPartition(file!));
    const cuts = [16, 17, 24, sizes[0]! - 1, sizes[0]!, sizes[0]! + 1, ...sizes.map((size) => size - 3), whole.length];
    for (const cut of cuts) {
      await writeFile(inPartition(file!), whole);
      await truncate(inPartition(file!), cut);
      const again = await open({ segmentBytes: 1_000_000 });
      const kept = sizes.filter((size) => size <= cut).length;
      expect((await again.log.lag('a', 'g'))[0]).toMatchObject({ end: kept });
      await again.log.append([record('a', 'k', 'next')]);
      const found = await everything(again.log);
      expect(found.map((one) => one.replace(/\.+$/, ''))).toEqual([...numbers(0, kept), 'next']);
      await again.kill();
    }
    expect(warnings.some((line) => line.includes('cut off before it was acknowledged'))).toBe(true);
  });

  test('drops noise behind the last record, whatever it looks like', async () => {
    const first = await open({ segmentBytes: 1_000_000 });
    await first.log.append(numbered('a', 'k', 0, 10));
    await first.kill();
    const [file] = await segments();
    const whole = await readFile(inPartition(file!));
    const noise = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 200 }), { numRuns: 15, seed: 7 });
    for (const bytes of [...noise, Buffer.alloc(5_000), Buffer.alloc(40, 0xff), whole.subarray(16, 40)]) {
      await writeFile(inPartition(file!), whole);
      await appendFile(inPartition(file!), bytes);
      const again = await open({ segmentBytes: 1_000_000 });
      expect(await everything(again.log)).toEqual(numbers(0, 10));
      await again.kill();
      expect((await readFile(inPartition(file!))).equals(whole)).toBe(true);
    }
  });

  test('survives a file that was made and not yet begun', async () => {
    const first = await open();
    for (let at = 0; at < 300; at += 10) await first.log.append(numbered('a', 'k', at, at + 10));
    await first.kill();
    const before = await segments();
    expect(before.length).toBeGreaterThan(2);
    for (const [round, header] of [Buffer.alloc(0), Buffer.from('TMDS')].entries()) {
      const next = inPartition('0000000000000300.0.seg');
      await writeFile(next, header);
      const again = await open();
      await again.log.append([record('a', 'k', String(300 + round))]);
      expect(await everything(again.log)).toEqual(numbers(0, 301 + round));
      await again.kill();
    }
  });

  test('never gives an offset again that a group has committed, whatever happened to the files', async () => {
    const first = await open({ segmentBytes: 1_000_000 });
    await first.log.append(numbered('a', 'k', 0, 10));
    const seen = nothingSeen();
    await first.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => totalLag(first.log, 'a', 'g'), 0);
    await first.kill();
    const [file] = await segments();
    await truncate(inPartition(file!), 200);
    const again = await open({ segmentBytes: 1_000_000 });
    await again.log.append([record('a', 'k', 'new')]);
    const rest = nothingSeen();
    await again.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(rest, acknowledgeAll) });
    await until(() => texts(rest), ['new']);
    expect(rest.records[0]!.offset).toBe(10);
    expect(warnings.length).toBe(1);
  });

  test('after the machine died, offsets that may have been seen are not given out again, and lag is right', async () => {
    const first = await open({ boot: 'boot-one' });
    await first.log.append(numbered('a', 'k', 0, 10));
    const seen = nothingSeen();
    await first.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => totalLag(first.log, 'a', 'g'), 0);
    await first.kill();
    const sameBoot = await open({ boot: 'boot-one' });
    expect((await sameBoot.log.lag('a', 'g'))[0]).toMatchObject({ end: 10 });
    await sameBoot.kill();
    const rebooted = await open({ boot: 'boot-two' });
    expect(await totalLag(rebooted.log, 'a', 'g')).toBe(0);
    await rebooted.log.append([record('a', 'k', '10')]);
    expect(await everything(rebooted.log, 11)).toEqual(numbers(0, 11));
    const rest = nothingSeen();
    await rebooted.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(rest, acknowledgeAll) });
    await until(() => texts(rest), ['10']);
    expect(rest.records[0]!.offset).toBeGreaterThan(100_000);
    await until(() => totalLag(rebooted.log, 'a', 'g'), 0);
    await rebooted.log.close();
    const clean = await open({ boot: 'boot-three' });
    expect((await clean.log.lag('a', 'g'))[0]!.end).toBe(rest.records[0]!.offset + 1);
  });
});

describe('a journal with damaged files', () => {
  test('delivers what is whole, says once what is lost, and stops nowhere', async () => {
    const first = await open({ segmentBytes: 1_000_000 });
    const wide = (from: number, to: number) =>
      numbered('a', 'k', from, to).map((one) => ({
        ...one,
        value: Buffer.from(one.value!.toString().padEnd(2_000, '.')),
      }));
    for (let at = 0; at < 1_000; at += 50) await first.log.append(wide(at, at + 50));
    await first.log.close();
    const [file] = await segments();
    const bytes = await readFile(inPartition(file!));
    bytes[400_000]! ^= 1;
    await writeFile(inPartition(file!), bytes);
    const again = await open();
    const found = (await everything(again.log, 600)).map((one) => Number(one.replace(/\.+$/, '')));
    expect(found.length).toBeLessThan(1_000);
    expect(found[0]).toBe(0);
    expect(found).toEqual([...found].sort((a, b) => a - b));
    expect(warnings.filter((line) => line.includes(file!))).toHaveLength(1);
  });

  test('goes on behind a file that somebody removed', async () => {
    const first = await open();
    await first.log.append(numbered('a', 'k', 0, 300));
    for (let at = 300; at < 600; at += 10) await first.log.append(numbered('a', 'k', at, at + 10));
    const files = await segments();
    expect(files.length).toBeGreaterThan(3);
    await unlink(inPartition(files[1]!));
    const lost = Number(files[2]!.split('.')[0]) - Number(files[1]!.split('.')[0]);
    const found = await everything(first.log, 600 - lost);
    expect(found).toHaveLength(600 - lost);
    expect(warnings.filter((line) => line.includes('is gone'))).toHaveLength(1);
  });

  test('does without its indexes, and with wrong ones', async () => {
    const first = await open();
    for (let at = 0; at < 600; at += 10) await first.log.append(numbered('a', 'k', at, at + 10));
    await first.log.close();
    const indexes = (await readdir(join(directory, PARTITION))).filter((file) => file.endsWith('.idx'));
    expect(indexes.length).toBeGreaterThan(2);
    for (const [number, file] of indexes.entries()) {
      if (number % 3 === 0) await unlink(inPartition(file));
      else await writeFile(inPartition(file), number % 3 === 1 ? '{"size":' : '{"size":12,"marks":[]}');
    }
    const again = await open();
    expect(await everything(again.log)).toEqual(numbers(0, 600));
    expect(warnings).toEqual([]);
  });

  test('finds the first record of a time across files, also after a restart', async () => {
    const first = await open();
    const now = Date.now();
    for (let index = 0; index < 300; index++) {
      await first.log.append([{ ...record('a', 'k', String(index)), timestamp: now - (300 - index) * 60_000 }]);
    }
    await first.log.close();
    const again = await open();
    const seen = nothingSeen();
    const assign = watching(seen, acknowledgeAll);
    await again.log.subscribe({ topic: 'a', group: 'g', from: { sinceMs: 100 * 60_000 + 30_000 }, assign });
    await until(() => texts(seen), numbers(200, 300));
  });
});

describe('compaction', () => {
  const compact: TopicSpec = { ...SPEC, cleanup: 'compact' };

  test('that was cut off leaves every key, whichever of its files were there', async () => {
    const first = await open({}, {}, compact);
    for (let round = 0; round < 60; round++) {
      await first.log.append(Array.from({ length: 10 }, (_, key) => record('a', `k${key}`, `${key}:${round}`)));
    }
    await first.kill();
    const before = await segments();
    expect(before.length).toBeGreaterThan(2);
    const saved = await Promise.all(before.map((file) => readFile(inPartition(file))));
    // Opened with a tiny bound, it compacts at once.
    const second = await open({}, { maxTopicBytes: 4_000, housekeepingMs: 10 }, compact);
    await Promise.allSettled([second.log.append([record('a', 'k0', '0:60')])]);
    await until(async () => (await segments()).length < before.length, true);
    await second.kill();
    const after = await segments();
    expect(after.some((file) => file.includes('.1.seg'))).toBe(true);
    // The old files come back, as if they had not been removed yet, and a merge that was not finished.
    for (const [index, file] of before.entries()) {
      if (!after.includes(file)) await writeFile(inPartition(file), saved[index]!);
    }
    await copyFile(inPartition(before[0]!), inPartition('0000000000000000.7.seg.tmp'));
    const third = await open({}, {}, compact);
    expect((await segments()).filter((file) => before.includes(file) && !after.includes(file))).toEqual([]);
    expect(await readdir(join(directory, PARTITION))).not.toContain('0000000000000000.7.seg.tmp');
    const seen = nothingSeen();
    const assign = watching(seen, acknowledgeAll);
    await third.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign });
    const latest = (): Record<string, string> => Object.fromEntries(seen.records.map((one) => [one.key, text(one)]));
    await until(() => Object.keys(latest()).length, 10);
    for (let key = 1; key < 10; key++) expect(latest()[`k${key}`]).toBe(`${key}:59`);
    const offsets = seen.records.map(({ offset }) => offset);
    expect(new Set(offsets).size).toBe(offsets.length);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
  });

  test('of positions keeps the files of a group that commits all the time small', async () => {
    const first = await open();
    await first.log.append(numbered('a', 'k', 0, 3));
    const seen = nothingSeen();
    await first.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeNone) });
    await until(() => seen.records.length, 3);
    const note = 'x'.repeat(1_000);
    for (let round = 0; round < 3_000; round++) await seen.contexts[0]!.commit(round % 3, `${round} ${note}`);
    expect(first.log.metrics().journalBytes).toBeLessThan(2_500_000);
    await first.kill();
    const again = await open();
    const rest = nothingSeen();
    await again.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(rest, acknowledgeNone) });
    await until(() => rest.records.length, 1);
    expect(rest.contexts[0]!.committed).toEqual({ offset: 2, metadata: `2999 ${note}` });
  });
});

describe('a journal with little memory', () => {
  test('serves a consumer that is far behind from its files, to the byte, and stays within its memory', async () => {
    const memoryBytes = 512 * 1024;
    const { log } = await open({ segmentBytes: 1024 * 1024, memoryBytes }, { maxTopicBytes: 64 * 1024 * 1024 });
    const fast = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'fast', from: 'earliest', assign: watching(fast, acknowledgeAll) });
    const value = (index: number): Buffer => Buffer.alloc(5_000 + (index % 3_000), index % 251);
    for (let index = 0; index < 3_000; index += 10) {
      await log.append(Array.from({ length: 10 }, (_, at) => ({ topic: 'a', key: 'k', value: value(index + at) })));
    }
    let most = 0;
    let next = 0;
    await log.subscribe({
      topic: 'a',
      group: 'slow',
      from: 'earliest',
      assign: (context) => ({
        async handle(records) {
          for (const one of records) {
            if (one.offset !== next || !value(next).equals(one.value!)) throw new Error(`wrong at ${next}`);
            next++;
            context.acknowledge(one.offset);
          }
          most = Math.max(most, log.metrics().retainedBytes);
        },
      }),
    });
    await until(() => next, 3_000);
    expect(log.metrics().retries).toBe(0);
    // A page may be as large as 256 KiB more than the share of pages.
    expect(most).toBeLessThan(memoryBytes + 2 * 300 * 1024);
    expect(log.metrics().journalBytes).toBeGreaterThan(15_000_000);
    await until(() => fast.records.length, 3_000);
  });
});

describe('a reopened journal', () => {
  test('that waited for the disk has what was acknowledged', async () => {
    const first = await open({ fsync: true });
    for (let at = 0; at < 60; at += 10) await first.log.append(numbered('a', 'k', at, at + 10));
    const seen = nothingSeen();
    await first.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeNone) });
    await until(() => seen.records.length, 60);
    await seen.contexts[0]!.commit(20);
    await first.kill();
    const again = await open({ fsync: true });
    const rest = nothingSeen();
    await again.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(rest, acknowledgeAll) });
    await until(() => texts(rest), numbers(20, 60));
  });

  test('has the same records at the same offsets, the same topics and positions', async () => {
    const first = await open();
    await first.log.append(numbered('a', 'k', 0, 500));
    const seen = nothingSeen();
    await first.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeNone) });
    await until(() => seen.records.length, 500);
    await seen.contexts[0]!.commit(321, 'a note');
    await first.log.close();
    const again = await open();
    await expect(again.log.ensureTopics([{ ...SPEC, partitions: 2 }])).rejects.toMatchObject({
      code: 'EVENT_LOG_TOPIC_DIFFERS',
    });
    const rest = nothingSeen();
    await again.log.subscribe({ topic: 'a', group: 'g', from: 'latest', assign: watching(rest, acknowledgeNone) });
    await until(() => texts(rest), numbers(321, 500));
    expect(rest.records.map(({ offset }) => offset)).toEqual(Array.from({ length: 179 }, (_, index) => 321 + index));
    expect(rest.contexts[0]!.committed).toEqual({ offset: 321, metadata: 'a note' });
  });

  test('takes a retention that was configured anew, and keeps its next offset when all records are gone', async () => {
    const first = await open();
    await first.log.append(numbered('a', 'k', 0, 100));
    await first.log.close();
    const short = { ...SPEC, retentionMs: 50 };
    const second = await open({}, { housekeepingMs: 10 }, short);
    await until(async () => (await second.log.lag('a', 'g'))[0], {
      partition: 0,
      committed: undefined,
      end: 100,
      lag: 0,
    });
    await until(async () => (await segments()).length, 1);
    await second.kill();
    const third = await open({}, {}, short);
    await third.log.append([record('a', 'k', 'next')]);
    const seen = nothingSeen();
    await third.log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => seen.records.map(({ offset }) => offset), [100]);
  });
});
