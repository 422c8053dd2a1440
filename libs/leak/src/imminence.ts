import { timeToExhaustion } from './exhaustion.js';
import { autocorrelationInflation, kendallVariance } from './mann-kendall.js';
import type { RingProfile } from './profile.js';
import { get, getRing, Q, R, type SeriesRecord } from './registers.js';
import { gatherBlocks, type Window } from './ring.js';
import { theilSen } from './theil-sen.js';

const window: Window = { n: 0, t: new Float64Array(64), v: new Float64Array(64) };

/**
 * Turns the imminent flag, once per block of the finest ring: on when the pessimistic time to exhaustion is short and
 * the growth is certain, whatever its shape; off after a few blocks of longer times. It never claims a leak.
 */
export function updateImminence(series: SeriesRecord): void {
  const { imminent } = series.profile;
  const left = pessimisticTime(series);
  if (get(series, R.imminent) === 0) {
    if (left !== null && left < imminent.exhaustion) {
      series.n[R.imminent] = 1;
      series.n[R.imminentMisses] = 0;
    }
    return;
  }
  const misses = left !== null && left < imminent.leave ? 0 : get(series, R.imminentMisses) + 1;
  series.n[R.imminentMisses] = misses;
  if (misses >= imminent.failures) series.n[R.imminent] = 0;
}

function pessimisticTime(series: SeriesRecord): number | null {
  const { imminent, rings } = series.profile;
  const limit = get(series, R.limit);
  if (Number.isNaN(limit)) return null;
  const { block } = rings[0] as RingProfile;
  const reach = Math.ceil(imminent.points * 1.5);
  gatherBlocks(series, 0, getRing(series, 0, Q.newest) - reach, window);
  const { n, t, v } = window;
  if (n < imminent.points) return null;
  const rise = ((v[n - 1] as number) - (v[0] as number)) / (((t[n - 1] as number) - (t[0] as number)) * block);
  // The last block's minimum: one spike is no exhaustion.
  const bytes = v[n - 1] as number;
  // Far from any answer below `leave`: spares nearly every process the test.
  if (!(rise > 0) || (limit - bytes) / rise > 4 * imminent.leave) return null;
  const plain = kendallVariance(v, n);
  const { low, high } = theilSen(t, v, n, plain * autocorrelationInflation(t, v, n));
  return low > 0 ? timeToExhaustion(bytes, limit, high / block) : null;
}
