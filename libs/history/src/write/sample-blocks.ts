import { numberColumns, PROCESS_NUMBERS, type SampleChunk } from '@tidemark/contracts';
import { block, byDay, columnName, DAY_MS, LAST_MOMENT, traceOf, type BatchOf, type Block } from './block.js';
import {
  dateColumn,
  dictionaryColumn,
  NullableWords64,
  nullableCountColumn,
  nullableTextColumn,
  nullableTimeColumn,
  timeColumn,
  Words64,
  words32Column,
  type NativeColumn,
} from './native-columns.js';
import { orderRows, type RowOrder } from './row-order.js';
import { systemBlocks } from './system-blocks.js';

/** The rows of the chunks, table by table and day by day; the same chunks give the same blocks. */
export function sampleBlocks(chunks: readonly SampleChunk[], batchOf: BatchOf<SampleChunk>): Block[] {
  return byDay(chunks).flatMap(([day, ofDay]) => [
    ...processBlock(day, ofDay, batchOf),
    ...factBlock(day, ofDay.filter(tellsOfLives)),
    ...systemBlocks(day, ofDay, batchOf),
  ]);
}

function processBlock(day: number, chunks: readonly SampleChunk[], batchOf: BatchOf<SampleChunk>): Block[] {
  const order = orderRows(chunks, ({ procs }) => procs);
  const { rows } = order;
  if (rows === 0) return [];
  const at = new Words64(rows);
  const batches = new Words64(rows);
  const numbers = new Array<NullableWords64 | undefined>(PROCESS_NUMBERS.length).fill(undefined);
  // Chunk by chunk, each read once: many small ones do not stay in the processor's cache for column after column.
  for (const { chunk, places } of order.chunks) {
    const batch = batchOf(chunk);
    for (let index = 0; index < places.length; index++) {
      at.set(places[index]!, chunk.at);
      batches.set(places[index]!, batch);
    }
    const columns = numberColumns(chunk.procs);
    for (let number = 0; number < columns.length; number++) {
      const cells = columns[number];
      if (cells) (numbers[number] ??= new NullableWords64(rows)).setAt(places, cells);
    }
  }
  const columns = [
    ...identityColumns(order, ({ procs }) => procs),
    at.column('at', "DateTime64(3, 'UTC')"),
    batches.column('batch'),
    ...stateColumn(order),
  ];
  PROCESS_NUMBERS.forEach((name, number) => {
    const values = numbers[number];
    if (values && values.known > 0) columns.push(values.column(columnName(name)));
  });
  return [block('process_samples', day, rows, columns, traceOf(batchOf, chunks))];
}

function stateColumn({ rows, chunks }: RowOrder): NativeColumn[] {
  const states = new Array<string | null>(rows).fill(null);
  let known = false;
  for (const { chunk, places } of chunks) {
    const { state } = chunk.procs;
    if (!state) continue;
    for (let index = 0; index < places.length; index++) {
      const letter = state[index] ?? null;
      states[places[index]!] = letter;
      known ||= letter !== null;
    }
  }
  return known ? [nullableTextColumn('state', states)] : [];
}

function tellsOfLives({ facts, exits }: SampleChunk): boolean {
  return facts.pid.length > 0 || exits.pid.length > 0;
}

/** Facts and exits in one block: both tell of processes. */
function factBlock(day: number, chunks: readonly SampleChunk[]): Block[] {
  const keysOf = ({ facts, exits }: SampleChunk): { pid: number[]; start: number[] } => ({
    pid: [...facts.pid, ...exits.pid],
    start: [...facts.start, ...exits.start],
  });
  const order = orderRows(chunks, keysOf);
  const { rows } = order;
  if (rows === 0) return [];
  /** One value per row; an exit has none of the facts. */
  const spread = <T>(pick: (chunk: SampleChunk, index: number) => T | null): (T | null)[] => {
    const values = new Array<T | null>(rows).fill(null);
    for (const { chunk, places } of order.chunks) {
      for (let index = 0; index < places.length; index++) values[places[index]!] = pick(chunk, index);
    }
    return values;
  };
  const fact = <T>(pick: (facts: SampleChunk['facts']) => readonly T[]): (T | null)[] =>
    spread(({ facts }, index) => pick(facts)[index] ?? null);
  const started = fact(({ startedAt }) => startedAt).map((at) => (at === null ? null : Math.min(at, LAST_MOMENT)));
  const seen = spread(({ at }) => at).map((at) => at ?? 0);
  const columns = [
    ...identityColumns(order, keysOf),
    dateColumn('month', new Array<number>(rows).fill(firstOfMonth(day))),
    timeColumn('first_seen', seen),
    timeColumn('last_seen', seen),
    nullableTimeColumn(
      'exited_at',
      spread(({ at, facts }, index) => (index < facts.pid.length ? null : at)),
    ),
    nullableTimeColumn('started_at', started),
    nullableTextColumn(
      'program',
      fact(({ program }) => program),
    ),
    nullableTextColumn(
      'command_line',
      fact(({ commandLine }) => commandLine),
    ),
    nullableCountColumn(
      'uid',
      fact(({ uid }) => uid),
    ),
    nullableCountColumn(
      'gid',
      fact(({ gid }) => gid),
    ),
    nullableTextColumn(
      'user',
      fact(({ user }) => user),
    ),
    nullableTextColumn(
      'cgroup',
      fact(({ cgroup }) => cgroup),
    ),
    nullableTextColumn(
      'service',
      fact(({ service }) => service),
    ),
  ];
  return [block('processes', day, rows, columns, null)];
}

/** Columns of the process key. */
function identityColumns(
  order: RowOrder,
  keysOf: (chunk: SampleChunk) => { pid: readonly number[]; start: readonly number[] },
): NativeColumn[] {
  const pid = new Uint32Array(order.rows);
  const start = new Words64(order.rows);
  for (const { chunk, places } of order.chunks) {
    const keys = keysOf(chunk);
    for (let index = 0; index < places.length; index++) {
      pid[places[index]!] = keys.pid[index]!;
      start.set(places[index]!, keys.start[index]!);
    }
  }
  return [
    dictionaryColumn(
      'node',
      order.runs.map(({ node, rows }) => ({ text: node, rows })),
    ),
    dictionaryColumn(
      'boot',
      order.runs.map(({ boot, rows }) => ({ text: boot, rows })),
    ),
    words32Column('pid', pid),
    start.column('start'),
  ];
}

function firstOfMonth(day: number): number {
  const date = new Date(day * DAY_MS);
  return Math.floor(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1) / DAY_MS);
}
