import { Topic, TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { Registry } from '@tidemark/service';
import { afterEach, describe, expect, it } from 'vitest';
import { registerLogMetrics } from './log-metrics.js';

const groups = [{ topic: Topic.Nodes, group: 'record' }];
const opened: EventLog[] = [];
afterEach(async () => void (await Promise.all(opened.splice(0).map((log) => log.close(100)))));

async function open(): Promise<EventLog> {
  const log = await createMemoryEventLog();
  opened.push(log);
  await log.ensureTopics(TOPICS);
  return log;
}

/** Values of the lag by partition, as Prometheus reads them. */
async function lags(registry: Registry): Promise<Record<string, number>> {
  const lines = (await registry.metrics()).matchAll(/^tidemark_log_lag_records\{([^}]*)\} (\d+)$/gm);
  return Object.fromEntries(
    [...lines].map(([, labels, value]) => [/partition="(\d+)"/.exec(labels!)![1]!, Number(value)]),
  );
}

describe('metrics of the log', () => {
  it('tell what was appended and the lag of every partition, exactly', async () => {
    const log = await open();
    const registry = new Registry();
    registerLogMetrics(registry, log, groups, { everyMs: 0 });
    const keys = Array.from({ length: 50 }, (_, index) => `node-${index}`);
    await log.append(keys.map((key) => ({ topic: Topic.Nodes, key, value: Buffer.from('1') })));
    const text = await registry.metrics();
    expect(text).toContain('\ntidemark_log_appended_records_total 50\n');
    expect(text).toContain('topic="mem.nodes.v1",group="record",partition="0"');
    const told = await lags(registry);
    expect(Object.keys(told)).toEqual(['0', '1', '2', '3']);
    expect(Object.values(told).reduce((sum, lag) => sum + lag)).toBe(50);
  });

  it('ask for the lag no more often than they may', async () => {
    const log = await open();
    let asked = 0;
    const counted = {
      metrics: () => log.metrics(),
      lag: (topic: string, group: string) => (asked++, log.lag(topic, group)),
    };
    const registry = new Registry();
    registerLogMetrics(registry, counted, groups, { everyMs: 60_000 });
    for (let scrape = 0; scrape < 5; scrape++) expect(Object.keys(await lags(registry))).toHaveLength(4);
    expect(asked).toBe(1);
  });

  it('do not wait for a log that is silent, and tell no lag when it refuses', async () => {
    const log = await open();
    const registry = new Registry();
    let answer: () => Promise<never> = () => new Promise(() => {});
    const silent = { metrics: () => log.metrics(), lag: () => answer() };
    registerLogMetrics(registry, silent, groups, { everyMs: 0, waitMs: 5 });
    expect(await lags(registry)).toEqual({});
    expect(await registry.metrics()).toContain('tidemark_log_rebalances_total 0');
    answer = () => Promise.reject(new Error('away'));
    const refusing = new Registry();
    registerLogMetrics(refusing, silent, groups, { everyMs: 0 });
    expect(await lags(refusing)).toEqual({});
  });
});
