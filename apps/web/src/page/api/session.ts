import { signal } from '@preact/signals';

const KEY = 'tidemark-token';

/** The token of the API; forgotten with the tab. */
export const token = signal(sessionStorage.getItem(KEY) ?? '');

/** Why a token is asked for; undefined while none is. */
export const tokenWanted = signal<string | undefined>(undefined);

/** Grows when everything on the page should be asked anew. */
export const epoch = signal(0);

/** When the API stopped answering questions, epoch milliseconds. */
export const silentSince = signal<number | undefined>(undefined);

/** When the stream of alerts broke, epoch milliseconds. */
export const deafSince = signal<number | undefined>(undefined);

/** Milliseconds by which the server's clock is ahead of this one. */
export const clockAhead = signal(0);

export function setToken(value: string): void {
  if (value === '') sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, value);
  token.value = value;
  tokenWanted.value = undefined;
  epoch.value++;
}

export function serverNow(): number {
  return Date.now() + clockAhead.value;
}
