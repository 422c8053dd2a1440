import { randomBytes } from 'node:crypto';
import { encodeSampleChunk, Topic, TOPICS, type SampleChunk } from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { createHistory, type History } from '@tidemark/history';
import { openTestHistory, simulateNode, type TestHistory } from '@tidemark/history/testing';
import { startRecord, type Stage } from '@tidemark/pipeline';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFaultyProxy, type Fault, type FaultyProxy } from './support/faulty-proxy.js';
import { until } from './support/until.js';

const RETRY = { initialMs: 40, maxMs: 400 };
const TIMEOUT_MS = 1_500;
/** Of samples; with what is delivered last it may be passed by one delivery. */
const WINDOW_BYTES = 8 * 2 ** 20;

const exception = (code: number, name: string, message: string, status = 500): Fault => ({
  ...{ kind: 'answer', status, code },
  body: `Code: ${code}. DB::Exception: ${message}. (${name}) (version 26.7.2.1 (official build))\n`,
});

/** A fault, and what health says of it. */
const FAULTS: [what: string, fault: Fault, said: RegExp][] = [
  ['closes connections', { kind: 'refuse' }, /does not answer while .*(socket hang up|ECONNRESET)/],
  ['takes requests and never answers', { kind: 'swallow' }, /does not answer while .*Timeout/],
  ['does what it is asked and its answers get lost', { kind: 'swallow-answer' }, /does not answer while .*Timeout/],
  [
    'is behind a balancer that says 503',
    { kind: 'answer', status: 503, body: '<html><h1>503 Service Unavailable</h1></html>' },
    /does not answer while .*503 Service Unavailable/,
  ],
  [
    'has too many parts',
    exception(252, 'TOO_MANY_PARTS', 'Too many parts (3000). Merges are slower'),
    /Too many parts/,
  ],
  ['has no memory left', exception(241, 'MEMORY_LIMIT_EXCEEDED', '(total) memory limit exceeded'), /memory limit/],
  ['has too many queries', exception(202, 'TOO_MANY_SIMULTANEOUS_QUERIES', 'Too many', 503), /refused .*Too many/],
  ['lost its Keeper', exception(242, 'TABLE_IS_READ_ONLY', 'Table is in readonly mode'), /readonly mode/],
  [
    'has a full disk',
    exception(243, 'NOT_ENOUGH_SPACE', 'Cannot reserve 1.00 MiB, not enough space'),
    /not enough space/,
  ],
  ['may only read', exception(164, 'READONLY', 'Cannot execute query in readonly mode', 403), /readonly mode/],
  ['got another password', { kind: 'password', password: 'rotated' }, /Authentication failed/],
];

