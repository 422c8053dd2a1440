import { identifier, type Connection } from '../connection.js';
import { HistoryError } from '../errors.js';
import type { BlockTrace } from './block.js';
import { traceCondition } from './block-trace.js';

interface ViewRow {
  name: string;
  as_select: string;
  columns: string[];
}

const VIEW = /^(\w+)_view$/;

/** With the parameters of `traceCondition`: of the same nodes, by a batch that came after. */
const LATER = [
  'batch > {newest:UInt64}',
  'at >= fromUnixTimestamp64Milli({from:Int64})',
  'node >= {first_node:String}',
  'node <= {last_node:String}',
].join(' AND ');

/**
 * Feeds the rows of one batch to the views of a table once more, as the views themselves would. One thread and in the
 * order of the table's key, which ends with time, because the last value of a key is the one that came last.
 *
 * Rows of nodes that a later batch has written to are left out: whoever wrote that has fed these before, and behind its own
 * they would be taken for the last. So comes a writer that does not know yet that it was replaced.
 */
export async function refillViews(connection: Connection, table: string, trace: BlockTrace): Promise<void> {
  const { where, parameters } = traceCondition(trace);
  const behind = trace.nodes ? ` AND node NOT IN (SELECT node FROM ${identifier(table)} WHERE ${LATER})` : '';
  const given = { ...parameters, newest: Math.max(...trace.batches) };
  const key = await sortingKey(connection, table);
  const source = `${connection.database}.${table}`;
  for (const view of await viewsOf(connection, source)) {
    const target = VIEW.exec(view.name)?.[1];
    const rows = `(SELECT * FROM ${identifier(table)} WHERE ${where}${behind} ORDER BY ${key}) AS ${identifier(table)}`;
    if (!target) throw new HistoryError('HISTORY_SCHEMA', `view ${view.name} must be named after its table`, false);
    const select = view.as_select.replace(fromClause(source), ` FROM ${rows}`);
    const columns = view.columns.map(identifier).join(', ');
    await connection.command(
      `INSERT INTO ${identifier(target)} (${columns}) ${select}
       SETTINGS insert_deduplicate = 0, optimize_on_insert = 0, max_threads = 1, max_insert_threads = 1`,
      given,
    );
  }
}

async function sortingKey(connection: Connection, table: string): Promise<string> {
  const [row] = await connection.query<{ sorting_key: string }>(
    'SELECT sorting_key FROM system.tables WHERE database = {database:String} AND name = {table:String}',
    { database: connection.database, table },
  );
  if (!row) throw new HistoryError('HISTORY_SCHEMA', `table ${table} does not exist: migrate first`, false);
  return row.sorting_key;
}

async function viewsOf(connection: Connection, source: string): Promise<ViewRow[]> {
  const views = await connection.query<ViewRow>(
    `SELECT tables.name AS name, any(as_select) AS as_select,
       arrayMap(pair -> pair.2, arraySort(groupArray((position, columns.name)))) AS columns
     FROM system.tables AS tables
     INNER JOIN system.columns AS columns ON columns.database = tables.database AND columns.table = tables.name
     WHERE tables.database = {database:String} AND tables.engine = 'MaterializedView'
     GROUP BY tables.name ORDER BY tables.name`,
    { database: connection.database },
  );
  return views.filter(({ as_select }) => fromClause(source).test(as_select));
}

function fromClause(source: string): RegExp {
  return new RegExp(`\\sFROM\\s+${source.replace('.', '\\.')}(?=\\s|$)`);
}
