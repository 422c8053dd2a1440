import {
  controlKey,
  deadLetterTopic,
  decodeControlRecord,
  encodeControlRecord,
  Topic,
  TOPICS,
  type ControlListener,
  type ControlRecord,
  type NodeId,
  type TraceRequestRecord,
} from '@tidemark/contracts';
import { createMemoryEventLog, DeadLetterHeader, type EventLog, type LogRecord } from '@tidemark/event-log';
import { Registry, type Logger } from '@tidemark/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createControlChannel, type ControlChannelOptions } from './control-channel.js';
import { createControlSender } from './control-sender.js';

const NODE = 'web-1' as NodeId;
const OTHER = 'web-10' as NodeId;

let log: EventLog;
let registry: Registry;
let said: { level: string; fields: object; message: string }[];
const listeners: ControlListener[] = [];

beforeEach(async () => {
  log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
  registry = new Registry();
  said = [];
});
afterEach(async () => {
  await Promise.all(listeners.splice(0).map((listener) => listener.drain(2_000)));
  await log.close(1_000);
});

const logger: Logger = {
  debug: (fields, message) => void said.push({ level: 'debug', fields, message }),
  info: (fields, message) => void said.push({ level: 'info', fields, message }),
  warn: (fields, message) => void said.push({ level: 'warn', fields, message }),
  error: (fields, message) => void said.push({ level: 'error', fields, message }),
  child: () => logger,
};

const request = (pid: number, id = `request-${pid}`, node = NODE): TraceRequestRecord => ({
  ...{ v: 1, type: 'trace-request', id, node, pid, start: null, action: 'START', mode: 'SAMPLED' },
  ...{ sampleInterval: null, maxFrames: null, requestedAt: 1_000, expiresAt: 61_000 },
});

async function listen(
  hear: (record: ControlRecord) => void | Promise<void>,
  over: Partial<ControlChannelOptions> = {},
): Promise<ControlListener> {
  const channel = createControlChannel({ log, node: NODE, logger, registry, retryMs: 1, ...over });
  const listener = await channel.listen(hear);
  listeners.push(listener);
  return listener;
}

const until = (check: () => unknown): Promise<void> =>
  vi.waitFor(async () => void (await check()), { timeout: 20_000, interval: 5 });

const counted = async (name: string): Promise<number> =>
  (await registry.getSingleMetric(name)!.get()).values[0]?.value ?? 0;

async function deadLetters(): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  const assign = () => ({ handle: async (batch: readonly LogRecord[]) => void records.push(...batch) });
  const topic = deadLetterTopic(Topic.Control);
  const reader = await log.subscribe({ topic, group: '', ephemeral: true, from: 'earliest', assign });
  await reader.ready;
  const expected = (await log.lag(topic, 'count')).reduce((sum, { end }) => sum + end, 0);
  await until(() => expect(records).toHaveLength(expected));
  return records;
}

