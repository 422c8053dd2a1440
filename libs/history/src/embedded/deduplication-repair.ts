import { appendFileSync, existsSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

/*
 * A table with a deduplication window notes each inserted block in a file before it makes the block's part visible
 * (MergeTree's deduplication log: lines of operation, part and block, tab-separated; 1 adds, 2 drops). A process killed
 * between the two leaves a note without a part: the block sent again would be taken for known, and its rows be lost.
 * Before the engine opens the tables, such notes are dropped, so that sending again works.
 */

interface PartRange {
  partition: string;
  from: number;
  to: number;
}

const partName = /^([^_]+)_(\d+)_(\d+)_\d+(?:_\d+)?$/;

/** Repairs all tables below the engine's directory and returns how many notes were dropped. Only while no engine runs. */
export function forgetLostBlocks(tables: string): number {
  const store = join(tables, 'store');
  let dropped = 0;
  for (const prefix of entriesOf(store)) {
    for (const table of entriesOf(join(store, prefix))) dropped += repairTable(join(store, prefix, table));
  }
  return dropped;
}

function repairTable(table: string): number {
  const logs = join(table, 'deduplication_logs');
  const files = entriesOf(logs)
    .map((name) => ({ name, number: Number(/^deduplication_log_(\d+)\.txt$/.exec(name)?.[1] ?? NaN) }))
    .filter(({ number }) => !Number.isNaN(number))
    .sort((left, right) => left.number - right.number)
    .map(({ name }) => join(logs, name));
  const last = files.at(-1);
  if (last === undefined) return 0;
  const blocks = new Map<string, string>();
  for (const file of files) readLog(file, blocks);
  const kept = entriesOf(table).flatMap(rangeOf);
  const lost = [...blocks].filter(([, part]) => !isCovered(part, kept));
  if (lost.length > 0) appendFileSync(last, lost.map(([block, part]) => `2\t${part}\t${block}\n`).join(''));
  return lost.length;
}

/** Adds to and takes from `blocks` as the engine would; a last line cut off by a power failure is removed. */
function readLog(file: string, blocks: Map<string, string>): void {
  const text = readFileSync(file, 'utf8');
  const end = text.lastIndexOf('\n') + 1;
  if (end < text.length) truncateSync(file, Buffer.byteLength(text.slice(0, end)));
  for (const line of text.slice(0, end).split('\n')) {
    const [operation, part, block] = line.split('\t');
    if (part === undefined || block === undefined) continue;
    if (operation === '1') blocks.set(block, part);
    else blocks.delete(block);
  }
}

/** A part stands for all blocks in its range: it may have come of merging them. */
function isCovered(part: string, kept: readonly PartRange[]): boolean {
  const [wanted] = rangeOf(part);
  // What we do not understand stays as it is.
  if (wanted === undefined) return true;
  return kept.some(
    ({ partition, from, to }) => partition === wanted.partition && from <= wanted.from && wanted.to <= to,
  );
}

function rangeOf(name: string): PartRange[] {
  const match = partName.exec(name);
  return match === null ? [] : [{ partition: match[1]!, from: Number(match[2]), to: Number(match[3]) }];
}

function entriesOf(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
