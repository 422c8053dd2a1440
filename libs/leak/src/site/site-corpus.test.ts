import { expect, test } from 'vitest';
import { HIDDEN_LEAKS, LEAKING_SITES } from '../../scenarios/sites/leaking-sites.js';
import { judgeFamily, SAMPLE_INTERVAL, type Reading, type SiteFamily } from '../../scenarios/sites/site-trace.js';
import { SOUND_SITES } from '../../scenarios/sites/sound-sites.js';
import { createRandom } from '../../scenarios/random.js';

/** Seeds that no threshold was chosen on begin here. */
const FIRST_SEED = 5000;
const SEEDS = 10;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** Minutes of computing on a busy machine; nothing here depends on its speed. */
const DEADLINE = 300_000;

const PLAN = {
  'live, every two seconds, exact': (length) => ({
    length: 4 * MINUTE + length * 8 * MINUTE,
    step: 2 * SECOND,
    interval: null,
  }),
  'live, every two seconds, sampled': (length) => ({
    ...{ length: 4 * MINUTE + length * 8 * MINUTE, step: 2 * SECOND, interval: SAMPLE_INTERVAL },
  }),
  'live, each minute, exact': (length) => ({ length: MINUTE * (30 + length * 210), step: MINUTE, interval: null }),
  'live, each minute, sampled': (length) => ({
    ...{ length: MINUTE * (30 + length * 210), step: MINUTE, interval: SAMPLE_INTERVAL },
  }),
  'judged once at its end, exact': (length) => ({ length: 10 * 30_000 ** length, step: 'once', interval: null }),
  'judged once at its end, sampled': (length) => ({
    ...{ length: 10 * 30_000 ** length, step: 'once', interval: SAMPLE_INTERVAL },
  }),
} satisfies Record<string, (length: number) => Reading>;

interface Row {
  name: string;
  states: Map<string, number>;
  named: number;
  /** At any time, and for how long on average, minutes. */
  ever: number;
  minutes: number;
}

function judgeAll(families: Readonly<Record<string, SiteFamily>>, reading: (length: number) => Reading): Row[] {
  return Object.entries(families).map(([name, family]) => {
    const states = new Map<string, number>();
    let [ever, minutes] = [0, 0];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const { verdict, suspected } = judgeFamily(family, seed, reading(createRandom(seed).next()));
      const { state } = verdict;
      if (suspected > 0) ever++;
      minutes += suspected / MINUTE / SEEDS;
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    return { name, states, ever, minutes, named: (states.get('SUSPECTED') ?? 0) + (states.get('CONFIRMED') ?? 0) };
  });
}

const named = (rows: readonly Row[]): number => rows.reduce((sum, row) => sum + row.named, 0);

function report(title: string, groups: Record<string, readonly Row[]>): string {
  const line = ({ name, states, named, ever, minutes }: Row): string =>
    `    ${name.padEnd(34)} ${String(named).padStart(3)}/${SEEDS} named  ${ever} ever, ${minutes.toFixed(1)} min  ${[...states].map(([state, n]) => `${n} ${state}`).join(', ')}`;
  return [title, ...Object.entries(groups).flatMap(([group, rows]) => [`  ${group}`, ...rows.map(line)])].join('\n');
}

test.each(Object.entries(PLAN))(
  'leaking sites are told from sound ones, %s',
  (title, reading) => {
    const leaks = judgeAll(LEAKING_SITES, reading);
    const sound = judgeAll(SOUND_SITES, reading);
    const hidden = judgeAll(HIDDEN_LEAKS, reading);
    const recall = named(leaks) / (leaks.length * SEEDS);
    const wrong = named(sound) / (sound.length * SEEDS);
    // As if leaking and sound sites were equally many.
    const precision = recall / (recall + wrong);
    console.log(
      report(`${title}: precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}`, { leaks, sound, hidden }),
    );
    expect(precision).toBeGreaterThanOrEqual(0.95);
    expect(recall).toBeGreaterThanOrEqual(0.9);
    const confirmed = sound.reduce((sum, { states }) => sum + (states.get('CONFIRMED') ?? 0), 0);
    expect(confirmed / (sound.length * SEEDS), 'sound sites CONFIRMED').toBeLessThanOrEqual(0.01);
  },
  DEADLINE,
);
