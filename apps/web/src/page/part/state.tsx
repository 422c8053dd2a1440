import type { LeakState, NodeState, FindingCounts } from '../api/types.js';
import { count } from '../format.js';

const LEAK_WORDS: Readonly<Record<LeakState, readonly [word: string, tone: string, means: string]>> = {
  LEARNING: ['learning', 'quiet', 'not enough seen yet'],
  STABLE: ['stable', 'fine', 'does not grow'],
  GROWING: ['growing', 'info', 'grows; too early to say more'],
  SUSPECTED: ['suspected', 'warn', 'grows as leaks do'],
  CONFIRMED: ['confirmed', 'bad', 'a leak'],
  CLEARED: ['cleared', 'quiet', 'was suspected; gave the memory back or ended'],
  SATURATING: ['saturating', 'info', 'grows towards a bound of its own, as caches do'],
};

export function LeakBadge({ state, imminent = false }: { state: LeakState; imminent?: boolean }) {
  const [word, tone, means] = LEAK_WORDS[state] ?? [state, 'quiet', ''];
  return (
    <span class="badges">
      <span class={`badge ${tone}`} title={means}>
        {word}
      </span>
      {imminent && (
        <span class="badge bad solid" title="memory runs out soon">
          imminent
        </span>
      )}
    </span>
  );
}

const NODE_WORDS: Readonly<Record<NodeState, readonly [tone: string, means: string]>> = {
  ACTIVE: ['fine', 'heard of just now'],
  INACTIVE: ['bad', 'silent: the values are the last known'],
  LEFT: ['quiet', 'its collector was stopped in good order'],
};

export function NodeBadge({ state, stale }: { state: NodeState; stale: boolean }) {
  const [tone, means] = NODE_WORDS[state] ?? ['quiet', ''];
  return (
    <span class="badges">
      <span class={`badge ${tone}`} title={means}>
        {state}
      </span>
      {stale && state === 'ACTIVE' && (
        <span class="badge warn" title="samples are missing; the next full report comes within a minute">
          stale
        </span>
      )}
    </span>
  );
}

/** `2 confirmed, 1 suspected`. */
export function countsInWords({ confirmed, suspected, growing, imminent }: FindingCounts): string {
  const parts = [
    [confirmed, 'confirmed'],
    [suspected, 'suspected'],
    [growing, 'growing'],
    [imminent, 'imminent'],
  ] as const;
  const told = parts.filter(([number]) => number > 0).map(([number, word]) => `${count(number)} ${word}`);
  return told.length === 0 ? 'none' : told.join(', ');
}
