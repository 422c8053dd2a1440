import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kafkaOptions, kafkaSettings } from './settings.js';

describe('the settings of a connection to Kafka', () => {
  let directory: string;
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'tidemark-settings-'))));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const options = (given: object): ReturnType<typeof kafkaOptions> => kafkaOptions(kafkaSettings.parse(given));

  it('have defaults that connect to this host without TLS or password', () => {
    expect(options({})).toEqual({ brokers: ['127.0.0.1:9092'], prefix: '' });
  });

  it.each([0, 1025, 1.5, '16'])('refuse %o partitions', (partitions) => {
    expect(() => kafkaSettings.parse({ partitions })).toThrow('must be a whole number from 1 to 1024');
  });

  it('take several brokers, with spaces, and IPv6 addresses in brackets', () => {
    expect(options({ brokers: 'a:9092, b.example:9093,[::1]:9094' }).brokers).toEqual([
      'a:9092',
      'b.example:9093',
      '[::1]:9094',
    ]);
  });

  it.each(['', 'host', 'host:', 'host:port', 'a:1,', 'a b:1', 'http://a:1'])('refuse %j as brokers', (brokers) => {
    expect(() => options({ brokers })).toThrow(/host:port/);
  });

  it('read certificates and the password from files', () => {
    const given = {
      tls: true,
      caFile: file('ca.pem', 'CA'),
      certFile: file('cert.pem', 'CERT'),
      keyFile: file('key.pem', 'KEY'),
      serverName: 'kafka.example',
      mechanism: 'scram-sha-512',
      username: 'tidemark',
      passwordFile: file('password', 'secret\n'),
      replicationFactor: 3,
      prefix: 'team.',
    };
    expect(options(given)).toEqual({
      brokers: ['127.0.0.1:9092'],
      prefix: 'team.',
      tls: { ca: 'CA', cert: 'CERT', key: 'KEY', serverName: 'kafka.example' },
      sasl: { mechanism: 'scram-sha-512', username: 'tidemark', password: 'secret' },
      replicationFactor: 3,
    });
  });

  it.each([
    [{ caFile: '/somewhere' }, /kafka\.caFile.*kafka\.tls/],
    [{ serverName: 'a' }, /kafka\.serverName.*kafka\.tls/],
    [{ tls: true, certFile: '/somewhere' }, /kafka\.certFile and kafka\.keyFile/],
    [{ tls: true, caFile: '/no/such/file' }, /kafka\.caFile: \/no\/such\/file.*ENOENT/],
    [{ username: 'a' }, /kafka\.username.*kafka\.mechanism/],
    [{ mechanism: 'plain' }, /kafka\.username/],
    [{ mechanism: 'plain', username: 'a' }, /kafka\.password/],
    [{ mechanism: 'plain', username: 'a', passwordFile: '/no/such/file' }, /kafka\.passwordFile.*ENOENT/],
  ])('refuse %j by the name of the setting', (given, why) => {
    expect(() => options(given)).toThrow(why);
  });
});
