import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventLogError, type EventLog, type OutgoingRecord } from '@tidemark/event-log';
import { silentLogger } from '@tidemark/service';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from './clock.js';
import { Outbox } from './outbox.js';
import { decodeSegment, encodeSegment } from './spool-segment.js';

const root = mkdtempSync(join(tmpdir(), 'tidemark-spool-'));
const opened: Outbox[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((outbox) => outbox.drain(0)));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let made = 0;
const freshDirectory = (): string => join(root, `spool-${++made}`);
const record = (number: number, size = 1000): OutgoingRecord => ({
  topic: 'mem.samples.v1',
  key: 'web-7',
  value: Buffer.alloc(size, number % 251),
  headers: { encoding: 'gzip', number: String(number) },
  timestamp: 1000 + number,
});
const numbers = (records: readonly OutgoingRecord[]): number[] =>
  records.map(({ headers }) => Number(headers?.['number']));
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);
const eventually = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 10 });

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits while the disk is behind: what memory may hold beyond its bound meanwhile is little. */
async function roomInMemory(outbox: Outbox, bytes: number): Promise<void> {
  await eventually(() => {
    const { waitingBytes, diskBytes } = outbox.stats();
    expect(waitingBytes - diskBytes).toBeLessThan(bytes);
  });
}

/** A log that can be taken away, and that keeps what it took. */
function createLog() {
  const taken: OutgoingRecord[] = [];
  const requests: number[][] = [];
  const state = { away: false, maxValue: Number.POSITIVE_INFINITY, hangs: false };
  const append = async (records: readonly OutgoingRecord[]): Promise<void> => {
    if (state.hangs) await new Promise(() => {});
    if (state.away) throw new EventLogError('EVENT_LOG_UNAVAILABLE', 'broker is away', true);
    if (records.some(({ value }) => (value?.byteLength ?? 0) > state.maxValue)) {
      throw new EventLogError('EVENT_LOG_RECORD_TOO_LARGE', 'record is too large', false);
    }
    taken.push(...records);
    requests.push(numbers(records));
  };
  return { taken, requests, state, log: { append } as unknown as EventLog };
}

function open(log: EventLog, directory: string | null, memoryBytes = 1e6, diskBytes = 1e9, onLoss = () => {}) {
  const outbox = new Outbox({
    log,
    clock: systemClock,
    logger: silentLogger,
    directory,
    memoryBytes,
    diskBytes,
    onLoss,
  });
  opened.push(outbox);
  return outbox;
}

