import { encodeNodeRecord, encodeSampleChunk, toNodeId, Topic, TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { createLiveView, type LiveChange } from '@tidemark/live';
import { createSimulatedHost } from '@tidemark/live/simulated-host';
import { Registry, silentLogger } from '@tidemark/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { until } from '../testing/test-graph.js';
import { startLiveFeed, type LiveFeed, type LiveFeedOptions } from './live-feed.js';

let log: EventLog;
const feeds: LiveFeed[] = [];
beforeEach(async () => {
  log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
});
afterEach(async () => {
  for (const feed of feeds.splice(0)) await feed.drain(1000);
  await log.close(1000);
});

async function start(options: Partial<LiveFeedOptions> = {}): Promise<LiveFeed> {
  const feed = startLiveFeed({ log, live: createLiveView(), logger: silentLogger, ...options });
  feeds.push(feed);
  await feed.ready;
  return feed;
}

const append = (topic: string, key: string, value: Uint8Array | null, more: object = {}) =>
  log.append([{ topic, key, value, ...more }]);

describe('a live feed', () => {
  it('catches up with what was sent before it started', async () => {
    const host = createSimulatedHost('a');
    host.spawn(1);
    await append(
      Topic.Nodes,
      'a',
      encodeNodeRecord(host.heartbeat(Date.now())).value,
      encodeNodeRecord(host.heartbeat(Date.now())),
    );
    for (const chunk of host.round(Date.now())) await append(Topic.Samples, 'a', null, encodeSampleChunk(chunk));
    const { live } = await start();
    await until(() => live.process('a', 1) !== undefined && live.node('a')?.record !== null, 'the past');
    expect(live.node('a')?.stale).toBe(false);
  });

  it('does not take old news for a sign of life', async () => {
    const host = createSimulatedHost('a');
    const old = Date.now() - 60_000;
    for (const chunk of host.round(old))
      await append(Topic.Samples, 'a', null, { ...encodeSampleChunk(chunk), timestamp: old });
    const { live } = await start();
    await until(() => live.node('a') !== undefined, 'the node');
    expect(live.node('a')?.lastSeen).toBe(old);
    await until(() => live.node('a')?.state === 'INACTIVE', 'the silence');
  });

  it('passes over records that cannot be read, counts them, and goes on', async () => {
    const registry = new Registry();
    const { live, health } = await start({ registry });
    const host = createSimulatedHost('a');
    const [chunk] = host.round(Date.now());
    const json = (value: unknown) => Buffer.from(JSON.stringify(value));
    const bad = [
      Buffer.from('not json'),
      Buffer.alloc(0),
      json({ ...chunk, v: 99 }),
      json({ ...chunk, procs: { pid: [-1], start: [0] } }),
      json({ ...chunk, procs: { pid: Array.from({ length: 20_001 }, () => 1), start: [] } }),
      Buffer.from(`${'['.repeat(5_000_000)}`),
      encodeSampleChunk(chunk!).value.subarray(0, 20),
    ];
    for (const value of bad) await append(Topic.Samples, 'a', value);
    await append(Topic.Samples, 'a', bad[0]!, { headers: { encoding: 'gzip' } });
    await append(Topic.Nodes, 'a', Buffer.from('{}'));
    await append(Topic.Findings, 'a', Buffer.from('{}'));
    await append(Topic.Samples, 'a', null, encodeSampleChunk(chunk!));
    await until(() => live.node('a') !== undefined, 'the good chunk');
    await until(
      async () => (await registry.metrics()).includes('tidemark_live_rejected_records_total 10'),
      'ten rejected',
    );
    expect(health()).toMatchObject({
      live: true,
      ready: true,
      detail: expect.stringContaining('10 records could not be read') as string,
    });
  });

  it('removes a node by its tombstone', async () => {
    const { live } = await start();
    const record = encodeNodeRecord(createSimulatedHost('a').heartbeat(Date.now()));
    await append(Topic.Nodes, 'a', null, record);
    await until(() => live.node('a') !== undefined, 'the node');
    await append(Topic.Nodes, 'a', null);
    await until(() => live.node('a') === undefined, 'its removal');
  });

  it('asks history for last figures, and tells its own changes', async () => {
    const memory = { total: 10, available: 5, used: 5, free: 5 };
    const changes: LiveChange[] = [];
    const { live } = await start({
      seed: () => Promise.resolve([{ node: toNodeId('a'), memory }]),
      onChange: (change) => changes.push(change),
    });
    const host = createSimulatedHost('a');
    host.spawn(1);
    for (const chunk of host.round(Date.now())) await append(Topic.Samples, 'a', null, encodeSampleChunk(chunk));
    await until(() => changes.length === 1, 'the change');
    expect(changes[0]).toMatchObject({ node: 'a', outcome: 'applied', rows: 1 });
    expect(live.node('a')?.system.memory).toEqual(memory);
  });

  it('waits for a log that is away for a moment', async () => {
    const away = Object.assign(new Error('no broker'), { retriable: true });
    vi.spyOn(log, 'lag').mockRejectedValueOnce(away);
    vi.spyOn(log, 'subscribe').mockRejectedValueOnce(away);
    const feed = startLiveFeed({ log, live: createLiveView(), logger: silentLogger });
    await feed.ready;
    expect(feed.health()).toMatchObject({ live: true, ready: true });
    await feed.drain(1000);
  });

  it('says when the log cannot be subscribed to', async () => {
    vi.spyOn(log, 'subscribe').mockRejectedValue(new Error('no broker'));
    const feed = startLiveFeed({ log, live: createLiveView(), logger: silentLogger });
    await expect(feed.ready).rejects.toThrow('no broker');
    expect(feed.health()).toEqual({ live: false, ready: false, detail: 'event log: no broker' });
    await feed.drain(1000);
  });
});
