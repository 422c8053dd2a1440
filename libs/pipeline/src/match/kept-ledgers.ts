import { parseProcessKey, type NodeId, type ProcessKey } from '@tidemark/contracts';
import { reviveSiteLedger, type SiteLedger, type SiteLedgerSnapshot, type SiteProfile } from '@tidemark/leak';
import type { Logger } from '@tidemark/service';
import type { DetectorHistory, KeptSeries } from '../detect/detector-history.js';

/** What is kept of one trace, so that judging its sites goes on after a restart instead of beginning anew. */
export interface KeptLedger {
  key: ProcessKey;
  /** Data time of the newest look in it. */
  at: number;
  trace: string;
  /** Allocations seen until then. */
  allocations: number;
  snapshot: SiteLedgerSnapshot;
}

export interface RememberedLedger {
  ledger: SiteLedger;
  allocations: number;
  sites: readonly number[];
  /** Data time of the newest look that it judged, epoch milliseconds. */
  until: number;
}

/** The state of sites is kept beside that of their processes, under a boot of its own. */
function bootOf(boot: string): string {
  return `sites:${boot}`;
}

export function keptRow({ key, at, ...rest }: KeptLedger): KeptSeries[] {
  const parts = parseProcessKey(key);
  if (!parts) return [];
  const { node, boot, pid, start } = parts;
  return [{ node, boot: bootOf(boot), pid, start, at: Math.floor(at), snapshot: JSON.stringify(rest) }];
}

/** The ledgers of one boot of a node as they were kept, by trace. Rejects when history cannot be asked. */
export async function rememberLedgers(
  history: DetectorHistory,
  node: NodeId,
  boot: string,
  profile: SiteProfile,
  logger: Logger,
): Promise<(pid: number, start: number, trace: string) => RememberedLedger | undefined> {
  const rows = await history.loadSeries(node, bootOf(boot));
  const kept = new Map(rows.map((row) => [`${row.pid}/${row.start}`, row.snapshot]));
  return (pid, start, trace) => {
    const text = kept.get(`${pid}/${start}`);
    kept.delete(`${pid}/${start}`);
    if (text === undefined) return undefined;
    try {
      const row = JSON.parse(text) as Omit<KeptLedger, 'key' | 'at'>;
      if (row.trace !== trace) return undefined;
      const sites = row.snapshot.sites.map(({ site }) => site);
      const ledger = reviveSiteLedger(row.snapshot, profile);
      return { ledger, allocations: Number(row.allocations), sites, until: row.snapshot.at ?? -Infinity };
    } catch (error) {
      logger.debug({ node, pid, error: (error as Error).message }, 'kept judgement of sites cannot be used');
      return undefined;
    }
  };
}
