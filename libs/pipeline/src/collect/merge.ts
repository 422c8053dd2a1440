import {
  encodeSampleChunk,
  MAX_CHUNK_ROWS,
  PROCESS_NUMBERS,
  SAMPLE_CHUNK_VERSION,
  type Cell,
  type EncodedRecord,
  type ExitColumns,
  type FactColumns,
  type NodeId,
  type ProcessColumns,
  type SampleChunk,
  type SystemSample,
} from '@tidemark/contracts';
import { STATE_CHANGED, type ProcessState } from './process-state.js';

/** A record of a chunk stays below this, so that every log takes it (Kafka's default limit is 1 MiB). */
export const MAX_VALUE_BYTES = 900_000;
/** JSON of one part, about; packed and compressed it is less than a third of that as a rule. */
const PART_JSON_BYTES = 3_000_000;
/** JSON of a row in a keyframe and in any other chunk, about. */
const KEYFRAME_ROW_BYTES = 200;
const ROW_BYTES = 80;
const FACTS_BYTES = 120;

export interface Round {
  /** When it began, epoch milliseconds. */
  at: number;
  /** Tell everything that is known; `processes` are all the living then, else those with something new. */
  keyframe: boolean;
  processes: readonly ProcessState[];
  exits: readonly { pid: number; start: number }[];
  system: SystemSample;
}

export interface Merger {
  /**
   * The round as encoded chunks; none when there is nothing to tell. Takes the marks of what changed off the
   * processes, so each change is told once.
   */
  merge(round: Round): EncodedRecord[];
  /** Of the next chunk. */
  readonly seq: number;
}

export interface MergerOptions {
  node: NodeId;
  boot: string;
  /** Of this run of the collector. */
  run: string;
  /** Rows in a part; for tests. */
  maxRows?: number;
  /** Bytes of a record; for tests. */
  maxBytes?: number;
}

/** Turns what changed since the last round into columnar chunks, numbered without a gap. */
export function createMerger(options: MergerOptions): Merger {
  const { node, boot, run, maxRows = MAX_CHUNK_ROWS, maxBytes = MAX_VALUE_BYTES } = options;
  let seq = 0;

  function encode(round: Round, rows: number, jsonBytes: number): EncodedRecord[] {
    const parts = cut(round, rows, jsonBytes);
    while (parts.length * MAX_CHUNK_ROWS < round.exits.length) parts.push([]);
    const records = parts.map((part, index) => {
      const chunk: SampleChunk = {
        v: SAMPLE_CHUNK_VERSION,
        node,
        boot,
        run,
        seq: seq + index,
        at: round.at,
        keyframe: round.keyframe,
        part: index,
        parts: parts.length,
        procs: processColumns(part, round.keyframe),
        facts: factColumns(part, round.keyframe),
        exits: exitColumns(round.exits.slice(index * MAX_CHUNK_ROWS, (index + 1) * MAX_CHUNK_ROWS)),
        system: index === 0 ? round.system : {},
      };
      return encodeSampleChunk(chunk);
    });
    const longest = Math.max(...parts.map((part) => part.length));
    // Text that does not compress, such as random command lines: smaller parts, down to a process each.
    if (longest > 1 && records.some(({ value }) => value.byteLength > maxBytes)) {
      return encode(round, Math.ceil(longest / 2), jsonBytes / 2);
    }
    return records;
  }

  return {
    merge(round) {
      if (isEmpty(round)) return [];
      const records = encode(round, maxRows, PART_JSON_BYTES);
      seq += records.length;
      for (const process of round.processes) {
        process.changed = 0;
        process.factsChanged = false;
        process.told = true;
      }
      return records;
    },
    get seq() {
      return seq;
    },
  };
}

function isEmpty({ keyframe, processes, exits, system }: Round): boolean {
  return !keyframe && processes.length === 0 && exits.length === 0 && Object.keys(system).length === 0;
}

/** At least one part, none above the number of rows and (unless it is one process) about the size. */
function cut(round: Round, maxRows: number, maxJsonBytes: number): ProcessState[][] {
  const parts: ProcessState[][] = [];
  let part: ProcessState[] = [];
  let bytes = 0;
  for (const process of round.processes) {
    const size = jsonBytes(process, round.keyframe);
    if (part.length >= maxRows || (part.length > 0 && bytes + size > maxJsonBytes)) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(process);
    bytes += size;
  }
  parts.push(part);
  return parts;
}

function jsonBytes({ facts, factsChanged }: ProcessState, keyframe: boolean): number {
  const row = keyframe ? KEYFRAME_ROW_BYTES : ROW_BYTES;
  if (!keyframe && !factsChanged) return row;
  const { commandLine, program, cgroup, service } = facts;
  return row + FACTS_BYTES + (commandLine?.length ?? 0) + program.length + (cgroup?.length ?? 0) + service.length;
}

function processColumns(part: readonly ProcessState[], keyframe: boolean): ProcessColumns {
  const rows = keyframe ? part : part.filter((process) => process.changed !== 0);
  const columns: ProcessColumns = { pid: rows.map(({ pid }) => pid), start: rows.map(({ start }) => start) };
  const told = keyframe ? -1 : rows.reduce((bits, { changed }) => bits | changed, 0);
  if (told & STATE_CHANGED) {
    columns.state = rows.map(({ state, changed }) =>
      state !== 0 && (keyframe || changed & STATE_CHANGED) ? String.fromCharCode(state) : null,
    );
  }
  for (let index = 0; index < PROCESS_NUMBERS.length; index++) {
    const bit = 1 << index;
    if ((told & bit) === 0) continue;
    const cells = rows.map(({ row, changed }): Cell => {
      const figure = row[index]!;
      return (keyframe || changed & bit) && !Number.isNaN(figure) ? figure : null;
    });
    if (cells.some((cell) => cell !== null)) columns[PROCESS_NUMBERS[index]!] = cells;
  }
  return columns;
}

function factColumns(part: readonly ProcessState[], keyframe: boolean): FactColumns {
  const rows = keyframe ? part : part.filter((process) => process.factsChanged);
  return {
    pid: rows.map(({ pid }) => pid),
    start: rows.map(({ start }) => start),
    startedAt: rows.map(({ facts }) => facts.startedAt),
    program: rows.map(({ facts }) => facts.program),
    commandLine: rows.map(({ facts }) => facts.commandLine),
    uid: rows.map(({ facts }) => facts.uid),
    gid: rows.map(({ facts }) => facts.gid),
    user: rows.map(({ facts }) => facts.user),
    cgroup: rows.map(({ facts }) => facts.cgroup),
    service: rows.map(({ facts }) => facts.service),
  };
}

function exitColumns(exits: Round['exits']): ExitColumns {
  return { pid: exits.map(({ pid }) => pid), start: exits.map(({ start }) => start) };
}
