import { BIRTH_BINS, LEAK_STATES } from '@tidemark/contracts';
import { createLivePoints, POINTS } from './live-points.js';
import type { SiteProfile } from './site-profile.js';
import { createRecord, type SiteRecord } from './site-record.js';
import type { SiteLedgerSnapshot, SiteSnapshot } from './site-types.js';

export const SNAPSHOT_VERSION = 1;

/** Registers of a record in the order of SiteSnapshot.n; the state, flag and points' measures follow. */
const REGISTERS = [
  ...([
    'firstAt',
    'allocations',
    'frees',
    'liveCount',
    'liveBytes',
    'oldFrees',
    'liveSamples',
    'liveVariance',
  ] as const),
  ...(['birthsUntil', 'peakBytes', 'seenAt', 'evaluatedAt', 'leakingSince', 'changedAt', 'quiet'] as const),
  'quietSince',
] as const satisfies (keyof SiteRecord)[];

export function serializeRecord(record: SiteRecord): SiteSnapshot {
  const { points } = record;
  const cells = points ? new Uint8Array(points.cells.slice(0, points.count * 3).buffer) : new Uint8Array();
  const numbers = [
    ...REGISTERS.map((name) => record[name]),
    ...[LEAK_STATES.indexOf(record.state), record.sampled ? 1 : 0, points?.origin ?? NaN, points?.step ?? NaN],
  ];
  return {
    site: record.site,
    n: numbers.map((value) => (Number.isNaN(value) ? null : value)),
    births: [...record.births],
    points: Buffer.from(cells).toString('base64'),
  };
}

export function reviveRecord({ site, n, births, points }: SiteSnapshot): SiteRecord {
  const record = createRecord(site);
  REGISTERS.forEach((name, i) => (record[name] = n[i] ?? NaN));
  const [state, sampled, origin, step] = n.slice(REGISTERS.length);
  record.state = LEAK_STATES[state ?? 0] ?? 'LEARNING';
  record.sampled = sampled === 1;
  record.births = Float32Array.from(births);
  if (origin === null || origin === undefined || !step) return record;
  const bytes = Buffer.from(points, 'base64');
  record.points = createLivePoints(origin, step);
  record.points.count = Math.min(POINTS, Math.floor(bytes.length / 12));
  for (let i = 0; i < record.points.count * 3; i++) record.points.cells[i] = bytes.readFloatLE(i * 4);
  return record;
}

/** Throws RangeError that says what does not fit. */
export function checkSnapshot(snapshot: SiteLedgerSnapshot, profile: SiteProfile): void {
  const { v, profile: name, sites } = snapshot;
  if (v !== SNAPSHOT_VERSION) {
    throw new RangeError(`site ledger snapshot: version ${String(v)} is not ${SNAPSHOT_VERSION}; begin anew`);
  }
  if (name !== profile.name) {
    throw new RangeError(`site ledger snapshot: made under profile ${String(name)}, not ${profile.name}; begin anew`);
  }
  if (!Array.isArray(sites) || !sites.every(isSite)) {
    throw new RangeError('site ledger snapshot: a site is damaged; begin anew');
  }
}

function isSite(site: unknown): boolean {
  const { site: number, n, births, points } = (site ?? {}) as Partial<SiteSnapshot>;
  return (
    Number.isInteger(number) &&
    Array.isArray(n) &&
    n.length === REGISTERS.length + 4 &&
    n.every((value) => value === null || Number.isFinite(value)) &&
    Array.isArray(births) &&
    births.length === BIRTH_BINS &&
    births.every((value) => Number.isFinite(value) && value >= 0) &&
    typeof points === 'string'
  );
}
