import type { RingProfile } from './profile.js';
import { get, getRing, Q, R, setMark, setRing, Mark, type SeriesRecord } from './registers.js';
import { blockAt } from './ring.js';
import { closeEpoch, type ServiceBook } from './service-book.js';
import { LEAK_STATES } from '@tidemark/contracts';
import { closeGrowth } from './state-machine.js';

/** An epoch is a stretch of a process's life that is judged by itself: from its start, or since it let go of its floor. */
export function beginEpoch(series: SeriesRecord, at: number): void {
  series.n[R.epochAt] = at;
  for (const register of [R.floor, R.dropClock, R.plateauAge]) series.n[register] = NaN;
  series.n[R.suspectedInEpoch] = 0;
}

/**
 * Once per closed block of the finest ring: keeps the floor (least block since the gate), notes when
 * a watched growth is given back, and ends the epoch when the process stays below half of its floor. The floor and not the last value is what counts,
 * else each collection of a slow sawtooth would begin an epoch and nothing could ever be learned.
 */
export function trackEpoch(series: SeriesRecord, book: ServiceBook | undefined): void {
  const { profile } = series;
  const newest = getRing(series, 0, Q.newest);
  const level = blockAt(series, 0, newest - 1);
  if (Number.isNaN(level)) return;
  const clock = get(series, R.clock);
  trackFall(series, level, clock);
  const floor = get(series, R.floor);
  if (level < floor * (1 - profile.epoch.drop)) {
    if (Number.isNaN(get(series, R.dropClock))) series.n[R.dropClock] = clock;
    if (clock - get(series, R.dropClock) >= profile.epoch.held) endEpoch(series, book);
    return;
  }
  series.n[R.dropClock] = NaN;
  const { block } = profile.rings[0] as RingProfile;
  if ((newest - 1) * block - get(series, R.epochAt) < profile.gate.minimum) return;
  series.n[R.floor] = Number.isNaN(floor) ? level : Math.min(floor, level);
}

/**
 * Half of the growth given back? The peak is of the ring that watches (a sawtooth's floor), the level is of now: what a
 * collection frees is above the floor and does not count.
 */
function trackFall(series: SeriesRecord, level: number, clock: number): void {
  const opened = get(series, R.openLevel);
  const peak = get(series, R.peak);
  const fallen = level <= peak - series.profile.cleared.fall * (peak - opened) && peak > opened;
  if (!fallen) series.n[R.fallClock] = NaN;
  else if (Number.isNaN(get(series, R.fallClock))) series.n[R.fallClock] = clock;
}

/** The epoch goes to the book; a suspicion is over; the next epoch learns from its start. */
function endEpoch(series: SeriesRecord, book: ServiceBook | undefined): void {
  if (book) closeEpoch(book, series, 'unknown');
  const suspected = !Number.isNaN(get(series, R.suspectedClock));
  series.n[R.state] = LEAK_STATES.indexOf(suspected ? 'CLEARED' : 'LEARNING');
  series.n[R.since] = get(series, R.at);
  series.n[R.stateClock] = get(series, R.clock);
  if (!suspected) closeGrowth(series);
  for (let ring = 0; ring < series.profile.rings.length; ring++) {
    setRing(series, ring, Q.streak, 0);
    setRing(series, ring, Q.weak, 0);
    setMark(series, ring, Mark.growing | Mark.leakShaped | Mark.suspected | Mark.saturating, false);
  }
  beginEpoch(series, get(series, R.at) - series.profile.epoch.held);
}
