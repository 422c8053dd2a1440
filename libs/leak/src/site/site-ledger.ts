import { MAX_TRACE_TIME } from '@tidemark/contracts';
import { createActivityClock, type ActivityClock } from './activity-clock.js';
import { judgeSite } from './site-judge.js';
import { SITE_PROFILE, type SiteProfile } from './site-profile.js';
import { createRecord, takeFigures, type SiteRecord } from './site-record.js';
import { checkSnapshot, reviveRecord, serializeRecord, SNAPSHOT_VERSION } from './site-snapshot.js';
import { advanceState } from './site-state.js';
import type { SiteLedger, SiteLedgerSnapshot, SiteObservation, SiteVerdict } from './site-types.js';
import { tellVerdict, UNKNOWN_SITE } from './site-verdict.js';

interface Book {
  readonly profile: SiteProfile;
  readonly records: Map<number, SiteRecord>;
  /** Verdicts until they are due again: evidence changes with time as a share of the life. */
  readonly told: Map<number, SiteVerdict>;
  at: number;
  ended: boolean;
  birthsUntil: number;
  /** Made when it is needed first after a reading. */
  clock: ActivityClock | null;
}

/** Judges the sites of one trace, live or once at its end. Pure: time is what the readings say. */
export function createSiteLedger(profile: SiteProfile = SITE_PROFILE): SiteLedger {
  return ledgerOf({
    profile,
    records: new Map(),
    told: new Map(),
    at: NaN,
    ended: false,
    birthsUntil: NaN,
    clock: null,
  });
}

/** @throws RangeError for a snapshot of another version or profile, or one that does not fit: begin anew. */
export function reviveSiteLedger(snapshot: SiteLedgerSnapshot, profile: SiteProfile = SITE_PROFILE): SiteLedger {
  checkSnapshot(snapshot, profile);
  const records = new Map(snapshot.sites.map((site) => [site.site, reviveRecord(site)]));
  const { at, ended, birthsUntil } = snapshot;
  return ledgerOf({
    profile,
    records,
    told: new Map(),
    at: at ?? NaN,
    ended,
    birthsUntil: birthsUntil ?? NaN,
    clock: null,
  });
}

function ledgerOf(book: Book): SiteLedger {
  const { records, told } = book;
  return {
    observe: (observation) => observe(book, observation),
    verdict(site) {
      const record = records.get(site);
      if (!record) return UNKNOWN_SITE;
      const known = told.get(site);
      if (known && (book.ended || !isDue(record, book.profile, book.at))) return known;
      const verdict = judge(book, record);
      told.set(site, verdict);
      return verdict;
    },
    forget(site) {
      records.delete(site);
      told.delete(site);
    },
    get size() {
      return records.size;
    },
    snapshot: () => ({
      ...{ v: SNAPSHOT_VERSION, profile: book.profile.name, at: toNull(book.at), ended: book.ended },
      birthsUntil: toNull(book.birthsUntil),
      sites: Array.from(records.values(), serializeRecord),
    }),
  };
}

function observe(book: Book, { at, ended, birthsUntil, mode, sites }: SiteObservation): void {
  // The last reading of a process that ended at once may bear the time of the one before.
  if (!(at >= 0 && at <= MAX_TRACE_TIME) || (at <= book.at && !(ended && !book.ended && at === book.at))) return;
  const { profile, records, told } = book;
  const before = book.at;
  book.at = at;
  book.ended = ended;
  book.birthsUntil = birthsUntil >= 0 && birthsUntil <= at ? birthsUntil : at;
  book.clock = null;
  if (ended) told.clear();
  for (const figures of sites) {
    const record = records.get(figures.site) ?? createRecord(figures.site);
    records.set(figures.site, record);
    takeFigures(record, figures, {
      ...{ at, before, birthsUntil: book.birthsUntil, step: profile.step, sampled: mode === 'SAMPLED' },
    });
  }
  for (const { site } of ended ? [] : sites) {
    const record = records.get(site);
    if (record && isDue(record, profile, at)) told.set(site, judge(book, record));
  }
  if (records.size > profile.sites) shed(book);
}

function isDue({ evaluatedAt, firstAt }: SiteRecord, { every }: SiteProfile, at: number): boolean {
  return !(at - evaluatedAt < Math.max(every.minimum, every.share * (at - firstAt)));
}

function judge(book: Book, record: SiteRecord): SiteVerdict {
  const { profile, records, at, ended, birthsUntil } = book;
  const clock = (): ActivityClock => (book.clock ??= createActivityClock(records.values()));
  const judgement = judgeSite(record, profile, { at, until: ended ? birthsUntil : at, clock });
  if ((ended && record.evaluatedAt !== at) || isDue(record, profile, at)) {
    advanceState(record, judgement, profile, { at, ended });
  }
  return tellVerdict(record, judgement, profile);
}

/** Forgets the sixteenth of the sites that holds the fewest live bytes. */
function shed({ profile, records, told }: Book): void {
  const smallest = [...records.values()].sort((a, b) => a.liveBytes - b.liveBytes);
  const keep = Math.floor((profile.sites * 15) / 16);
  for (const { site } of smallest.slice(0, records.size - keep)) {
    records.delete(site);
    told.delete(site);
  }
}

function toNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
