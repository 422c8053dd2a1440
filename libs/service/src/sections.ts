import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { isNodeId } from '@tidemark/contracts';
import { z } from 'zod';
import { ConfigError } from './config.js';

const PORT_RANGE = 'must be a whole number from 0 to 65535';
const text = z.string('must be text');
const address = text.min(1, 'must name an address').default('127.0.0.1');

export const portSetting = z.number(PORT_RANGE).int(PORT_RANGE).min(0, PORT_RANGE).max(65_535, PORT_RANGE);

/** The name a host goes by. */
export const nodeSettings = z.object({
  id: text
    .refine((id): boolean => isNodeId(id), "must be 1 to 253 letters, digits, '.', '_' or '-'")
    .default(hostname().replace(/[^A-Za-z0-9._-]/g, '-')),
});

export const logSettings = z.object({
  level: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'], 'must be one of debug, info, warn, error, silent')
    .default('info'),
  format: z.enum(['pretty', 'json'], 'must be one of pretty, json').default('pretty'),
});

/** Where a server listens; an address beyond loopback needs the token. */
export const listenSettings = (port: number) =>
  z.object({
    host: address,
    /** 0 takes any. */
    port: portSetting.default(port),
    token: text.default(''),
    tokenFile: text.default(''),
  });

/** Where an app keeps what must outlive it: `base`, which is asked for once, or a directory of the user's state. */
export const dataSettings = (base: string | undefined) =>
  z.object({
    directory: text
      .min(1, 'must name a directory')
      .default(join(base || join(homedir(), '.local', 'state'), 'tidemark')),
  });

/** The token of a section, from the setting or the file it names; undefined when there is none. Throws ConfigError. */
export function readToken(
  section: string,
  { token, tokenFile }: { token: string; tokenFile: string },
): string | undefined {
  if (token !== '') return token;
  if (tokenFile === '') return undefined;
  if (!existsSync(tokenFile)) throw new ConfigError([`${section}.tokenFile: ${tokenFile} does not exist`]);
  const read = readFileSync(tokenFile, 'utf8').trim();
  if (read === '') throw new ConfigError([`${section}.tokenFile: ${tokenFile} is empty`]);
  return read;
}
