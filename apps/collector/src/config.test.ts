import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '@tidemark/service';
import { readConfig, USAGE } from './config.js';

const directory = mkdtempSync(join(tmpdir(), 'tidemark-collector-'));
afterAll(() => rmSync(directory, { recursive: true }));

function read(args: string[], env: NodeJS.ProcessEnv = {}) {
  const config = readConfig(args, env);
  if (config === 'help') throw new Error('asked for help');
  return config;
}

describe('the settings of the collector', () => {
  it('are of this host and a broker on it when nothing is said', () => {
    const config = read([]);
    expect(config.eventLog.brokers).toEqual(['127.0.0.1:9092']);
    expect(config.status).toMatchObject({ host: '127.0.0.1', port: 9464 });
    expect(config.statusToken).toBeUndefined();
  });

  it('come from options, variables and files', () => {
    const password = join(directory, 'password');
    writeFileSync(password, 'secret\n');
    const config = read(['--node', 'web-7', '--data', 'here'], {
      TIDEMARK_KAFKA_BROKERS: 'a:9092, b:9092',
      TIDEMARK_KAFKA_MECHANISM: 'scram-sha-512',
      TIDEMARK_KAFKA_USERNAME: 'collector',
      TIDEMARK_KAFKA_PASSWORD_FILE: password,
      TIDEMARK_STATUS_PORT: '1',
    });
    expect(config.nodeId).toBe('web-7');
    expect(config.data.directory).toBe(join(process.cwd(), 'here'));
    expect(config.status.port).toBe(1);
    expect(config.eventLog).toMatchObject({
      brokers: ['a:9092', 'b:9092'],
      sasl: { mechanism: 'scram-sha-512', username: 'collector', password: 'secret' },
    });
  });

  it.each([
    [['--brokers', 'nowhere'], "kafka.brokers: must be host:port, more than one separated by ','"],
    [['--set', 'kafka.mechanism=plain'], 'kafka.username: must be set for kafka.mechanism plain'],
    [['--set', 'kafka.tls=true', '--set', 'kafka.caFile=/nowhere'], 'kafka.caFile: /nowhere cannot be read (ENOENT)'],
    [['--set', 'history.url=http://a:1'], 'history.url: no such setting'],
    [['--set', 'trace.maxTraces=0'], 'trace.maxTraces: must be a whole number from 1 to 256, found 0'],
  ])('refuse %j in one line that names the setting', (args, message) => {
    expect(() => read(args)).toThrow(ConfigError);
    expect(() => read(args)).toThrow(message);
  });

  it('are all listed by --help', () => {
    for (const name of ['node.id', 'kafka.brokers', 'collect.interval', 'trace.maxTraces', 'status.token', 'log.level'])
      expect(USAGE).toContain(`  ${name} `);
    expect(USAGE).toContain('TIDEMARK_COLLECT_SPOOL_DISK');
  });
});
