import { createDecodedBytes } from './decoded.js';
import { compress, decompress, ENCODING_HEADER, parsePlainJson } from './encoding.js';
import { ContractError, describeValue } from './errors.js';
import { isBootId, isNodeId, type NodeId } from './ids.js';
import { FORMAT_HEADER, isPackedFormat, packChunk, PACKED_FORMAT, unpackChunk } from './packed-chunk.js';
import {
  MAX_CHUNK_ROWS,
  PROCESS_NUMBERS,
  type ExitColumns,
  type FactColumns,
  type ProcessColumns,
} from './process-columns.js';
import { checkSystemSample } from './system-sample-check.js';
import { MAX_TIME } from './time.js';
import type { SystemSample } from './system-sample.js';

export const SAMPLE_CHUNK_VERSION = 1;

export { MAX_CHUNK_ROWS };

/** A round never has more parts than this: consumers may wait for all of them. */
export const MAX_CHUNK_PARTS = 1_000;

/**
 * One round of one collector, or a part of a large one.
 *
 * `seq` grows by one with every chunk of a collector run and starts again at 0 with a keyframe when the collector
 * restarts: a consumer that sees a gap knows nothing until the next keyframe. A keyframe names every living process,
 * so a process it does not name is gone; a keyframe of several parts is complete when `part` 0 … `parts`−1 are seen.
 */
export interface SampleChunk {
  v: typeof SAMPLE_CHUNK_VERSION;
  node: NodeId;
  /** Kernel boot id. */
  boot: string;
  /** Names the collector run; changes at every start of the collector. */
  run: string;
  seq: number;
  /** When the round began, epoch milliseconds of the node's clock. */
  at: number;
  keyframe: boolean;
  part: number;
  parts: number;
  procs: ProcessColumns;
  facts: FactColumns;
  exits: ExitColumns;
  system: SystemSample;
}

export interface EncodedRecord {
  value: Uint8Array;
  headers: Record<string, string>;
}

/** A chunk as a record of `mem.samples.v1`: see `packed-chunk.ts`, compressed when it is worth it. */
export function encodeSampleChunk(chunk: SampleChunk): EncodedRecord {
  const packed = packChunk(chunk);
  const { value, encoding } = compress(packed ?? Buffer.from(JSON.stringify(chunk)));
  return { value, headers: { [ENCODING_HEADER]: encoding, ...(packed && { [FORMAT_HEADER]: PACKED_FORMAT }) } };
}

const decoded = createDecodedBytes<SampleChunk>();

/**
 * The chunk in a record of `mem.samples.v1`. Throws ContractError when it is damaged, of another version, or breaks a
 * limit. Within one process the same bytes are decoded once, however many consumers ask; do not change the result.
 */
export function decodeSampleChunk(value: Uint8Array, headers: Readonly<Record<string, string>> = {}): SampleChunk {
  const known = decoded.get(value);
  if (known) return known;
  const chunk = decodeAs(headers[FORMAT_HEADER], decompress(value, headers[ENCODING_HEADER]));
  decoded.set(value, chunk);
  return chunk;
}

function decodeAs(format: string | undefined, plain: Uint8Array): SampleChunk {
  if (format === undefined) return checkSampleChunk(parsePlainJson(plain));
  if (isPackedFormat(format)) {
    const chunk = unpackChunk(plain, format);
    checkHead(chunk);
    return chunk as unknown as SampleChunk;
  }
  throw new ContractError('CONTRACT_ENCODING', `record format ${JSON.stringify(format.slice(0, 40))} is unknown`);
}

/** Narrows parsed JSON to a chunk, or throws ContractError naming the field. */
export function checkSampleChunk(json: unknown): SampleChunk {
  const chunk = object(json, 'chunk');
  checkHead(chunk);
  checkProcesses(object(chunk['procs'], 'procs'));
  checkSystemSample(object(chunk['system'], 'system'));
  return chunk as unknown as SampleChunk;
}