describe('the record stage before a ClickHouse server that', () => {
  let test: TestHistory;
  let proxy: FaultyProxy;
  let history: History;
  let log: EventLog;
  let stage: Stage;
  let registry: Registry;
  let serial = 0;

  beforeAll(async () => {
    test = await openTestHistory();
    proxy = await startFaultyProxy(test.options.url);
  });
  afterAll(async () => {
    await proxy.close();
    await test.close();
  });
  beforeEach(async () => {
    proxy.fault = undefined;
    history = createHistory({ ...test.options, url: proxy.url, timeoutMs: TIMEOUT_MS });
    log = await createMemoryEventLog();
    await log.ensureTopics(TOPICS);
    registry = new Registry();
    stage = startRecord({ log, history, logger: silentLogger, registry, flushMs: 20, retry: RETRY });
    await stage.ready;
  });
  afterEach(async () => {
    proxy.fault = undefined;
    await stage.drain(5_000);
    await log.close(1_000);
    await history.close();
  });

  const simulate = (rounds: number, processes: number, keyframeEvery = 10): SampleChunk[] => {
    serial++;
    const from = Date.now() - rounds * 1_000;
    const options = {
      node: `node-${serial}`,
      from,
      rounds,
      roundMs: 1_000,
      processes,
      seed: serial,
      keyframeEvery,
    };
    return simulateNode(options).chunks;
  };

  const send = (chunks: readonly SampleChunk[]): Promise<void> =>
    log.append(chunks.map((chunk) => ({ topic: Topic.Samples, key: chunk.node, ...encodeSampleChunk(chunk) })));

  async function metric(name: string): Promise<number> {
    const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith(name));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  const caughtUp = (): Promise<unknown> =>
    until('the log to be in history', async () =>
      (await log.lag(Topic.Samples, 'record')).every(({ lag }) => lag === 0),
    );

  /** Raw rows are those of the chunks, each once; each minute's last and least is that of its raw rows. */
  async function expectExactly(chunks: readonly SampleChunk[]): Promise<void> {
    const parameters = { node: chunks[0]!.node };
    const stored = await test.connection.query<{ row: string }>(
      `SELECT concatWithSeparator(' ', toString(pid), toString(toUnixTimestamp64Milli(at)), ifNull(toString(rss), '-')) AS row
       FROM process_samples WHERE node = {node:String} ORDER BY row`,
      parameters,
    );
    const wanted = chunks.flatMap(({ at, procs }) =>
      procs.pid.map((pid, index) => `${pid} ${at} ${procs.rss?.[index] ?? '-'}`),
    );
    expect(stored.length).toBe(wanted.length);
    expect(stored.map(({ row }) => row)).toEqual(wanted.sort());
    const wrong = await test.connection.query(
      `SELECT * FROM (
         SELECT pid, start, toStartOfMinute(at) AS time, max(at) AS last_at, min(rss) AS least, argMax(rss, at) AS last
         FROM process_samples WHERE node = {node:String} GROUP BY ALL
       ) AS raw FULL JOIN (
         SELECT pid, start, time, last_at, rss_min AS least, rss_last AS last
         FROM process_samples_1m FINAL WHERE node = {node:String}
       ) AS rollup USING (pid, start, time)
       WHERE raw.last_at != rollup.last_at OR raw.least != rollup.least OR raw.last != rollup.last`,
      parameters,
    );
    expect(wrong).toEqual([]);
  }

  it.each(FAULTS)(
    '%s waits, says why, and goes on by itself with each row once',
    { timeout: 120_000 },
    async (_, fault, said) => {
      const chunks = simulate(12, 4);
      await send(chunks.slice(0, 4));
      await caughtUp();
      proxy.fault = fault;
      const since = performance.now();
      await send(chunks.slice(4));
      await until('health to say it', () => said.test(stage.health().detail ?? ''));
      await until('some tries', async () => (await metric('tidemark_record_retries_total')) >= 3);
      expect(stage.health()).toMatchObject({ live: true, ready: false });
      // One partition holds the node; a try asks at most twice before it fails.
      const tries = (performance.now() - since) / (0.75 * RETRY.initialMs) + 1;
      expect(proxy.requests()).toBeLessThan(2 * tries);
      proxy.fault = undefined;
      await caughtUp();
      await expectExactly(chunks);
      await until('health to be well', () => stage.health().ready);
    },
  );

  it(
    'stays away while records pile up leaves them in the log, and takes no more than its window',
    { timeout: 120_000 },
    async () => {
      const chunks = simulate(80, 8, 1);
      // Command lines that do not compress make few rows of many bytes.
      for (const { facts } of chunks) facts.commandLine = facts.pid.map(() => randomBytes(15_000).toString('base64'));
      const sizes = chunks.map((chunk) => encodeSampleChunk(chunk).value?.byteLength ?? 0);
      const largest = Math.max(...sizes);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(1.1 * WINDOW_BYTES);
      proxy.fault = { kind: 'refuse' };
      await send(chunks);
      // Of these a batch is under way, and the others are pending.
      const held = (): number => log.metrics().inFlightBytes;
      let before = -1;
      await until('delivery to pause', () => {
        const now = held();
        const paused = now === before && now > WINDOW_BYTES / 2;
        before = now;
        return paused;
      });
      for (let look = 0; look < 10; look++) {
        expect(held()).toBeLessThan(WINDOW_BYTES + largest);
        expect(await metric('tidemark_record_pending_bytes')).toBeLessThanOrEqual(held());
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const lag = (await log.lag(Topic.Samples, 'record')).reduce((sum, one) => sum + one.lag, 0);
      expect(lag).toBe(chunks.length);
      expect(stage.health()).toMatchObject({ live: true, ready: false });
      proxy.fault = undefined;
      await caughtUp();
      await expectExactly(chunks);
    },
  );

  it(
    'is frozen and goes on later has each row once, also of requests that it took before',
    { timeout: 120_000 },
    async () => {
      const chunks = simulate(30, 50);
      await send(chunks.slice(0, 10));
      await caughtUp();
      process.kill(test.server.pid, 'SIGSTOP');
      try {
        await send(chunks.slice(10));
        await until('health to say it', () => /Timeout/.test(stage.health().detail ?? ''));
        await until('some tries', async () => (await metric('tidemark_record_retries_total')) >= 2);
      } finally {
        process.kill(test.server.pid, 'SIGCONT');
      }
      await caughtUp();
      await expectExactly(chunks);
    },
  );

  it('dies again and again has each row once', { timeout: 120_000 }, async () => {
    const chunks = simulate(40, 20);
    for (let from = 0; from < chunks.length; from += 10) {
      await send(chunks.slice(from, from + 10));
      const before = test.server.restarts;
      process.kill(test.server.pid, 'SIGKILL');
      await until('the engine to be back', () => test.server.restarts > before);
    }
    await caughtUp();
    await expectExactly(chunks);
  });
});
