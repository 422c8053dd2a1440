import { onCluster } from './cluster.js';
import { identifier, type Connection } from './connection.js';
import { HistoryError } from './errors.js';

/** How long history keeps what, in days. */
export interface Retention {
  /** Every sample as it came. */
  rawDays: number;
  /** One row a minute; sites and blocks of allocation traces. */
  minuteDays: number;
  /** One row an hour; facts of processes; findings; totals and stacks of allocation traces. */
  hourDays: number;
}

export const DEFAULT_RETENTION: Retention = { rawDays: 2, minuteDays: 30, hourDays: 400 };

const RAW = ['process_samples', 'node_samples', 'device_samples', 'heartbeats'];

/** A detector that was away for longer has to learn anew. */
const LEAK_STATE_DAYS = 90;

/** TTL expressions as ClickHouse writes them back, so that what is set can be compared with what is wanted. */
function expressions({ rawDays, minuteDays, hourDays }: Retention): Map<string, string> {
  const ttl = new Map<string, string>();
  for (const table of RAW) ttl.set(table, `toDateTime(at) + toIntervalDay(${rawDays})`);
  for (const table of ['process_samples_1m', 'node_samples_1m']) ttl.set(table, `time + toIntervalDay(${minuteDays})`);
  for (const table of ['process_samples_1h', 'node_samples_1h']) ttl.set(table, `time + toIntervalDay(${hourDays})`);
  // The month column is the first of its month.
  ttl.set('processes', `month + toIntervalDay(${hourDays + 31})`);
  for (const table of ['findings', 'findings_current', 'acknowledgements']) {
    ttl.set(table, `toDateTime(at) + toIntervalDay(${hourDays})`);
  }
  for (const table of ['allocation_traces', 'allocation_site_names', 'allocation_stacks']) {
    ttl.set(table, `toDateTime(at) + toIntervalDay(${hourDays})`);
  }
  ttl.set('allocation_sites', `time + toIntervalDay(${minuteDays})`);
  ttl.set('unmatched_allocations', `toDateTime(at) + toIntervalDay(${minuteDays})`);
  ttl.set('leak_states', `toDateTime(at) + toIntervalDay(${LEAK_STATE_DAYS})`);
  return ttl;
}

/** Throws HistoryError HISTORY_RANGE that names the field. */
export function checkRetention(retention: Retention): Retention {
  for (const [name, days] of Object.entries(retention) as [keyof Retention, number][]) {
    if (Number.isInteger(days) && days >= 1 && days <= 3650) continue;
    throw new HistoryError(
      'HISTORY_RANGE',
      `retention ${name} is ${days}, allowed are whole days from 1 to 3650`,
      false,
    );
  }
  if (retention.rawDays > retention.minuteDays || retention.minuteDays > retention.hourDays) {
    throw new HistoryError(
      'HISTORY_RANGE',
      `retention must not shrink from raw (${retention.rawDays}) over minutes (${retention.minuteDays}) to hours (${retention.hourDays})`,
      false,
    );
  }
  return retention;
}

/** Sets the tables' TTL where it differs; whole parts go when all their rows are older. */
export async function applyRetention(
  connection: Connection,
  retention: Retention,
  cluster?: string,
): Promise<string[]> {
  const rows = await connection.query<{ name: string; engine_full: string }>(
    'SELECT name, engine_full FROM system.tables WHERE database = {database:String}',
    { database: connection.database },
  );
  const engines = new Map(rows.map((row) => [row.name, row.engine_full]));
  const changed: string[] = [];
  for (const [table, expression] of expressions(retention)) {
    if (engines.get(table)?.includes(`TTL ${expression} `)) continue;
    const statement = `ALTER TABLE ${identifier(table)} MODIFY TTL ${expression}`;
    await connection.command(onCluster(statement, connection.database, cluster));
    changed.push(table);
  }
  return changed;
}
