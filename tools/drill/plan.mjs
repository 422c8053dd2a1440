// What is done to whom and when, as the seed has it.
import { between, createRandom } from '../load/random.mjs';
import { CUTS } from './links.mjs';

export const TARGETS = ['collector', 'broker', 'processor', 'writer', 'clickhouse', 'api'];
export const KINDS = ['kill', 'pause', 'cut'];

/** Seconds that a fault lasts; a pause or a cut above the session timeout of 10 s costs a member its partitions. */
const LASTS = { kill: [0.5, 5], pause: [2, 14], cut: [2, 13] };
const QUIET_START_S = 3;
const QUIET_END_S = 4;
/** Mean distance of the beginnings of two faults. */
const DISTANCE_S = 4.5;

/**
 * A fault of every kind for every target, dealt like a deck of cards; when the time is longer, deck after deck. No two
 * faults of one part overlap, and never are two brokers away at once.
 *
 * @param {{ seed: number, seconds: number, parts: Record<string, string[]> }} options names of the parts by target
 * @returns {{ at: number, seconds: number, target: string, part: string, kind: string, how: string | undefined }[]}
 */
export function planFaults({ seed, seconds, parts }) {
  const random = createRandom(seed * 7_919 + 17);
  const faults = [];
  const busy = new Map();
  const last = seconds - QUIET_END_S;
  let deck = [];
  for (let at = QUIET_START_S; at < last; at += DISTANCE_S * (0.6 + 0.8 * random())) {
    if (deck.length === 0) deck = shuffledDeck(random);
    const free = deck.findIndex(({ target }) => (busy.get(target === 'broker' ? 'broker' : '') ?? 0) <= at);
    const [{ target, kind }] = deck.splice(Math.max(0, free), 1);
    const part = parts[target][between(random, 0, parts[target].length - 1)];
    const how = kind === 'cut' ? CUTS[between(random, 0, CUTS.length - 1)] : undefined;
    const [least, most] = LASTS[kind];
    const wanted = least + (most - least) * random();
    const begin = Math.max(at, busy.get(part) ?? 0, target === 'broker' ? (busy.get('broker') ?? 0) : 0);
    const length = Math.min(wanted, last - begin);
    if (length < 0.3) continue;
    faults.push({ at: round(begin), seconds: round(length), target, part, kind, how });
    // What came back needs a moment before it is hit again.
    busy.set(part, begin + length + 2);
    if (target === 'broker') busy.set('broker', begin + length + 4);
  }
  return faults.sort((a, b) => a.at - b.at);
}

/** Each target once before any comes again, so that a short drill meets all of them too. */
function shuffledDeck(random) {
  const kindsOf = new Map(TARGETS.map((target) => [target, shuffle([...KINDS], random)]));
  return KINDS.flatMap((_, turn) =>
    shuffle([...TARGETS], random).map((target) => ({ target, kind: kindsOf.get(target)[turn] })),
  );
}

function shuffle(items, random) {
  for (let last = items.length - 1; last > 0; last--) {
    const other = between(random, 0, last);
    [items[last], items[other]] = [items[other], items[last]];
  }
  return items;
}

function round(seconds) {
  return Math.round(seconds * 10) / 10;
}