describe('the outbox', () => {
  it('sends in order and counts what the log has taken', async () => {
    const { log, taken } = createLog();
    const outbox = open(log, null);
    for (const number of range(0, 200)) outbox.send([record(number)]);
    await eventually(() => expect(taken).toHaveLength(200));
    expect(numbers(taken)).toEqual(range(0, 200));
    await eventually(() =>
      expect(outbox.stats()).toMatchObject({ sentRecords: 200, sentBytes: 200_000, waitingBytes: 0, failing: null }),
    );
  });

  it('keeps in memory what the log does not take, and sends it in order when it is back', async () => {
    const { log, taken, state } = createLog();
    const outbox = open(log, null);
    state.away = true;
    for (const number of range(0, 50)) outbox.send([record(number)]);
    await eventually(() => expect(outbox.stats().failing).toBe('broker is away'));
    expect(taken).toHaveLength(0);
    expect(outbox.stats().waitingBytes).toBeGreaterThan(50_000);
    state.away = false;
    for (const number of range(50, 60)) outbox.send([record(number)]);
    await eventually(() => expect(numbers(taken)).toEqual(range(0, 60)));
    expect(outbox.stats()).toMatchObject({ failing: null, droppedRecords: 0 });
  });

  it('goes on disk beyond the bound of memory, and drains in order while more comes', async () => {
    const { log, taken, state } = createLog();
    const directory = freshDirectory();
    const outbox = open(log, directory, 300_000);
    state.away = true;
    for (const number of range(0, 300)) {
      outbox.send([record(number, 10_000)]);
      await roomInMemory(outbox, 350_000);
    }
    await eventually(() => expect(outbox.stats().diskBytes).toBeGreaterThan(2_000_000));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    state.away = false;
    for (const number of range(300, 320)) {
      outbox.send([record(number, 10_000)]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await eventually(() => expect(taken).toHaveLength(320));
    expect(numbers(taken)).toEqual(range(0, 320));
    expect(taken[17]).toEqual({ ...record(17, 10_000), value: taken[17]?.value });
    expect(Buffer.compare(Buffer.from(taken[17]!.value!), Buffer.from(record(17, 10_000).value!))).toBe(0);
    await eventually(() => expect(readdirSync(directory)).toEqual([]));
    expect(outbox.stats()).toMatchObject({ droppedRecords: 0, waitingBytes: 0 });
  });

  it('survives a restart: the next run sends what the last one could not, first', async () => {
    const away = createLog();
    away.state.away = true;
    const directory = freshDirectory();
    const first = open(away.log, directory, 3e6);
    for (const number of range(0, 100)) first.send([record(number, 10_000)]);
    await first.drain(50);
    expect(away.taken).toHaveLength(0);

    const { log, taken } = createLog();
    const second = open(log, directory);
    for (const number of range(100, 110)) second.send([record(number)]);
    await eventually(() => expect(taken).toHaveLength(110));
    expect(numbers(taken)).toEqual(range(0, 110));
    await eventually(() => expect(readdirSync(directory)).toEqual([]));
  });

  it('drops the oldest above the bound of the disk, counts every byte of it and says so', async () => {
    const { log, taken, state } = createLog();
    let losses = 0;
    const outbox = open(log, freshDirectory(), 200_000, 3_000_000, () => losses++);
    state.away = true;
    for (const number of range(0, 600)) {
      outbox.send([record(number, 10_000)]);
      await roomInMemory(outbox, 250_000);
    }
    await eventually(() => expect(outbox.stats().droppedRecords).toBeGreaterThan(100));
    expect(outbox.stats().diskBytes).toBeLessThanOrEqual(3_000_000);
    expect(losses).toBeGreaterThan(0);
    state.away = false;
    await eventually(() => expect(outbox.stats().waitingBytes).toBe(0));
    const { droppedRecords, droppedBytes } = outbox.stats();
    expect(taken.length + droppedRecords).toBe(600);
    expect(droppedBytes).toBeGreaterThanOrEqual(droppedRecords * 10_000);
    const sent = numbers(taken);
    expect(sent).toEqual([...sent].sort((a, b) => a - b));
    expect(sent.at(-1)).toBe(599);
  });

  it('drops the oldest of memory when there is no disk', async () => {
    const { log, taken, state } = createLog();
    let losses = 0;
    const outbox = open(log, null, 100_000, 1e9, () => losses++);
    state.away = true;
    outbox.send([record(0)]);
    await eventually(() => expect(outbox.stats().failing).not.toBeNull());
    for (const number of range(1, 300)) outbox.send([record(number)]);
    expect(outbox.stats().waitingBytes).toBeLessThan(110_000);
    expect(losses).toBe(outbox.stats().droppedRecords);
    state.away = false;
    await eventually(() => expect(outbox.stats().waitingBytes).toBe(0));
    expect(taken.length + outbox.stats().droppedRecords).toBe(300);
    expect(numbers(taken).at(-1)).toBe(299);
  });

  it('sends up to where a file is damaged or cut off, and counts the rest as lost', async () => {
    const directory = freshDirectory();
    const away = createLog();
    away.state.away = true;
    const first = open(away.log, directory);
    for (const number of range(0, 20)) first.send([record(number)]);
    await first.drain(20);
    const files = readdirSync(directory).sort();
    const path = join(directory, files.at(-1)!);
    const bytes = readFileSync(path);
    const whole = decodeSegment(bytes);
    // Somewhere in the value of the last record.
    bytes[bytes.length - 5]! ^= 1;
    writeFileSync(path, bytes);
    writeFileSync(join(directory, '1-1.spool'), 'not a segment at all');
    writeFileSync(join(directory, '2-1.spool.new'), 'half written');

    const { log, taken } = createLog();
    const second = open(log, directory);
    await eventually(() => expect(readdirSync(directory)).toEqual([]));
    expect(whole.damagedBytes).toBe(0);
    expect(numbers(taken)).toEqual(range(0, 19));
    expect(second.stats().droppedRecords).toBe(2);
  });

  it('keeps to memory when the directory takes nothing, and goes on', async () => {
    const { log, taken, state } = createLog();
    const directory = freshDirectory();
    const outbox = open(log, directory, 100_000);
    state.away = true;
    rmSync(directory, { recursive: true });
    for (const number of range(0, 300)) outbox.send([record(number)]);
    await eventually(() => expect(outbox.stats().droppedRecords).toBeGreaterThan(0));
    state.away = false;
    await eventually(() => expect(outbox.stats().waitingBytes).toBe(0));
    expect(taken.length + outbox.stats().droppedRecords).toBe(300);
    expect(numbers(taken)).toEqual([...numbers(taken)].sort((a, b) => a - b));

    const file = join(root, 'a-file');
    writeFileSync(file, '');
    const other = open(log, join(file, 'spool'));
    other.send([record(1)]);
    await eventually(() => expect(other.stats().sentRecords).toBe(1));
  });

  it('leaves out the one record that the log will never take', async () => {
    const { log, taken, state } = createLog();
    state.away = true;
    state.maxValue = 5000;
    const outbox = open(log, null);
    for (const number of range(0, 10)) outbox.send([record(number, number === 4 ? 6000 : 1000)]);
    await eventually(() => expect(outbox.stats().failing).not.toBeNull());
    state.away = false;
    await eventually(() => expect(taken).toHaveLength(9));
    expect(numbers(taken)).toEqual([0, 1, 2, 3, 5, 6, 7, 8, 9]);
    expect(outbox.stats()).toMatchObject({ droppedRecords: 1, droppedBytes: 6000 });
  });

  it('holds records until others come, and sends all of them in one request', async () => {
    const { log, requests } = createLog();
    const outbox = open(log, null);
    outbox.send([record(0)], 60_000);
    outbox.send([record(1), record(2)], 60_000);
    await pause(50);
    expect(requests).toEqual([]);
    expect(outbox.stats()).toMatchObject({ waitingBytes: 0, failing: null });
    outbox.send([record(3)]);
    await eventually(() => expect(requests).toEqual([[0, 1, 2, 3]]));
  });

  it('holds them no longer than it may when nothing comes', async () => {
    const { log, requests } = createLog();
    const outbox = open(log, null);
    outbox.send([record(0)], 50);
    await eventually(() => expect(requests).toEqual([[0]]));
    outbox.send([record(1)], 60_000);
    await pause(50);
    expect(requests).toEqual([[0]]);
  });

  it('holds nothing behind what the log does not take', async () => {
    const { log, taken, state } = createLog();
    const outbox = open(log, null);
    state.away = true;
    outbox.send([record(0)]);
    await eventually(() => expect(outbox.stats().failing).toBe('broker is away'));
    outbox.send([record(1)], 60_000);
    expect(outbox.stats().waitingBytes).toBeGreaterThan(2_000);
    state.away = false;
    await eventually(() => expect(numbers(taken)).toEqual([0, 1]));
  });

  it('sends what it holds when it is drained, or leaves it on disk', async () => {
    const { log, taken } = createLog();
    const outbox = open(log, null);
    outbox.send([record(0)], 60_000);
    await outbox.drain(5_000);
    expect(numbers(taken)).toEqual([0]);

    const directory = freshDirectory();
    const away = createLog();
    away.state.away = true;
    const other = open(away.log, directory);
    other.send([record(1)], 60_000);
    await other.drain(20);
    open(log, directory);
    await eventually(() => expect(numbers(taken)).toEqual([0, 1]));
  });

  it('ends at the deadline although the log does not answer, and loses nothing', async () => {
    const directory = freshDirectory();
    const hanging = createLog();
    hanging.state.hangs = true;
    const outbox = open(hanging.log, directory);
    for (const number of range(0, 5)) outbox.send([record(number)]);
    await outbox.drain(20);
    const { log, taken } = createLog();
    open(log, directory);
    await eventually(() => expect(numbers(taken)).toEqual(range(0, 5)));
  });
});

describe('a segment', () => {
  it('gives back what was put in, and of any cut the records before it', () => {
    const records = range(0, 5).map((number) => record(number, 10 * number));
    const bytes = encodeSegment(records);
    const { records: back, damagedBytes } = decodeSegment(bytes);
    expect(damagedBytes).toBe(0);
    expect(back.map(({ value, ...rest }) => ({ ...rest, value: Buffer.from(value!) }))).toEqual(records);
    for (let cut = 0; cut < bytes.length; cut++) {
      const { records: some, damagedBytes: rest } = decodeSegment(bytes.subarray(0, cut));
      expect(numbers(some)).toEqual(range(0, some.length));
      expect(encodeSegment(records.slice(0, some.length)).length + rest).toBe(cut);
    }
  });
});
