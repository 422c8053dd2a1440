import { signal } from '@preact/signals';
import { parsePlace, withSearch } from './route.js';

/** Where the browser is. */
export const place = signal(parsePlace(location.hash));

export function followAddress(): void {
  addEventListener('hashchange', () => (place.value = parsePlace(location.hash)));
}

/** Sort, filter and period are part of the address, and no steps of the history. */
export function setSearch(changes: Readonly<Record<string, string | undefined>>): void {
  history.replaceState(null, '', withSearch(location.hash, changes));
  place.value = parsePlace(location.hash);
}

/** The setting of the address when it is one of those allowed, else the first of them. */
export function chosen<const T extends string>(name: string, allowed: readonly T[]): T {
  const given = place.value.search.get(name);
  return allowed.find((one) => one === given) ?? allowed[0]!;
}
