import { Topic, TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog, EventLogError, type EventLog } from '@tidemark/event-log';
import { silentLogger } from '@tidemark/service';
import { afterEach, describe, expect, it } from 'vitest';
import { openPatiently, type PatientLogOptions } from './patient-log.js';

const away = () => new EventLogError('EVENT_LOG_UNAVAILABLE', 'no broker answers', true);
const record = { topic: Topic.Nodes, key: 'a', value: Buffer.from('1') };
const closing: (() => Promise<void>)[] = [];
afterEach(async () => void (await Promise.all(closing.splice(0).map((close) => close()))));

function instead(log: EventLog, other: Partial<EventLog>): EventLog {
  return {
    ensureTopics: (topics) => log.ensureTopics(topics),
    append: (records) => log.append(records),
    subscribe: (options) => log.subscribe(options),
    lag: (topic, group) => log.lag(topic, group),
    metrics: () => log.metrics(),
    close: (deadlineMs) => log.close(deadlineMs),
    ...other,
  };
}

/** A log whose connection succeeds when `isThere` says so, and that can be cut off again. */
function open(options: Partial<PatientLogOptions> = {}) {
  const broker = { isThere: false, tries: 0, cut: false };
  const stop = new AbortController();
  const inner = createMemoryEventLog();
  const patient = openPatiently({
    topics: TOPICS,
    logger: silentLogger,
    stopping: stop.signal,
    retry: { initialMs: 5, maxMs: 10 },
    probeMs: 0,
    async open(): Promise<EventLog> {
      broker.tries++;
      if (!broker.isThere) throw away();
      const log = await inner;
      const unlessCut = <T>(work: () => Promise<T>) => (broker.cut ? Promise.reject(away()) : work());
      return instead(log, {
        append: (records) => unlessCut(() => log.append(records)),
        lag: (topic, group) => unlessCut(() => log.lag(topic, group)),
      });
    },
    ...options,
  });
  closing.push(async () => {
    await patient.log.close(100);
    await (await inner).close(100);
  });
  return { patient, broker, stop };
}

async function until(ask: () => boolean): Promise<void> {
  while (!ask()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('a log that may be away', () => {
  it('refuses records, retriable, until it is there, and then takes them', async () => {
    const { patient, broker } = open();
    await expect(patient.log.append([record])).rejects.toMatchObject({
      code: 'EVENT_LOG_UNAVAILABLE',
      retriable: true,
    });
    await until(() => broker.tries > 2);
    expect(patient.health()).toEqual({ live: true, ready: false, detail: 'no broker answers' });
    expect(patient.log.metrics().appendedRecords).toBe(0);
    broker.isThere = true;
    await patient.opened;
    await patient.log.append([record]);
    expect(patient.health()).toMatchObject({ ready: true });
    expect(patient.log.metrics().appendedRecords).toBe(1);
  });

  it('makes the topics before anything is answered', async () => {
    const { patient, broker } = open();
    const lags = patient.log.lag(Topic.Samples, 'detect');
    broker.isThere = true;
    expect(await lags).toHaveLength(TOPICS.find(({ name }) => name === Topic.Samples)!.partitions);
  });

  it('keeps those who subscribe waiting, and lets them have every record', async () => {
    const { patient, broker } = open();
    const keys: string[] = [];
    const subscribing = patient.log.subscribe({
      ...{ topic: Topic.Nodes, group: 'x', from: 'earliest' },
      assign: (context) => ({
        async handle(records) {
          for (const one of records) keys.push(one.key);
          context.acknowledge(records.at(-1)!.offset);
        },
      }),
    });
    broker.isThere = true;
    await (
      await subscribing
    ).ready;
    await patient.log.append([record]);
    await until(() => keys.length === 1);
    expect(keys).toEqual(['a']);
  });

  it('tells that it went away, and that it is back', async () => {
    const { patient, broker } = open();
    broker.isThere = true;
    await patient.opened;
    broker.cut = true;
    await until(() => !patient.health().ready);
    expect(patient.health().detail).toBe('no broker answers');
    broker.cut = false;
    await until(() => patient.health().ready);
  });

  it('counts an answer that never comes as none', async () => {
    const { patient } = open({
      silenceMs: 20,
      open: async () => instead(await createMemoryEventLog(), { lag: () => new Promise(() => {}) }),
    });
    await patient.opened;
    await until(() => !patient.health().ready);
    expect(patient.health().detail).toMatch(/has not answered/);
  });

  it.each([
    ['EVENT_LOG_TOPIC_DIFFERS', 'topic x has 3 partitions, not 4'],
    ['EVENT_LOG_INVALID', 'user a or its password is wrong'],
  ] as const)('does not try again after %s', async (code, message) => {
    let tries = 0;
    const { patient } = open({
      open: () => {
        tries++;
        return Promise.reject(new EventLogError(code, message, false));
      },
    });
    await expect(patient.opened).rejects.toThrow(message);
    await expect(patient.log.lag(Topic.Nodes, 'x')).rejects.toThrow(message);
    expect(patient.health()).toMatchObject({ ready: false, detail: message });
    expect(tries).toBe(1);
  });

  it.each(['close', 'stop'] as const)('refuses whoever waits when it is to %s before it was there', async (how) => {
    const { patient, stop } = open({ open: () => new Promise(() => {}) });
    const lag = patient.log.lag(Topic.Nodes, 'x');
    if (how === 'close') await patient.log.close(100);
    else stop.abort();
    await expect(lag).rejects.toMatchObject({ code: 'EVENT_LOG_CLOSED' });
    await expect(patient.opened).rejects.toMatchObject({ code: 'EVENT_LOG_CLOSED' });
  });

  it('goes on taking records while the app stops, until it is closed', async () => {
    const { patient, broker, stop } = open();
    broker.isThere = true;
    await patient.opened;
    stop.abort();
    await patient.log.append([record]);
    await patient.log.close(100);
    await expect(patient.log.append([record])).rejects.toMatchObject({ code: 'EVENT_LOG_CLOSED' });
  });
});
