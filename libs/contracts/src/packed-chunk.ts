import { parsePlainJson } from './encoding.js';
import { ContractError, describeValue } from './errors.js';
import { isBootId, isNodeId } from './ids.js';
import { packSystem, unpackSystem } from './packed-system.js';
import { packColumn, packedColumnBound, PackedReader, packVarint } from './packed-columns.js';
import { isObject } from './plain-checks.js';
import {
  MAX_CHUNK_ROWS,
  type Cell,
  type ExitColumns,
  type FactColumns,
  type ProcessColumns,
} from './process-columns.js';
import { checkSystemSample } from './system-sample-check.js';
import type { SampleChunk } from './sample-chunk.js';

/** Name of the record header that says how the value is written; without it, it is JSON. */
export const FORMAT_HEADER = 'format';
/** The system sections are packed, where they can be; in the older format they are a part of the JSON. */
export const PACKED_FORMAT = 'columns.2';
const OLDER_FORMAT = 'columns';

export function isPackedFormat(format: string | undefined): boolean {
  return format === PACKED_FORMAT || format === OLDER_FORMAT;
}

/** A letter goes as its code. */
const STATE = 'state';
/** Each has the bit of its place: new ones come last, and none ever goes. */
const COLUMNS = [
  ...[
    STATE,
    'ppid',
    'pgrp',
    'session',
    'threads',
    'utime',
    'stime',
    'minflt',
    'majflt',
    'vms',
    'rss',
    'shared',
    'text',
  ],
  ...['data', 'lib', 'dirty', 'rssAnon', 'rssFile', 'rssShmem', 'swap', 'pss', 'uss'],
] as const;
/**
 * Every chunk's columns begin as a copy: an object that gets so many one by one, by names that are not in the source,
 * becomes a hash table in the engine, four times as slow to make and slower for whoever reads it.
 */
const NO_COLUMNS: Record<string, unknown> = Object.fromEntries(
  ['pid', 'start', ...COLUMNS].map((name) => [name, undefined]),
);
/** For what newer builds add. */
const MOST_COLUMNS = 31;

const MAX_STATE = 0xffff;
const MAX_PID = 0xffff_ffff;

// One for all chunks that have none: nobody changes a decoded chunk.
const NO_FACTS: FactColumns = {
  ...{ pid: [], start: [], startedAt: [], program: [], commandLine: [], uid: [], gid: [], user: [], cgroup: [] },
  service: [],
};
const NO_EXITS: ExitColumns = { pid: [], start: [] };
const NOTHING_MORE = {};
/** Of a system that the JSON has. */
const NO_FIGURES = Uint8Array.of(0);

/** Bytes of the version, three ids, seven numbers and their lengths, at most. */
const HEAD_BOUND = 1 + (253 + 64 + 64 + 3 * 8) + 8 * 8;

let scratch = Buffer.alloc(64 * 1024);

/**
 * Numbers are varints, texts and JSON have their length before them: version, node, boot, run, seq, at, keyframe (0 or 1),
 * part, parts, rows, columns (a bit each, see `COLUMNS`), what else there is as JSON (nothing, where nothing is: facts and exits
 * only when they have rows, system only when it cannot be packed), in format `columns.2` the packed system (0 when the JSON
 * has it), then the columns pid and start, and those that the bits name, in the order of their bits; see
 * `packed-system.ts` and `packed-columns.ts`. Undefined for a chunk that does not fit in: its JSON says better what is wrong with it.
 */
export function packChunk(chunk: SampleChunk): Uint8Array | undefined {
  const { v, node, boot, run, seq, at: time, keyframe, part, parts, procs, facts, exits, system } = chunk;
  const rows = procs.pid.length;
  const present = presentColumns(procs);
  const numbers = [seq, time, keyframe ? 1 : 0, part, parts, rows, present ?? NaN];
  if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0)) return undefined;
  if (v !== 1 || !isNodeId(node) || !isBootId(boot) || !isBootId(run)) return undefined;
  const figures = packSystem(system);
  const more = {
    ...(facts.pid.length > 0 && { facts }),
    ...(exits.pid.length > 0 && { exits }),
    ...(!figures && { system }),
  };
  const json = Buffer.from(Object.keys(more).length > 0 ? JSON.stringify(more) : '');
  const bound =
    HEAD_BOUND + json.length + (figures ?? NO_FIGURES).length + (2 + COLUMNS.length) * packedColumnBound(rows);
  if (scratch.length < bound) scratch = Buffer.alloc(bound);
  let at = packVarint(v, scratch, 0);
  for (const text of [node, boot, run]) {
    at = packVarint(text.length, scratch, at);
    at += scratch.write(text, at, 'latin1');
  }
  for (const value of numbers) at = packVarint(value, scratch, at);
  at = packVarint(json.length, scratch, at);
  at += json.copy(scratch, at);
  scratch.set(figures ?? NO_FIGURES, at);
  at += (figures ?? NO_FIGURES).length;
  for (const [cells, steps] of columnsOf(procs)) {
    const end = cells.length === rows ? packColumn(cells, steps, scratch, at) : undefined;
    if (end === undefined) return undefined;
    at = end;
  }
  return Buffer.from(scratch.subarray(0, at));
}