describe('the control channel', () => {
  it('hears what was written before, and that it has heard it all, then what comes', async () => {
    const { send } = createControlSender(log);
    for (const pid of [1, 2, 3, 4, 5]) await send(request(pid));
    const heard: number[] = [];
    const listener = await listen((record) => void heard.push(record.pid), { quietMs: 60_000 });
    await listener.caughtUp;
    expect(heard.toSorted()).toEqual([1, 2, 3, 4, 5]);
    await send(request(6));
    await until(() => expect(heard).toHaveLength(6));
  });

  it('takes silence for the end where retention left nothing to read', async () => {
    vi.spyOn(log, 'lag').mockResolvedValue([{ partition: 0, committed: undefined, end: 7, lag: 7 }]);
    const listener = await listen(() => {}, { quietMs: 50 });
    await listener.caughtUp;
  });

  it('hears nothing of other nodes, those with a longer name included', async () => {
    const heard: ControlRecord[] = [];
    await listen((record) => void heard.push(record));
    const { send } = createControlSender(log);
    await send(request(1, 'other', OTHER));
    await send(request(1, 'mine'));
    await until(() => expect(heard).toEqual([request(1, 'mine')]));
    expect(await counted('tidemark_control_records_total')).toBe(1);
  });

  it('keeps the order of a pid, each record after the last one was handled', async () => {
    const heard: string[] = [];
    let inside = 0;
    await listen(async ({ id }) => {
      expect(++inside).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 2));
      heard.push(id);
      inside--;
    });
    const { send } = createControlSender(log);
    const ids = Array.from({ length: 50 }, (_, index) => `request-${index}`);
    await Promise.all(ids.map((id) => send(request(7, id))));
    await until(() => expect(heard).toHaveLength(50));
    expect(heard).toEqual(ids);
  });

  it('passes over what is damaged, and puts it aside with the reason', async () => {
    const heard: string[] = [];
    await listen((record) => void heard.push(record.id));
    const key = controlKey(NODE, 7);
    const good = encodeControlRecord(request(7));
    const append = (value: Uint8Array | null, headers = {}) =>
      log.append([{ topic: Topic.Control, key, value, headers }]);
    await append(Buffer.from('{"v":1'));
    await append(Buffer.from(JSON.stringify({ ...request(7), pid: -1 })));
    await append(Buffer.from(JSON.stringify({ ...request(7), type: 'trace-song' })));
    await append(good.value, { ...good.headers, encoding: 'rot13' });
    await append(null);
    await log.append([{ topic: Topic.Control, key, ...encodeControlRecord(request(8)) }]);
    await log.append([{ topic: Topic.Control, key, ...good }]);
    await until(() => expect(heard).toEqual(['request-7']));
    const letters = await deadLetters();
    expect(await counted('tidemark_control_rejected_total')).toBe(letters.length);
    expect(letters.length).toBeGreaterThanOrEqual(4);
    for (const { headers } of letters) expect(headers[DeadLetterHeader.Code]).toMatch(/^CONTRACT_/);
    expect(said.filter(({ level }) => level === 'warn')).toHaveLength(letters.length);
  });

  it('puts aside what came while it listened, and not again at the next start', async () => {
    const key = controlKey(NODE, 7);
    await log.append([{ topic: Topic.Control, key, value: Buffer.from('no'), headers: {} }]);
    const listener = await listen(() => {});
    await listener.caughtUp;
    expect(await counted('tidemark_control_rejected_total')).toBe(1);
    expect(await deadLetters()).toEqual([]);
  });

  it('tries a handler that fails a bounded number of times, tells its own reason, and goes on', async () => {
    const tries: string[] = [];
    await listen(
      ({ id }) => {
        tries.push(id);
        if (id === 'bad') throw Object.assign(new Error('the desk is on fire'), { retriable: true });
        if (id === 'slow' && tries.filter((one) => one === 'slow').length < 3) throw new Error('not yet');
      },
      { maxTries: 3 },
    );
    const { send } = createControlSender(log);
    for (const id of ['bad', 'slow', 'good']) await send(request(7, id));
    await until(() => expect(tries.at(-1)).toBe('good'));
    expect(tries).toEqual(['bad', 'bad', 'bad', 'slow', 'slow', 'slow', 'good']);
    const [letter, ...more] = await deadLetters();
    expect(more).toEqual([]);
    expect(decodeControlRecord(letter!.value!, letter!.headers)).toMatchObject({ id: 'bad' });
    expect(letter!.headers[DeadLetterHeader.Reason]).toBe('the desk is on fire');
    expect(letter!.headers[DeadLetterHeader.Tries]).toBe('3');
    expect(await counted('tidemark_control_failed_total')).toBe(1);
    expect(await counted('tidemark_control_retries_total')).toBe(5);
    expect(said.filter(({ level }) => level === 'error')).toEqual([
      expect.objectContaining({ fields: expect.objectContaining({ error: 'the desk is on fire' }) as object }),
    ]);
  });

  it('drains in the middle of a retry', async () => {
    let tries = 0;
    const listener = await listen(
      () => {
        tries++;
        throw new Error('never');
      },
      { maxTries: 1_000_000, retryMs: 50 },
    );
    await createControlSender(log).send(request(7));
    await until(() => expect(tries).toBeGreaterThan(0));
    await listener.drain(5_000);
    const before = tries;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(tries).toBe(before);
    expect(await deadLetters()).toEqual([]);
  });

  it('says through its own promise that the log does not take a record', async () => {
    const { send } = createControlSender(log);
    await log.close(1_000);
    await expect(send(request(7))).rejects.toMatchObject({ code: 'EVENT_LOG_CLOSED' });
  });

  it('does not start on a topic that cannot be read', async () => {
    await log.close(1_000);
    const channel = createControlChannel({ log, node: NODE, logger, registry });
    await expect(channel.listen(() => {})).rejects.toMatchObject({ code: 'EVENT_LOG_CLOSED' });
  });

  it('waits for a log that is away for a moment', async () => {
    const away = Object.assign(new Error('no broker answers'), { retriable: true });
    vi.spyOn(log, 'lag').mockRejectedValueOnce(away);
    vi.spyOn(log, 'subscribe').mockRejectedValueOnce(away);
    const heard: ControlRecord[] = [];
    await listen((record) => void heard.push(record));
    await createControlSender(log).send(request(7));
    await until(() => expect(heard).toHaveLength(1));
  });

  it('wakes Nest with the first record for the node, and lets what it says be seen in our log alone', async () => {
    const write = vi.spyOn(process.stdout, 'write');
    const heard: ControlRecord[] = [];
    const listener = await listen((record) => void heard.push(record));
    await listener.caughtUp;
    const { send } = createControlSender(log);
    const ofNest = (): boolean => said.some(({ fields }) => (fields as { from?: string }).from === 'nest');
    await send(request(7, 'other', OTHER));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(ofNest()).toBe(false);
    await Promise.all(['one', 'two', 'three'].map((id) => send(request(7, id))));
    await until(() => expect(heard.map(({ id }) => id)).toEqual(['one', 'two', 'three']));
    expect(ofNest()).toBe(true);
    expect(write).not.toHaveBeenCalled();
    write.mockRestore();
  });

  it('is not woken once it drains', async () => {
    const heard: ControlRecord[] = [];
    const listener = await listen((record) => void heard.push(record));
    await listener.drain(1_000);
    await createControlSender(log).send(request(7));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(heard).toEqual([]);
  });
});
