import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { HistoryOptions } from './history.js';

const whole = (min: number, max: number) => {
  const range = `must be a whole number from ${min} to ${max}`;
  return z.number(range).int(range).min(min, range).max(max, range);
};
const text = z.string('must be text');

/** Settings of a connection to a ClickHouse server that a user may set, each with its default. */
export const historySettings = z.object({
  /** `http://host:port` or `https://host:port` of its HTTP interface. */
  url: text
    .regex(/^https?:\/\/[^/?#@]+\/?$/, 'must be http://host:port or https://host:port')
    .default('http://127.0.0.1:8123'),
  username: text.default('default'),
  password: text.default(''),
  /** File that holds the password, instead of `password`; white space around it does not count. */
  passwordFile: text.default(''),
  database: text.regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be letters, digits and '_'").default('tidemark'),
  /** PEM file of the authorities that are trusted, for https; those that Node.js trusts when empty. */
  caFile: text.default(''),
  /** Name of the cluster that the tables are replicated over (`ON CLUSTER`); empty: one server. */
  cluster: text.regex(/^[A-Za-z0-9_{}-]{0,128}$/, "must be letters, digits, '_' or '-', or a macro").default(''),
  /** Whether the writer makes and changes the tables; false where somebody else does. */
  migrate: z.boolean('must be true or false').default(true),
  rawDays: whole(1, 3650).default(2),
  minuteDays: whole(1, 3650).default(30),
  hourDays: whole(1, 3650).default(400),
});

export type HistorySettings = z.output<typeof historySettings>;

/**
 * What the settings mean; reads the files they name. Whether to migrate is left to the caller. Throws Error whose
 * message names the setting and what is wrong.
 */
export function historyOptions(settings: HistorySettings): HistoryOptions {
  const { url, username, database, cluster, rawDays, minuteDays, hourDays } = settings;
  if (rawDays > minuteDays || minuteDays > hourDays) {
    throw new Error(
      `history.rawDays, history.minuteDays, history.hourDays: are ${rawDays}, ${minuteDays}, ${hourDays}, but must not shrink from one to the next`,
    );
  }
  const ca = authorities(settings);
  return {
    url,
    username,
    password: password(settings),
    database,
    retention: { rawDays, minuteDays, hourDays },
    ...(ca !== undefined && { ca }),
    ...(cluster !== '' && { cluster }),
  };
}

function password({ password, passwordFile }: HistorySettings): string {
  if (passwordFile === '') return password;
  if (password !== '') throw new Error('history.password and history.passwordFile: set only one of them');
  const secret = read('history.passwordFile', passwordFile).trim();
  if (secret === '') throw new Error(`history.passwordFile: ${passwordFile} is empty`);
  return secret;
}

function authorities({ url, caFile }: HistorySettings): string | undefined {
  if (caFile === '') return undefined;
  if (!url.startsWith('https:')) throw new Error(`history.caFile: is set but history.url is ${url}: use https`);
  const pem = read('history.caFile', caFile);
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new Error(`history.caFile: ${caFile} holds no certificate: it must be a PEM file`);
  }
  return pem;
}

function read(setting: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${setting}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
}
