import type { LeakFields, LeakState } from '../api/process-fields.js';
import type { Style } from './style.js';

const STYLES: Readonly<Record<LeakState, Style>> = {
  LEARNING: 'dim',
  STABLE: 'plain',
  GROWING: 'warning',
  SUSPECTED: 'danger',
  CONFIRMED: 'alarm',
  CLEARED: 'good',
  SATURATING: 'accent',
};

/** Style of a leak state; a server newer than this command may know more of them. */
export function leakStyle(state: string): Style {
  return STYLES[state as LeakState] ?? 'plain';
}

/** A leak state as a word: capitals for what wants attention, so that it shows without colours; `!` when memory runs out soon. */
export function leakWord(state: string, imminent: boolean): string {
  const word = state === 'SUSPECTED' || state === 'CONFIRMED' ? state : state.toLowerCase();
  return imminent ? `${word}!` : word;
}

export function leakCell(leak: Pick<LeakFields, 'state' | 'imminent'>): { text: string; style: Style } {
  return { text: leakWord(leak.state, leak.imminent), style: leak.imminent ? 'alarm' : leakStyle(leak.state) };
}
