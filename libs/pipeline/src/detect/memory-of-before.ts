import { checkFindingRecord, type NodeId } from '@tidemark/contracts';
import {
  createServiceBook,
  leakStatus,
  reviveSeries,
  reviveServiceBook,
  seedSeries,
  serializeSeries,
  serializeServiceBook,
  type DetectorProfile,
  type ServiceBook,
} from '@tidemark/leak';
import type { Logger } from '@tidemark/service';
import type { DetectorHistory, KeptMinima, KeptSeries } from './detector-history.js';
import type { NodeDetector, Remembered } from './node-detector.js';
import { createOpenFindings, type OpenFindings } from './open-findings.js';

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
  const kept = byIdentity(await history.loadSeries(node, boot));
  const minima = byIdentity<KeptMinima>(await history.loadMinima(node, boot));
  if (kept.size + minima.size > 0) {
    logger.info({ node, snapshots: kept.size, rollups: minima.size }, 'goes on judging from what history remembers');
  }
  return (pid, start, facts) => {
    const identity = `${pid}/${start}`;
    const snapshot = kept.get(identity)?.snapshot;
    const floors = minima.get(identity);
    kept.delete(identity);
    minima.delete(identity);
    if (snapshot !== undefined) {
      try {
        return reviveSeries(profile, JSON.parse(snapshot));
      } catch (error) {
        logger.debug({ node, pid, error: (error as Error).message }, 'snapshot cannot be used');
      }
    }
    return floors && seedSeries(profile, facts, floors);
  };
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

export async function rememberOpenFindings(
  history: DetectorHistory,
  node: NodeId,
  logger: Logger,
): Promise<OpenFindings> {
  const [row] = await history.loadSeries(node, OPEN_FINDINGS);
  if (!row) return createOpenFindings();
  try {
    const kept = JSON.parse(row.snapshot) as unknown[];
    return createOpenFindings(
      kept.flatMap((one) => {
        const record = checkFindingRecord(one);
        return record.type === 'finding' ? [record] : [];
      }),
    );
  } catch (error) {
    logger.warn({ node, error: (error as Error).message }, 'the findings that were open cannot be read');
    return createOpenFindings();
  }
}

export function keptOpenFindings(node: NodeId, at: number, open: OpenFindings): KeptSeries {
  return { node, boot: OPEN_FINDINGS, pid: 0, start: 0, at, snapshot: JSON.stringify(open.all()) };
}

/** Snapshots of the node's processes: of those that are under suspicion of anything, or of all. */
export function keptSeries(node: NodeId, detector: NodeDetector, which: 'notable' | 'all', most: number): KeptSeries[] {
  const rows: KeptSeries[] = [];
  for (const { pid, start, series } of detector.processes()) {
    if (rows.length >= most) break;
    const { state } = leakStatus(series);
    if (which === 'notable' && (state === 'LEARNING' || state === 'STABLE')) continue;
    const snapshot = JSON.stringify(serializeSeries(series));
    rows.push({ node, boot: detector.boot, pid, start, at: detector.at, snapshot });
  }
  return rows;
}
