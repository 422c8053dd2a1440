import { readFileSync } from 'node:fs';
import { DEFAULT_PARTITIONS, MAX_PARTITIONS } from '@tidemark/contracts';
import { z } from 'zod';
import type { KafkaEventLogOptions, KafkaSasl, KafkaTls } from './options.js';

const text = z.string('must be text');
const PARTITIONS = `must be a whole number from 1 to ${MAX_PARTITIONS}`;
const BROKER = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/;

/** Settings of a connection to Kafka that a user may set, each with its default. */
export const kafkaSettings = z.object({
  /** `host:port`, separated by commas. */
  brokers: text
    .refine(
      (value) => value.split(',').every((broker) => BROKER.test(broker.trim())),
      "must be host:port, more than one separated by ','",
    )
    .default('127.0.0.1:9092'),
  /** Stands before the name of every topic and group. */
  prefix: text.regex(/^[A-Za-z0-9._-]{0,100}$/, "must be up to 100 letters, digits, '.', '_' or '-'").default(''),
  tls: z.boolean('must be true or false').default(false),
  /** PEM files. */
  caFile: text.default(''),
  certFile: text.default(''),
  keyFile: text.default(''),
  serverName: text.default(''),
  mechanism: z
    .enum(['none', 'plain', 'scram-sha-256', 'scram-sha-512'], 'must be none, plain, scram-sha-256 or scram-sha-512')
    .default('none'),
  username: text.default(''),
  password: text.default(''),
  passwordFile: text.default(''),
  /** Of the topics of samples and of allocations; the same for every app. */
  partitions: z
    .number(PARTITIONS)
    .int(PARTITIONS)
    .min(1, PARTITIONS)
    .max(MAX_PARTITIONS, PARTITIONS)
    .default(DEFAULT_PARTITIONS),
  /** Copies of each partition in topics that are made; 0 takes the brokers' default. */
  replicationFactor: z.number().int().min(0, 'must be from 0 to 10').max(10, 'must be from 0 to 10').default(0),
});

export type KafkaSettings = z.output<typeof kafkaSettings>;

/** What the settings mean; reads the files they name. Throws Error whose message names the setting and what is wrong. */
export function kafkaOptions(settings: KafkaSettings): KafkaEventLogOptions {
  const tls = tlsOf(settings);
  const sasl = saslOf(settings);
  return {
    brokers: settings.brokers.split(',').map((broker) => broker.trim()),
    prefix: settings.prefix,
    ...(tls && { tls }),
    ...(sasl && { sasl }),
    ...(settings.replicationFactor > 0 && { replicationFactor: settings.replicationFactor }),
  };
}

function tlsOf({ tls, caFile, certFile, keyFile, serverName }: KafkaSettings): KafkaTls | undefined {
  if (!tls) {
    const stray = Object.entries({ caFile, certFile, keyFile, serverName }).find(([, value]) => value !== '');
    if (stray) throw new Error(`kafka.${stray[0]}: is set but kafka.tls is false: set kafka.tls to true`);
    return undefined;
  }
  if ((certFile === '') !== (keyFile === '')) throw new Error('kafka.certFile and kafka.keyFile: set both or none');
  return {
    ...(caFile !== '' && { ca: read('kafka.caFile', caFile) }),
    ...(certFile !== '' && { cert: read('kafka.certFile', certFile), key: read('kafka.keyFile', keyFile) }),
    ...(serverName !== '' && { serverName }),
  };
}

function saslOf({ mechanism, username, password, passwordFile }: KafkaSettings): KafkaSasl | undefined {
  if (mechanism === 'none') {
    if (username !== '') throw new Error('kafka.username: is set but kafka.mechanism is none: name the mechanism');
    return undefined;
  }
  if (username === '') throw new Error(`kafka.username: must be set for kafka.mechanism ${mechanism}`);
  const secret = passwordFile === '' ? password : read('kafka.passwordFile', passwordFile).trim();
  if (secret === '') throw new Error('kafka.password: must be set, or kafka.passwordFile name a file that holds it');
  return { mechanism, username, password: secret };
}

function read(setting: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${setting}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
}