/** The same of all but the rows of processes and the system. */
function checkHead(chunk: Partial<SampleChunk>): void {
  if (chunk.v !== SAMPLE_CHUNK_VERSION) {
    throw new ContractError(
      'CONTRACT_VERSION',
      `sample chunk is of version ${describeValue(chunk.v)}; this build reads version ${SAMPLE_CHUNK_VERSION}`,
    );
  }
  if (typeof chunk.node !== 'string' || !isNodeId(chunk.node)) shape('node', 'a node id', chunk.node);
  if (typeof chunk.boot !== 'string' || !isBootId(chunk.boot)) shape('boot', 'a boot id', chunk.boot);
  if (typeof chunk.run !== 'string' || !isBootId(chunk.run)) shape('run', 'a run id', chunk.run);
  count(chunk.seq, 'seq');
  count(chunk.at, 'at');
  if ((chunk.at as number) > MAX_TIME) shape('at', 'a time before the year 3000', chunk.at);
  if (typeof chunk.keyframe !== 'boolean') shape('keyframe', 'true or false', chunk.keyframe);
  count(chunk.part, 'part');
  count(chunk.parts, 'parts');
  if ((chunk.parts as number) > MAX_CHUNK_PARTS) shape('parts', `at most ${MAX_CHUNK_PARTS}`, chunk.parts);
  if ((chunk.part as number) >= (chunk.parts as number)) shape('part', 'below parts', chunk.part);
  checkFacts(object(chunk.facts, 'facts'));
  checkExits(object(chunk.exits, 'exits'));
}

type Columns = Record<string, unknown>;

function checkProcesses(columns: Columns): void {
  const rows = identity(columns, 'procs');
  if (columns['state'] !== undefined) strings(columns['state'], 'procs.state', rows, 1, true);
  for (const name of PROCESS_NUMBERS) {
    if (columns[name] !== undefined) counts(columns[name], `procs.${name}`, rows, true);
  }
}

function checkFacts(columns: Columns): void {
  const rows = identity(columns, 'facts');
  counts(columns['startedAt'], 'facts.startedAt', rows, false, MAX_TIME);
  strings(columns['program'], 'facts.program', rows, 4096, false);
  strings(columns['commandLine'], 'facts.commandLine', rows, 65_536, true);
  counts(columns['uid'], 'facts.uid', rows, true);
  counts(columns['gid'], 'facts.gid', rows, true);
  strings(columns['user'], 'facts.user', rows, 4096, true);
  strings(columns['cgroup'], 'facts.cgroup', rows, 4096, true);
  strings(columns['service'], 'facts.service', rows, 4096, false);
}

function checkExits(columns: Columns): void {
  identity(columns, 'exits');
}

/** Checks `pid` and `start` and gives the number of rows. */
function identity(columns: Columns, table: string): number {
  const pid = columns['pid'];
  if (!Array.isArray(pid)) shape(`${table}.pid`, 'an array', pid);
  const rows = (pid as unknown[]).length;
  if (rows > MAX_CHUNK_ROWS) shape(`${table}.pid`, `at most ${MAX_CHUNK_ROWS} rows`, rows);
  counts(pid, `${table}.pid`, rows, false, 0xffff_ffff);
  counts(columns['start'], `${table}.start`, rows, false);
  return rows;
}

function counts(column: unknown, name: string, rows: number, nullable: boolean, max = Number.MAX_SAFE_INTEGER): void {
  const cells = sized(column, name, rows);
  for (let row = 0; row < rows; row++) {
    const cell = cells[row];
    if (cell === null && nullable) continue;
    if (!Number.isInteger(cell) || (cell as number) < 0 || (cell as number) > max) {
      shape(`${name}[${row}]`, `a whole number from 0 to ${max}${nullable ? ' or null' : ''}`, cell);
    }
  }
}

function strings(column: unknown, name: string, rows: number, max: number, nullable: boolean): void {
  const cells = sized(column, name, rows);
  for (let row = 0; row < rows; row++) {
    const cell = cells[row];
    if (cell === null && nullable) continue;
    if (typeof cell !== 'string' || cell.length > max)
      shape(`${name}[${row}]`, `text of at most ${max} characters`, cell);
  }
}

function sized(column: unknown, name: string, rows: number): unknown[] {
  if (!Array.isArray(column) || column.length !== rows) {
    shape(name, `an array of ${rows} cells`, Array.isArray(column) ? `${column.length} cells` : column);
  }
  return column as unknown[];
}

function count(value: unknown, name: string): void {
  if (!Number.isSafeInteger(value) || (value as number) < 0) shape(name, 'a whole number from 0', value);
}

function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) shape(name, 'an object', value);
  return value as Record<string, unknown>;
}

function shape(field: string, wanted: string, found: unknown): never {
  throw new ContractError('CONTRACT_SHAPE', `sample chunk: ${field} must be ${wanted}, found ${describeValue(found)}`);
}
