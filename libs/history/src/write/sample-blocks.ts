import { PROCESS_NUMBERS, type SampleChunk } from '@tidemark/contracts';
import { block, byDay, columnName, DAY_MS, LAST_MOMENT, traceOf, type Block } from './block.js';
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
import { systemBlocks } from './system-blocks.js';

/** The rows of the chunks, table by table and day by day; the same chunks give the same blocks. */
export function sampleBlocks(chunks: readonly SampleChunk[], batch: number): Block[] {
  return byDay(chunks).flatMap(([day, ofDay]) => [
    ...processBlock(day, ofDay, batch),
    ...factBlock(day, ofDay),
    ...systemBlocks(day, ofDay, batch),
  ]);
}

function processBlock(day: number, chunks: readonly SampleChunk[], batch: number): Block[] {
  const sizes = chunks.map(({ procs }) => procs.pid.length);
  const rows = sizes.reduce((sum, size) => sum + size, 0);
  if (rows === 0) return [];
  const columns = identityColumns(chunks, sizes, ({ procs }) => procs);
  const at = new Words64(rows);
  const batches = new Words64(rows);
  batches.fill(0, rows, batch);
  forEachChunk(chunks, sizes, (chunk, from, to) => at.fill(from, to, chunk.at));
  columns.push(at.column('at', "DateTime64(3, 'UTC')"), batches.column('batch'));
  if (chunks.some(({ procs }) => procs.state?.some((letter) => letter !== null))) {
    const states = chunks.flatMap(({ procs }) => procs.state ?? procs.pid.map(() => null));
    columns.push(nullableTextColumn('state', states));
  }
  for (const name of PROCESS_NUMBERS) {
    if (chunks.every(({ procs }) => procs[name] === undefined)) continue;
    const values = new NullableWords64(rows);
    forEachChunk(chunks, sizes, ({ procs }, from) => values.setAll(from, procs[name] ?? []));
    if (values.known > 0) columns.push(values.column(columnName(name)));
  }
  return [block('process_samples', day, rows, columns, traceOf(batch, chunks))];
}

/** Facts and exits in one block: both tell of processes. */
function factBlock(day: number, chunks: readonly SampleChunk[]): Block[] {
  const told = chunks.filter(({ facts, exits }) => facts.pid.length + exits.pid.length > 0);
  if (told.length === 0) return [];
  const sizes = told.map(({ facts, exits }) => facts.pid.length + exits.pid.length);
  const rows = sizes.reduce((sum, size) => sum + size, 0);
  const columns = identityColumns(told, sizes, ({ facts, exits }) => ({
    pid: [...facts.pid, ...exits.pid],
    start: [...facts.start, ...exits.start],
  }));
  const seen = told.flatMap(({ at }, index) => new Array<number>(sizes[index] ?? 0).fill(at));
  const fact = <T>(pick: (facts: SampleChunk['facts']) => readonly T[]): (T | null)[] =>
    told.flatMap(({ facts, exits }) => [...pick(facts), ...exits.pid.map(() => null)]);
  const exited = told.flatMap(({ at, facts, exits }) => [...facts.pid.map(() => null), ...exits.pid.map(() => at)]);
  const started = fact(({ startedAt }) => startedAt).map((at) => (at === null ? null : Math.min(at, LAST_MOMENT)));
  columns.push(
    dateColumn('month', new Array<number>(rows).fill(firstOfMonth(day))),
    timeColumn('first_seen', seen),
    timeColumn('last_seen', seen),
    nullableTimeColumn('exited_at', exited),
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
  );
  return [block('processes', day, rows, columns, null)];
}

/** Columns of the process key. */
function identityColumns(
  chunks: readonly SampleChunk[],
  sizes: readonly number[],
  pick: (chunk: SampleChunk) => { pid: readonly number[]; start: readonly number[] },
): NativeColumn[] {
  const rows = sizes.reduce((sum, size) => sum + size, 0);
  const pid = new Uint32Array(rows);
  const start = new Words64(rows);
  forEachChunk(chunks, sizes, (chunk, from) => {
    const keys = pick(chunk);
    pid.set(keys.pid, from);
    for (let index = 0; index < keys.start.length; index++) start.set(from + index, keys.start[index] ?? 0);
  });
  const runs = (text: (chunk: SampleChunk) => string): { text: string; rows: number }[] =>
    chunks.map((chunk, index) => ({ text: text(chunk), rows: sizes[index] ?? 0 }));
  return [
    dictionaryColumn(
      'node',
      runs(({ node }) => node),
    ),
    dictionaryColumn(
      'boot',
      runs(({ boot }) => boot),
    ),
    words32Column('pid', pid),
    start.column('start'),
  ];
}

function forEachChunk(
  chunks: readonly SampleChunk[],
  sizes: readonly number[],
  visit: (chunk: SampleChunk, from: number, to: number) => void,
): void {
  let from = 0;
  chunks.forEach((chunk, index) => {
    const to = from + (sizes[index] ?? 0);
    visit(chunk, from, to);
    from = to;
  });
}

function firstOfMonth(day: number): number {
  const date = new Date(day * DAY_MS);
  return Math.floor(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1) / DAY_MS);
}
