import { expect, test } from 'vitest';
import { HEALTHY, NEAR_MISSES } from '../scenarios/healthy.js';
import { judgeTrace, type Outcome } from '../scenarios/judge-trace.js';
import { LEAKS } from '../scenarios/leaks.js';
import { DAY, drawTrace, HOUR, SECOND, type Family, type Trace } from '../scenarios/scenario.js';
import { PRODUCTION_PROFILE } from './index.js';

/** How many traces of each family, at which sampling; seeds that no threshold was chosen on begin at 5000. */
const PLAN = [
  { step: 60 * SECOND, seeds: 8 },
  { step: 10 * SECOND, seeds: 8 },
] as const;
const FIRST_SEED = 5000;
/** Minutes of computing on a busy machine; nothing here depends on its speed. */
const DEADLINE = 300_000;

interface Row {
  name: string;
  traces: number;
  suspected: number;
  confirmed: number;
  falseSuspicions: number;
  days: number;
}

function judgeFamily(name: string, family: Family, step: number, seeds: number): Row {
  const outcomes: Outcome[] = Array.from({ length: seeds }, (_, i) =>
    judgeTrace(PRODUCTION_PROFILE, drawTrace(family, FIRST_SEED + i), step),
  );
  return {
    name,
    traces: seeds,
    suspected: outcomes.filter(({ suspectedAfter }) => suspectedAfter !== null).length,
    confirmed: outcomes.filter(({ confirmedAfter }) => confirmedAfter !== null).length,
    falseSuspicions: outcomes.reduce((sum, { suspicions }) => sum + suspicions, 0),
    days: outcomes.reduce((sum, { length }) => sum + length, 0) / DAY,
  };
}

function judgeAll(families: Readonly<Record<string, Family>>, step: number, seeds: number): Row[] {
  return Object.entries(families).map(([name, family]) => judgeFamily(name, family, step, seeds));
}

const total = (
  rows: readonly Row[],
  field: 'traces' | 'suspected' | 'confirmed' | 'falseSuspicions' | 'days',
): number => rows.reduce((sum, row) => sum + row[field], 0);

function report(title: string, leaks: readonly Row[], healthy: readonly Row[], near: readonly Row[]): string {
  const line = ({ name, traces, suspected, confirmed, falseSuspicions, days }: Row): string =>
    `  ${name.padEnd(28)} ${String(suspected).padStart(3)}/${traces} suspected ${String(confirmed).padStart(3)} confirmed` +
    `  ${(falseSuspicions / days).toFixed(4)} a process-day`;
  const found = total(leaks, 'suspected');
  const wrong = total(healthy, 'suspected');
  return [
    title,
    ...[...leaks, ...healthy, ...near].map(line),
    `  SUSPECTED: ${found} of ${total(leaks, 'traces')} leaks, ${wrong} of ${total(healthy, 'traces')} healthy`,
    `  CONFIRMED: ${total(leaks, 'confirmed')} leaks, ${total(healthy, 'confirmed')} healthy`,
    `  false suspicions a process-day: ${(total(healthy, 'falseSuspicions') / total(healthy, 'days')).toFixed(4)}`,
  ].join('\n');
}

const scores = new Map<number, { recall: number; precision: number }>();

test.each(PLAN)(
  'leaks are told from healthy growth at one reading each $step ms',
  ({ step, seeds }) => {
    const leaks = judgeAll(LEAKS, step, seeds);
    const healthy = judgeAll(HEALTHY, step, seeds);
    const near = judgeAll(NEAR_MISSES, step, seeds);
    console.log(report(`one reading each ${step / SECOND} s`, leaks, healthy, near));
    const recall = total(leaks, 'suspected') / total(leaks, 'traces');
    const wrong = total(healthy, 'suspected') / total(healthy, 'traces');
    // Precision as if leaks and healthy traces were equally many.
    scores.set(step, { recall, precision: recall / (recall + wrong) });
    for (const row of leaks) expect(row.suspected / row.traces, row.name).toBeGreaterThanOrEqual(0.5);
    expect(recall).toBeGreaterThanOrEqual(0.9);
    expect(total(leaks, 'confirmed') / total(leaks, 'traces')).toBeGreaterThanOrEqual(0.9);
    expect(total(healthy, 'confirmed'), 'healthy traces CONFIRMED').toBe(0);
    for (const name of ['flat', 'page cache', 'fork bursts']) {
      expect(healthy.find((row) => row.name === name)!.suspected, name).toBe(0);
    }
    expect(wrong).toBeLessThanOrEqual(0.25);
  },
  DEADLINE,
);

test('the sampling rate hardly changes what is found', () => {
  const [minute, tenth] = [scores.get(60 * SECOND)!, scores.get(10 * SECOND)!];
  expect(Math.abs(minute.recall - tenth.recall)).toBeLessThan(0.05);
  expect(Math.abs(minute.precision - tenth.precision)).toBeLessThan(0.05);
});

/** The first trace of a family that is short enough for readings each second. */
function shortTrace(family: Family): Trace | undefined {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + 40; seed++) {
    const trace = drawTrace(family, seed);
    if (trace.lives.reduce((sum, { length }) => sum + length, 0) <= 30 * HOUR) return trace;
  }
  return undefined;
}

test(
  'a trace read each second is judged as when it is read each minute',
  () => {
    const differing: string[] = [];
    let judged = 0;
    for (const [name, family] of Object.entries({ ...LEAKS, ...HEALTHY })) {
      const trace = shortTrace(family);
      if (!trace) continue;
      judged++;
      const [second, minute] = [SECOND, 60 * SECOND].map((step) => judgeTrace(PRODUCTION_PROFILE, trace, step));
      const same =
        (second!.suspectedAfter === null) === (minute!.suspectedAfter === null) &&
        (second!.confirmedAfter === null) === (minute!.confirmedAfter === null);
      if (!same) differing.push(name);
    }
    expect(judged).toBeGreaterThanOrEqual(14);
    // A sawtooth whose period is below a minute is one to readings each second and an alias to readings each minute.
    expect(differing.filter((name) => name in LEAKS && name !== 'rising floor')).toEqual([]);
    expect(differing.length).toBeLessThanOrEqual(3);
  },
  DEADLINE,
);