/** The bits of the columns that there are; undefined when one is not known here. */
function presentColumns(procs: ProcessColumns): number | undefined {
  let bits = 0;
  for (const name of Object.keys(procs)) {
    if (name === 'pid' || name === 'start') continue;
    const place = COLUMNS.indexOf(name as (typeof COLUMNS)[number]);
    if (place < 0) return undefined;
    if (procs[name as 'rss'] !== undefined) bits |= 1 << place;
  }
  return bits;
}

/** In their order, with whether steps are shorter: what names a process ascends, mostly. */
function* columnsOf(procs: ProcessColumns): Generator<[cells: readonly Cell[], steps: boolean]> {
  yield [procs.pid, true];
  yield [procs.start, true];
  for (const name of COLUMNS) {
    if (procs[name] === undefined) continue;
    if (name !== STATE) yield [procs[name], false];
    else yield [procs[name].map((letter) => (letter === null ? null : codeOf(letter))), false];
  }
}

function codeOf(letter: string): number {
  return letter.length === 1 ? letter.charCodeAt(0) : NaN;
}

/**
 * The chunk; its rows of processes and its system keep the contract, the rest is unchecked. Of another version it has nothing but that.
 * Throws ContractError when it is damaged.
 */
export function unpackChunk(plain: Uint8Array, format: string): Record<string, unknown> {
  const reader = new PackedReader(plain);
  const v = reader.count('version');
  if (v !== 1) return { v };
  const [node, boot, run] = [reader.text('node'), reader.text('boot'), reader.text('run')];
  const [seq, at] = [reader.count('seq'), reader.count('at')];
  const keyframe = reader.count('keyframe', 1) === 1;
  const [part, parts] = [reader.count('part'), reader.count('parts')];
  const rows = reader.count('rows', MAX_CHUNK_ROWS);
  const present = reader.count('columns', 2 ** MOST_COLUMNS - 1);
  const more = readMore(reader, format);
  const { facts = NO_FACTS, exits = NO_EXITS } = more;
  const packed = format === PACKED_FORMAT ? unpackSystem(reader) : undefined;
  const system = more.system ?? packed;
  // What is packed can only be read as what it must be.
  if (system === undefined || system !== packed) checkJsonSystem(system);
  const procs = readProcesses(reader, rows, present);
  return { v, node, boot, run, seq, at, keyframe, part, parts, procs, facts, exits, system };
}

function readMore(reader: PackedReader, format: string): { facts?: unknown; exits?: unknown; system?: unknown } {
  const json = reader.bytes('JSON');
  if (json.length === 0 && format === PACKED_FORMAT) return NOTHING_MORE;
  const more = parsePlainJson(json);
  if (typeof more === 'object' && more !== null) return more;
  throw new ContractError('CONTRACT_SHAPE', `packed JSON must be an object, found ${describeValue(more)}`);
}

function checkJsonSystem(system: unknown): void {
  if (isObject(system)) return checkSystemSample(system);
  throw new ContractError('CONTRACT_SHAPE', `sample chunk: system must be an object, found ${describeValue(system)}`);
}

function readProcesses(reader: PackedReader, rows: number, present: number): ProcessColumns {
  const procs = { ...NO_COLUMNS };
  procs['pid'] = reader.column('pid', rows, false, MAX_PID);
  procs['start'] = reader.column('start', rows, false);
  for (let place = 0; place < MOST_COLUMNS; place++) {
    if (!((present >> place) & 1)) continue;
    const name = COLUMNS[place];
    // What a newer build knows of a process is left out, and the rest is read.
    if (name === undefined) reader.column(`column ${place}`, rows, true);
    else if (name === STATE) procs[name] = reader.column(name, rows, true, MAX_STATE).map(letterOf);
    else procs[name] = reader.column(name, rows, true);
  }
  if (reader.done) return procs as ProcessColumns;
  throw new ContractError('CONTRACT_SHAPE', 'packed sample chunk goes on behind its columns');
}

function letterOf(code: number | null): string | null {
  return code === null ? null : String.fromCharCode(code);
}
