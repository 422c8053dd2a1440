import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Topic } from '@tidemark/contracts';
import type { EventLogError } from '@tidemark/event-log';
import { createKafkaEventLog, type KafkaEventLogOptions, type KafkaSasl } from '@tidemark/event-log/kafka';
import { spawnApp, startApp } from './support/app.js';
import { noKafka, quick, startTestCluster, type TestCluster } from './support/kafka-log.js';
import { until } from './support/until.js';

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
const CONNECT_MS = 20_000;

describe.skipIf(noKafka)(`with TLS and passwords${noKafka ? ` (${noKafka})` : ''}`, () => {
  let cluster: TestCluster;
  let files: string;
  beforeAll(async () => {
    cluster = await startTestCluster({ secure: true });
    files = mkdtempSync(join(tmpdir(), 'tidemark-kafka-ca-'));
  }, 180_000);
  afterAll(async () => {
    await cluster?.destroy();
    if (files) rmSync(files, { recursive: true, force: true });
  }, 60_000);

  const sasl = (mechanism: KafkaSasl['mechanism'], password = cluster.users['tidemark']!): KafkaSasl => ({
    mechanism,
    username: 'tidemark',
    password,
  });
  const secure = (more: Partial<KafkaEventLogOptions> = {}): KafkaEventLogOptions => ({
    ...quick(cluster.secureBootstrap),
    connectTimeoutMs: CONNECT_MS,
    tls: { ca: cluster.ca! },
    sasl: sasl('plain'),
    ...more,
  });

  async function refused(options: KafkaEventLogOptions): Promise<EventLogError> {
    const before = performance.now();
    const error = await createKafkaEventLog(options).then(
      () => expect.fail('it connected'),
      (reason: unknown) => reason as EventLogError,
    );
    expect(error.name).toBe('EventLogError');
    expect(error.message).not.toContain('\n');
    expect(error.message).not.toContain(cluster.users['tidemark']);
    expect(performance.now() - before).toBeLessThan(CONNECT_MS + 10_000);
    return error;
  }

  it.each(MECHANISMS)('records go through with %s', { timeout: 90_000 }, async (mechanism) => {
    const log = await createKafkaEventLog(secure({ sasl: sasl(mechanism) }));
    try {
      const topic = `secure.${mechanism}`;
      await log.ensureTopics([{ name: topic, partitions: 2, cleanup: 'delete', retentionMs: 3_600_000 }]);
      await log.append([{ topic, key: 'k', value: Buffer.from('v') }]);
      let seen = 0;
      await log.subscribe({
        topic,
        group: 'g',
        from: 'earliest',
        assign: (context) => ({
          async handle(records) {
            seen += records.length;
            for (const { offset } of records) context.acknowledge(offset);
          },
        }),
      });
      await until('the record', () => seen === 1);
      await until('no lag', async () => (await log.lag(topic, 'g')).every(({ lag }) => lag === 0));
    } finally {
      await log.close();
    }
  });

  it.each(MECHANISMS)(
    'a wrong password is refused once and for all with %s',
    { timeout: 60_000 },
    async (mechanism) => {
      const error = await refused(secure({ sasl: sasl(mechanism, 'wrong') }));
      expect(error).toMatchObject({ code: 'EVENT_LOG_ACCESS', retriable: false });
      expect(error.message).toContain(`user tidemark by ${mechanism}`);
    },
  );

  it('an authority that is not trusted is told by what to set', { timeout: 60_000 }, async () => {
    const ca = join(files, 'other.pem');
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', join(files, 'other.key')];
    execFileSync('openssl', ['req', '-x509', ...key, '-subj', '/CN=another', '-out', ca], { stdio: 'ignore' });
    const error = await refused(secure({ tls: { ca: readFileSync(ca, 'utf8') } }));
    expect(error).toMatchObject({ code: 'EVENT_LOG_ACCESS', retriable: false });
    expect(error.message).toContain('kafka.caFile');
  });

  it('a certificate for another name is told by what to set', { timeout: 60_000 }, async () => {
    const error = await refused(secure({ tls: { ca: cluster.ca!, serverName: 'kafka.example' } }));
    expect(error).toMatchObject({ code: 'EVENT_LOG_ACCESS', retriable: false });
    expect(error.message).toContain('kafka.serverName');
  });

  it('TLS to a port without it is told by what to set', { timeout: 60_000 }, async () => {
    const error = await refused(secure({ brokers: cluster.bootstrap, connectTimeoutMs: 4_000 }));
    expect(error.message).toMatch(/kafka\.tls/);
  });

  it(
    'no TLS to a port that wants it, and no password where one is asked for, end in time and say what may be wrong',
    { timeout: 60_000 },
    async () => {
      const { tls: _, ...plain } = secure({ connectTimeoutMs: 4_000 });
      const without = await refused(plain);
      expect(without).toMatchObject({ code: 'EVENT_LOG_UNAVAILABLE', retriable: true });
      expect(without.message).toContain('kafka.tls');
      const { sasl: __, ...nameless } = secure({ connectTimeoutMs: 4_000 });
      const unnamed = await refused(nameless);
      expect(unnamed).toMatchObject({ code: 'EVENT_LOG_UNAVAILABLE', retriable: true });
      expect(unnamed.message).toContain('kafka.mechanism');
    },
  );

  it('a password for a port that asks for none is told by what to set', { timeout: 60_000 }, async () => {
    const { tls: _, ...plain } = secure({ brokers: cluster.bootstrap, connectTimeoutMs: 4_000 });
    const error = await refused(plain);
    expect(error.message).toContain('kafka.mechanism');
  });

  it('nobody at the address ends in time', { timeout: 60_000 }, async () => {
    const error = await refused({ ...quick(['127.0.0.1:1']), connectTimeoutMs: 1_000 });
    expect(error).toMatchObject({ code: 'EVENT_LOG_UNAVAILABLE', retriable: true });
    expect(error.message).toContain('127.0.0.1:1');
  });

  describe('an app', () => {
    /** A collector of its own topics, four partitions each. */
    const settings = (name: string, password: string): Record<string, string | number> => {
      const file = (end: string, text: string): string => {
        writeFileSync(join(files, `${name}.${end}`), text, { mode: 0o600 });
        return join(files, `${name}.${end}`);
      };
      return {
        'node.id': name,
        'data.directory': join(files, name),
        'kafka.brokers': cluster.secureBootstrap.join(','),
        'kafka.prefix': `${name}.`,
        'kafka.partitions': 4,
        'kafka.tls': 'true',
        'kafka.caFile': file('pem', cluster.ca!),
        'kafka.mechanism': 'scram-sha-512',
        'kafka.username': 'tidemark',
        'kafka.passwordFile': file('password', password),
      };
    };

    it('goes through with what its settings name, in as many partitions', { timeout: 90_000 }, async () => {
      const app = await startApp('collector', settings('through', cluster.users['tidemark']!));
      try {
        await until('it to be ready', async () => (await app.health()).ready);
        const log = await createKafkaEventLog(secure({ prefix: 'through.' }));
        try {
          await until('its samples', async () => (await log.lag(Topic.Samples, 'nobody')).some(({ end }) => end > 0));
          expect(await log.lag(Topic.Samples, 'nobody')).toHaveLength(4);
        } finally {
          await log.close();
        }
      } finally {
        expect(await app.kill('SIGTERM')).toMatchObject({ code: 0 });
      }
    });

    it('says in one line that its password is wrong, and ends', { timeout: 60_000 }, async () => {
      const app = spawnApp('collector', settings('wrong', 'not-the-password'));
      expect(await app.ended).toMatchObject({ code: 2 });
      const said = app.output().trim().split('\n');
      expect(said.filter((line) => line.startsWith('tidemark collector: '))).toEqual([
        expect.stringMatching(/user tidemark by scram-sha-512/),
      ]);
      expect(app.output()).not.toContain('not-the-password');
    });
  });
});
