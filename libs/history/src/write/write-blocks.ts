import { randomUUID } from 'node:crypto';
import { identifier, type Connection } from '../connection.js';
import type { Block, BlockTrace } from './block.js';
import { traceCondition } from './block-trace.js';
import { refillViews } from './refill-views.js';

const LOST_NAMES = 4;

export interface WriteOptions {
  /** Names the batch in every deduplication token; the same for every try of the same batch. */
  token: string;
  /** Where the token is of an insert that this batch shared with others: a name that it shares with nobody. */
  ownToken?: string;
  /** True when an earlier try may have written some of the batch: then it is looked up, not only left to the tokens. */
  again: boolean;
  signal?: AbortSignal;
  /** Called before each block is looked up or sent; what it throws ends the writing. */
  beforeBlock?: (block: Block) => void | Promise<void>;
  /** Called after each block that is in its table. */
  onBlock?: (block: Block) => void | Promise<void>;
}

export interface WriteReport {
  /** Rows now in the tables, by table. */
  rows: Record<string, number>;
  /** Blocks that an earlier try had brought. */
  found: number;
  /** What did not fit, one line each; empty when all is as it should be. */
  oddities: string[];
}

/**
 * Writes each block once, in order. A first try leaves it to the server's deduplication tokens that a repeated request
 * changes nothing.
 *
 * Tokens are not enough after a crash of the server: it writes the part and the token one after the other, so that
 * either may be there alone. A try that follows an uncertain one therefore counts the rows of the block, inserts only
 * what is missing, and feeds the rollups again from the raw rows, which changes nothing where they have them: every
 * rollup is a least, a greatest or a last value. Throws HistoryError; then call again with `again`.
 *
 * The token is the statement's name, too, for inserting and for counting: so nobody counts while an insert of the same
 * block is at work in the server, be it of a writer that died or of one that does not know yet that it was replaced.
 */
export async function writeBlocks(
  connection: Connection,
  blocks: readonly Block[],
  options: WriteOptions,
): Promise<WriteReport> {
  const report: WriteReport = { rows: {}, found: 0, oddities: [] };
  for (const block of blocks) {
    options.signal?.throwIfAborted();
    const token = `${options.token}/${block.table}/${block.day}`;
    await options.beforeBlock?.(block);
    const lostToken = `${options.ownToken ?? options.token}/${block.table}/${block.day}/lost`;
    if (options.again) await settle(connection, block, { token, lostToken }, report, options.signal);
    else await insert(connection, block, token, options.signal, token);
    report.rows[block.table] = (report.rows[block.table] ?? 0) + block.rows;
    await options.onBlock?.(block);
  }
  return report;
}

async function settle(
  connection: Connection,
  block: Block,
  { token, lostToken }: { token: string; lostToken: string },
  report: WriteReport,
  signal?: AbortSignal,
): Promise<void> {
  const { trace } = block;
  if (!trace) {
    // Takes the token, so that no insert of an earlier writer comes in behind what follows on the block. It may be of one
    // that was lost, so the rows go in once more: a second copy folds into the first.
    await insert(connection, block, token, signal, token);
    return insert(connection, block, `${token}/${randomUUID()}`, signal);
  }
  let found = await count(connection, block.table, trace, token);
  if (found > 0) report.found++;
  else {
    // The same token first: another writer of the block may have sent it after it was counted. If others took it for rows
    // of theirs, nothing that is sent by that token later can come in any more.
    await insert(connection, block, token, signal, token);
    found = await count(connection, block.table, trace, token);
  }
  // A server may die with a token and without its rows more than once; whoever settles goes through the same names.
  for (let lost = 1; found === 0 && lost <= LOST_NAMES; lost++) {
    await insert(connection, block, `${lostToken}/${lost}`, signal, token);
    found = await count(connection, block.table, trace, token);
  }
  if (found !== block.rows) {
    report.oddities.push(
      `${block.table} has ${found} rows of batch ${trace.batches.join(', ')}, expected are ${block.rows}: rows older than the retention go at once, else the data directory was changed by others`,
    );
  }
  await refillViews(connection, block.table, trace);
}

function insert(
  connection: Connection,
  block: Block,
  token: string,
  signal?: AbortSignal,
  queryId?: string,
): Promise<void> {
  const columns = block.columns.map(identifier).join(', ');
  const settings = [
    `insert_deduplication_token = '${token.replace(/[\\']/g, '\\$&')}'`,
    'insert_deduplicate = 1',
    'deduplicate_blocks_in_dependent_materialized_views = 1',
    'async_insert = 0',
    // Folding rows of one key is left to the merges: most blocks have each key once.
    'optimize_on_insert = 0',
  ].join(', ');
  const sql = `INSERT INTO ${identifier(block.table)} (${columns}) SETTINGS ${settings} FORMAT Native`;
  return connection.insert(sql, block.body, signal, queryId);
}

async function count(connection: Connection, table: string, trace: BlockTrace, queryId: string): Promise<number> {
  const { where, parameters } = traceCondition(trace);
  await connection.sync(table);
  const [row] = await connection.query<{ rows: number | string }>(
    `SELECT count() AS rows FROM ${identifier(table)} WHERE ${where}`,
    parameters,
    undefined,
    queryId,
  );
  return Number(row?.rows ?? 0);
}
