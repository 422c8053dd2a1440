import { randomBytes } from 'node:crypto';
import {
  encodeFindingRecord,
  findingKey,
  processKey,
  Topic,
  TOPICS,
  type Finding,
  type FindingRecord,
  type LeakState,
  type NodeId,
} from '@tidemark/contracts';
import { createControlSender } from '@tidemark/control';
import { createMemoryEventLog, type EventLog, type LogRecord } from '@tidemark/event-log';
import { startGraphServer, startLiveFeed } from '@tidemark/graph';
import { createLiveView } from '@tidemark/live';
import { Registry, silentLogger } from '@tidemark/service';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { graphqlClient, type GraphqlClient } from './support/graphql-client.js';
import { until } from './support/until.js';

const NODE = 'web-1' as NodeId;

interface Api extends GraphqlClient {
  stop(): Promise<void>;
}
interface Told {
  id: string;
  state: string;
  acknowledgement: { note: string | null } | null;
}

describe('API instances side by side share nothing but the log', () => {
  let log: EventLog;
  const apis: Api[] = [];
  beforeEach(async () => {
    log = await createMemoryEventLog();
    await log.ensureTopics(TOPICS);
  });
  afterEach(async () => {
    await Promise.all(apis.splice(0).map((api) => api.stop()));
    await log.close(2_000);
  });

  async function start(): Promise<Api> {
    const feed = startLiveFeed({ log, live: createLiveView(), logger: silentLogger });
    await feed.ready;
    const server = await startGraphServer({
      ...{ log, control: createControlSender(log), feed, history: null, logger: silentLogger, metrics: new Registry() },
      ...{ version: '0.1.0', port: 0 },
    });
    let stopping: Promise<void> | undefined;
    const api = {
      ...graphqlClient(server.url),
      stop: () => (stopping ??= server.drain(2_000).then(() => feed.drain(2_000))),
    };
    apis.push(api);
    return api;
  }

  const finding = (pid: number, openedAt: number, state: LeakState, at = openedAt): Finding => {
    const key = processKey(NODE, 'boot-1', pid, 1);
    return {
      ...{ v: 1, type: 'finding', id: `${key}@${openedAt}`, kind: 'PROCESS_LEAK', subject: key, node: NODE },
      process: { key, pid, program: 'server', commandLine: null, user: null },
      ...{ service: 'server', state, previous: 'GROWING', imminent: false, confidence: 1, openedAt, at, bytes: 1 },
      // Nothing that gzip could make small: what is superseded must weigh something.
      ...{ limit: null, growth: null, secondsToExhaustion: null, message: randomBytes(900).toString('hex') },
      evidence: {},
    };
  };
  const report = (...records: FindingRecord[]): Promise<void> =>
    log.append(records.map((one) => ({ topic: Topic.Findings, key: findingKey(one), ...encodeFindingRecord(one) })));

  const FIELDS = 'id state acknowledgement { note }';
  async function findings(api: Api): Promise<Told[]> {
    const query = `{ findings(first: 100) { nodes { ${FIELDS} } } }`;
    return (await api.query<{ findings: { nodes: Told[] } }>(query)).findings.nodes;
  }
  const isOpen = ({ state }: Told): boolean => state === 'SUSPECTED' || state === 'CONFIRMED';
  const openOf = async (api: Api): Promise<Told[]> => (await findings(api)).filter(isOpen);
  const acknowledge = (api: Api, id: string, note: string): Promise<unknown> =>
    api.query('mutation ($id: ID!, $note: String) { acknowledgeFinding(id: $id, note: $note) { id } }', { id, note });

  async function recordsInLog(): Promise<number> {
    const records: LogRecord[] = [];
    const assign = () => ({ handle: async (batch: readonly LogRecord[]) => void records.push(...batch) });
    const reader = await log.subscribe({ topic: Topic.Findings, group: '', ephemeral: true, from: 'earliest', assign });
    await reader.ready;
    let before = -1;
    while (records.length !== before) {
      before = records.length;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    await reader.drain(1_000);
    return records.length;
  }

  it('subscriptions on both tell the same findings, and what is acknowledged on one is so on the other', async () => {
    const [one, two] = [await start(), await start()];
    const query = `subscription { leakSuspected(includeOpen: true) { ${FIELDS} } }`;
    const followed = [one, two].map((api) => api.subscribe<{ leakSuspected: Told }>(query));
    const before = finding(1, 1_000, 'SUSPECTED');
    await report(before);
    await until('the first finding on both', () => followed.every(({ received }) => received.length > 0));
    for (let pid = 2; pid <= 20; pid++) await report(finding(pid, pid * 1_000, 'SUSPECTED'));
    const seen = () =>
      followed.map(({ received }) => [...new Set(received.map(({ leakSuspected }) => leakSuspected.id))].toSorted());
    await until('all findings on both', () => seen().every((ids) => ids.length === 20));
    expect(seen()[0]).toEqual(seen()[1]);

    await acknowledge(one, before.id, 'known');
    await until('the acknowledgement on the other', async () =>
      (await findings(two)).some(({ id, acknowledgement }) => id === before.id && acknowledgement?.note === 'known'),
    );
    await Promise.all(followed.map((one) => one.stop()));

    await one.stop();
    const restarted = await start();
    await until('all findings after the restart', async () => (await findings(restarted)).length === 20);
    await until('the acknowledgement after the restart', async () =>
      (await findings(restarted)).some(({ acknowledgement }) => acknowledgement !== null),
    );
    expect(await findings(restarted)).toEqual(await findings(two));
  });

  it('after compaction a new one knows every open finding with its acknowledgement', async () => {
    const old = await start();
    const pids = [1, 2, 3, 4, 5, 6];
    for (const pid of pids) {
      await report(finding(pid, 1_000, 'SUSPECTED'), finding(pid, 1_000, 'CLEARED', 2_000));
      await report(finding(pid, 5_000, 'SUSPECTED'));
    }
    await until('all findings', async () => (await openOf(old)).length === pids.length);
    for (const [index, { id }] of (await openOf(old)).entries())
      if (index % 2 === 0) await acknowledge(old, id, 'seen');
    // Said again and again, until there is enough to let go.
    for (let at = 5_001; at < 5_300; at++) await report(...pids.map((pid) => finding(pid, 5_000, 'CONFIRMED', at)));
    const keys = pids.length + pids.length / 2;
    await until('the compaction', async () => {
      await report(...pids.map((pid) => finding(pid, 5_000, 'CONFIRMED', 6_000)));
      return (await recordsInLog()) < 600;
    });
    expect(await recordsInLog()).toBeGreaterThanOrEqual(keys);
    await until('the last state', async () => (await openOf(old)).every(({ state }) => state === 'CONFIRMED'));
    const fresh = await start();
    await until('all findings again', async () => (await openOf(fresh)).length === pids.length);
    await until(
      'their acknowledgements',
      async () => (await openOf(fresh)).filter(({ acknowledgement }) => acknowledgement).length === pids.length / 2,
    );
    expect(await openOf(fresh)).toEqual(await openOf(old));
    // What was over before is history's to tell.
    expect((await findings(fresh)).length).toBeLessThan((await findings(old)).length);
  });
});
