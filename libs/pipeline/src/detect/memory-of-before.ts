import { checkFindingRecord, type Finding, type NodeId } from '@tidemark/contracts';
import {
  createServiceBook,
  reviveSeries,
  reviveServiceBook,
  seedSeries,
  serializeSeries,
  serializeServiceBook,
  type DetectorProfile,
  type SeriesSnapshot,
  type ServiceBook,
} from '@tidemark/leak';
import type { Logger } from '@tidemark/service';
import type { DetectorHistory, KeptMinima, KeptSeries } from './detector-history.js';
import type { NodeDetector, Remembered } from './node-detector.js';
import { createOpenFindings, type OpenFindings } from './open-findings.js';
import type { ProcessFacts, WatchedProcess } from './watched-process.js';

/**
 * What was known of a node's processes before a restart: the kept state where there is one, else the floors of the
 * rollups. History that cannot be asked is an error of the caller's to retry; a damaged snapshot only costs its process
 * the head start.
 */
export async function rememberNode(
  history: DetectorHistory,
  profile: DetectorProfile,
  node: NodeId,
  boot: string,
  logger: Logger,
): Promise<Remembered> {
  const [series, floorsOfAll] = await Promise.all([history.loadSeries(node, boot), history.loadMinima(node, boot)]);
  const kept = byIdentity(series);
  const minima = byIdentity<KeptMinima>(floorsOfAll);
  if (kept.size + minima.size > 0) {
    logger.info({ node, snapshots: kept.size, rollups: minima.size }, 'goes on judging from what history remembers');
  }
  return (pid, start, facts) => {
    const identity = `${pid}/${start}`;
    const snapshot = kept.get(identity)?.snapshot;
    const floors = minima.get(identity);
    const known =
      snapshot === undefined
        ? undefined
        : revive(profile, snapshot, (reason) => {
            logger.debug({ node, pid, error: reason }, 'snapshot cannot be used');
          });
    const series = known?.series ?? (facts && floors && seedSeries(profile, facts, floors));
    const named = facts ?? known?.facts;
    if (!series || !named) return undefined;
    kept.delete(identity);
    minima.delete(identity);
    return { series, facts: named, rssAnon: known?.rssAnon ?? null, swap: known?.swap ?? null };
  };
}

type KeptProcess = ProcessFacts & Pick<WatchedProcess, 'rssAnon' | 'swap'>;
type Kept = Pick<WatchedProcess, 'series' | 'rssAnon' | 'swap'> & { facts: ProcessFacts | undefined };

/** A row tells of the series alone, or of the process as well. */
function revive(profile: DetectorProfile, snapshot: string, onDamage: (reason: string) => void): Kept | undefined {
  try {
    const row = JSON.parse(snapshot) as SeriesSnapshot | { series: SeriesSnapshot; process: KeptProcess };
    if (!('process' in row)) return { series: reviveSeries(profile, row), facts: undefined, rssAnon: null, swap: null };
    const { rssAnon, swap, ...facts } = row.process;
    return { series: reviveSeries(profile, row.series), facts, rssAnon, swap };
  } catch (error) {
    onDamage((error as Error).message);
    return undefined;
  }
}

function byIdentity<T extends { pid: number; start: number }>(rows: readonly T[]): Map<string, T> {
  return new Map(rows.map((row) => [`${row.pid}/${row.start}`, row]));
}

/** The evidence per service outlives boots; it is kept as a row of its own beside those of the processes. */
const SERVICES = 'services';

/** What was known of the node's services; empty when nothing was kept or it cannot be used. */
export async function rememberServices(
  history: DetectorHistory,
  profile: DetectorProfile,
  node: NodeId,
  logger: Logger,
): Promise<ServiceBook> {
  const [row] = await history.loadSeries(node, SERVICES);
  if (row) {
    try {
      return reviveServiceBook(profile, JSON.parse(row.snapshot));
    } catch (error) {
      logger.debug({ node, error: (error as Error).message }, 'kept evidence of services cannot be used');
    }
  }
  return createServiceBook(profile);
}

export function keptServices(node: NodeId, at: number, book: ServiceBook): KeptSeries[] {
  if (book.services.size === 0) return [];
  return [{ node, boot: SERVICES, pid: 0, start: 0, at, snapshot: JSON.stringify(serializeServiceBook(book)) }];
}

/** What was said and not taken back; a row of its own too. */
const OPEN_FINDINGS = 'open-findings';

export interface RememberedFindings {
  open: OpenFindings;
  /** Concluded, and perhaps not told any more: to be told once more, as they were. */
  untold: Finding[];
}

export async function rememberFindings(
  history: DetectorHistory,
  node: NodeId,
  logger: Logger,
): Promise<RememberedFindings> {
  const [row] = await history.loadSeries(node, OPEN_FINDINGS);
  if (!row) return { open: createOpenFindings(), untold: [] };
  try {
    const kept = JSON.parse(row.snapshot) as unknown[] | { open: unknown[]; untold: unknown[] };
    const { open, untold } = Array.isArray(kept) ? { open: kept, untold: [] } : kept;
    return { open: createOpenFindings(findingsIn(open)), untold: findingsIn(untold) };
  } catch (error) {
    logger.warn({ node, error: (error as Error).message }, 'the findings that were open cannot be read');
    return { open: createOpenFindings(), untold: [] };
  }
}

function findingsIn(list: readonly unknown[]): Finding[] {
  return list.flatMap((one) => {
    const record = checkFindingRecord(one);
    return record.type === 'finding' ? [record] : [];
  });
}

export function keptFindings(node: NodeId, at: number, open: OpenFindings, untold: readonly Finding[]): KeptSeries {
  const snapshot = JSON.stringify({ open: open.all(), untold });
  return { node, boot: OPEN_FINDINGS, pid: 0, start: 0, at, snapshot };
}

export function keptProcess(node: NodeId, detector: NodeDetector, process: WatchedProcess): KeptSeries {
  const { pid, start, series, facts, rssAnon, swap } = process;
  // With its name and its last figures it can be judged before a keyframe repeats them.
  const snapshot = JSON.stringify({ series: serializeSeries(series), process: { ...facts, rssAnon, swap } });
  return { node, boot: detector.boot, pid, start, at: detector.at, snapshot };
}
