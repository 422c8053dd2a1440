import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

export interface BrowserCheck {
  /** Address that the server listens on. */
  host: string;
  allowedHosts: readonly string[];
}

export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/**
 * Why a request may not be passed on; undefined when it may. The API sees this server as the asker, so what it checks of
 * browsers is checked here: a foreign name that its owner pointed at 127.0.0.1, and questions of foreign pages.
 */
export function refusalOf(
  request: Pick<IncomingMessage, 'headers'>,
  { host: address, allowedHosts }: BrowserCheck,
): string | undefined {
  const { host = '', origin } = request.headers;
  const name = host.toLowerCase().replace(/:\d+$/, '');
  if (isLoopback(address) && !isLoopback(name) && !allowedHosts.includes(name)) {
    return `the Host header ${JSON.stringify(name.slice(0, 80))} is no name of this server: use localhost or 127.0.0.1`;
  }
  if (origin === undefined) return undefined;
  if (URL.canParse(origin) && new URL(origin).host.toLowerCase() === host.toLowerCase()) return undefined;
  return `pages of ${JSON.stringify(origin.slice(0, 80))} may not ask here`;
}
