import { day, pad, unitOf } from '../format.js';

export type Measure = 'bytes' | 'percent' | 'tasks';

export interface Tick {
  value: number;
  text: string;
}

export interface Scale {
  ticks: Tick[];
  /** At least the largest value, and a multiple of the step. */
  top: number;
}

const STEPS = [1, 2, 2.5, 5, 10];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  ...[SECOND, 5 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE],
  ...[30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY],
];

/** From 0 to at least `max` in some `wanted` round steps of the unit that fits. */
export function valueScale(max: number, measure: Measure, wanted = 4): Scale {
  const { unit, size } = measure === 'bytes' ? unitOf(max) : { unit: measure === 'percent' ? '%' : '', size: 1 };
  const highest = Math.max(max / size, measure === 'bytes' ? 1 : 0.1);
  const raw = highest / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * STEPS.find((one) => one * power >= raw * 0.999)!;
  const steps = Math.ceil(highest / step - 1e-9);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / power === 2.5 ? 1 : 0));
  const ticks = Array.from({ length: steps + 1 }, (_, at) => ({
    value: at * step * size,
    text: `${(at * step).toFixed(digits)}${unit && ` ${unit}`}`,
  }));
  return { ticks, top: steps * step * size };
}

/** Round local times between the two, at most so many. */
export function timeTicks(from: number, to: number, most: number): Tick[] {
  const step = TIME_STEPS.find((one) => (to - from) / one <= most) ?? 365 * DAY;
  // Local midnight, so that hours and days are those of the clock on the wall.
  const origin = new Date(from);
  origin.setHours(0, 0, 0, 0);
  const start = origin.getTime() + Math.ceil((from - origin.getTime()) / step) * step;
  const ticks: Tick[] = [];
  for (let value = start; value <= to; value += step) ticks.push({ value, text: timeText(new Date(value), step) });
  return ticks;
}

function timeText(date: Date, step: number): string {
  if (step >= DAY) return day(date).slice(5);
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  if (step < MINUTE) return `${clock}:${pad(date.getSeconds())}`;
  return clock === '00:00' ? day(date).slice(5) : clock;
}
