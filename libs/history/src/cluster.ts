import { identifier } from './connection.js';

/**
 * How long replicas remember the tokens of inserts, in blocks of each table and in seconds. Longer than a server would by
 * itself: a writer that was away for a night repeats what it does not know the end of.
 */
const WINDOW = 10_000;
const WINDOW_SECONDS = 86_400;

const NAME = String.raw`[\w\x60.]+`;
const DATABASE = new RegExp(`^(CREATE DATABASE IF NOT EXISTS ${NAME})`);
const TABLE = new RegExp(`^(CREATE TABLE IF NOT EXISTS (${NAME}))`);
const VIEW = new RegExp(`^(CREATE (?:MATERIALIZED )?VIEW IF NOT EXISTS ${NAME})`);
const ALTER = new RegExp(`^(ALTER TABLE ${NAME})`);
const ENGINE = /\b(ENGINE = )(\w*)MergeTree(?:\(([^)]*)\))?/;
const ENGINES: readonly string[] = ['', 'Replacing', 'Aggregating', 'Summing'];
const DEDUPLICATION = /\bnon_replicated_deduplication_window = \d+/;

/**
 * The statement of one server as one for a cluster of replicas: it runs on every server, and each table is one of the
 * Replicated engines at a path of Keeper that is named after its shard, database and table, so that a server that joins
 * later finds it. Servers need the macros `shard` and `replica`. Without a cluster the text stays as it is.
 *
 * Throws Error when the statement is of a kind that it does not know: half a cluster is worse than none.
 */
export function onCluster(statement: string, database: string, cluster: string | undefined): string {
  if (cluster === undefined) return statement;
  const clause = ` ON CLUSTER '${cluster}'`;
  const table = TABLE.exec(statement);
  if (table) {
    const name = (table[2] ?? '').replaceAll('`', '');
    return replicated(statement.replace(TABLE, `$1${clause}`), database, name);
  }
  if (ALTER.test(statement)) return windows(statement.replace(ALTER, `$1${clause}`));
  for (const kind of [DATABASE, VIEW]) {
    if (kind.test(statement)) return statement.replace(kind, `$1${clause}`);
  }
  throw new Error(`no way to run on a cluster: ${statement.slice(0, 100)}`);
}

function replicated(statement: string, database: string, table: string): string {
  const engine = ENGINE.exec(statement);
  const family = engine?.[2];
  if (!engine || family === undefined || !ENGINES.includes(family)) {
    throw new Error(`table ${table} has no engine that can be replicated`);
  }
  identifier(database);
  identifier(table);
  const place = `'/clickhouse/tables/{shard}/${database}/${table}', '{replica}'`;
  const more = engine[3] ? `, ${engine[3]}` : '';
  return windows(statement.replace(ENGINE, `$1Replicated${family}MergeTree(${place}${more})`));
}

function windows(statement: string): string {
  return statement.replace(
    DEDUPLICATION,
    `replicated_deduplication_window = ${WINDOW}, replicated_deduplication_window_seconds = ${WINDOW_SECONDS}`,
  );
}
