import type { ProcessKey } from '@tidemark/contracts';
import { createSiteLedger } from '@tidemark/leak';
import type { LiveSite, SiteOrderField } from '@tidemark/live';
import { HISTORY_BATCH, type HistoryQueries, type StoredSite, type StoredSiteOrder } from '../history-port.js';
import type { TraceModel } from './trace-model.js';

export interface StoredOrder {
  field: SiteOrderField;
  descending: boolean;
  limit: number;
}

type JudgedSite = Pick<LiveSite, 'id' | 'frames' | 'truncated' | 'figures' | 'verdict'>;

const URGENCY = ['STABLE', 'LEARNING', 'CLEARED', 'SATURATING', 'GROWING', 'SUSPECTED', 'CONFIRMED'];

/**
 * Sites of a trace that is over, judged by their last figures. History knows them by what they held: orders by what
 * they are judged are those of the sites that held most.
 */
export async function storedSites(
  history: HistoryQueries,
  key: ProcessKey,
  { state, mode }: Pick<TraceModel, 'state' | 'mode'>,
  { field, descending, limit }: StoredOrder,
): Promise<JudgedSite[]> {
  const known = field === 'verdict' || field === 'bytesPerHour' ? undefined : (field satisfies StoredSiteOrder);
  const whole = !known || !descending;
  const stored = await history.tracedSites(key, known ?? 'liveBytes', whole ? HISTORY_BATCH.sites : limit);
  const judged = stored.map((site) => judge(site, { ended: state !== 'ACTIVE', mode }));
  if (!whole) return judged;
  const value = ({ verdict, figures }: JudgedSite): number =>
    known
      ? figures[known]
      : field === 'verdict'
        ? URGENCY.indexOf(verdict.state)
        : (verdict.bytesPerHour ?? (descending ? -Infinity : Infinity));
  const sign = descending ? -1 : 1;
  return judged
    .map((site) => ({ site, value: value(site) }))
    .sort((a, b) => (a.value === b.value ? 0 : sign * (a.value < b.value ? -1 : 1)))
    .slice(0, limit)
    .map(({ site }) => site);
}

function judge(
  { id, frames, truncated, figures, at, birthsUntil }: StoredSite,
  { ended, mode }: { ended: boolean; mode: TraceModel['mode'] },
): JudgedSite {
  const ledger = createSiteLedger();
  ledger.observe({ at, ended, birthsUntil, mode, sites: [figures] });
  return { id: id ?? `#${figures.site}`, frames, truncated, figures, verdict: ledger.verdict(figures.site) };
}
