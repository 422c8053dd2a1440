import { siteId, type AllocationChunk, type SiteFigures, type SiteStack } from '@tidemark/contracts';
import { block, byDay, LAST_MOMENT, type Block } from './block.js';
import {
  boolColumn,
  countColumn,
  countListColumn,
  dictionaryColumn,
  floatColumn,
  microTimeColumn,
  nullableCountColumn,
  nullableFloatColumn,
  nullableTextColumn,
  textColumn,
  textListColumn,
  timeColumn,
  words32Column,
  type NativeColumn,
} from './native-columns.js';

/** Sites get a row for each stretch of this length in which they changed, milliseconds. */
export const SITE_ROW_MS = 10_000;

/**
 * Rows of what the chunks tell: of each key the newest alone. No block has a trace: a second copy of a row folds into
 * the first, so that to write again is to write once.
 */
export function allocationBlocks(chunks: readonly AllocationChunk[]): Block[] {
  const sorted = chunks.toSorted((a, b) => a.at - b.at || a.seq - b.seq);
  const names = sorted.map(({ stacks }) => stacks.map((stack) => ({ stack, id: siteId(stack.frames) })));
  const namesOf = new Map(sorted.map((chunk, index) => [chunk, names[index]!]));
  // What is referred to comes first, so that whoever reads meanwhile finds it.
  return [
    ...stackBlocks(sorted, namesOf),
    ...nameBlocks(sorted, namesOf),
    ...unmatchedBlocks(sorted),
    ...siteBlocks(sorted),
    ...traceBlocks(sorted),
  ];
}

/** A row with the chunk that it is from. */
interface Row<T> {
  chunk: AllocationChunk;
  at: number;
  item: T;
}

/** The last row of each key. */
function newest<T>(chunks: readonly AllocationChunk[], items: (chunk: AllocationChunk) => [name: string, item: T][]) {
  const rows = new Map<string, Row<T>>();
  for (const chunk of chunks) {
    const at = Math.min(Math.floor(chunk.at), LAST_MOMENT);
    for (const [name, item] of items(chunk)) rows.set(name, { chunk, at, item });
  }
  return [...rows.values()];
}

function blocks<T>(table: string, rows: readonly Row<T>[], columns: (rows: readonly Row<T>[]) => NativeColumn[]) {
  return byDay(rows).map(([day, ofDay]) => block(table, day, ofDay.length, columns(ofDay), null));
}

const words = (name: string, texts: readonly string[]): NativeColumn =>
  dictionaryColumn(
    name,
    texts.map((text) => ({ text, rows: 1 })),
  );

/** Node, boot, pid, start, trace, run, and the time of the look. */
function keyColumns(rows: readonly Row<unknown>[]): NativeColumn[] {
  const all = <V>(pick: (chunk: AllocationChunk) => V): V[] => rows.map(({ chunk }) => pick(chunk));
  return [
    words(
      'node',
      all(({ node }) => node),
    ),
    words(
      'boot',
      all(({ boot }) => boot),
    ),
    words32Column('pid', Uint32Array.from(all(({ pid }) => pid))),
    countColumn(
      'start',
      all(({ start }) => start),
    ),
    words(
      'trace',
      all(({ trace }) => trace),
    ),
    words(
      'run',
      all(({ run }) => run),
    ),
    timeColumn(
      'at',
      rows.map(({ at }) => at),
    ),
  ];
}

function traceBlocks(chunks: readonly AllocationChunk[]): Block[] {
  const rows = newest(chunks, (chunk) => [[nameOf(chunk), chunk]]);
  return blocks('allocation_traces', rows, (ofDay) => {
    const all = ofDay.map(({ item }) => item);
    const totals = TOTALS.map(([column, field]) =>
      floatColumn(
        column,
        all.map((chunk) => chunk.totals[field]),
      ),
    );
    const errors = ERRORS.map(([column, field]) =>
      nullableFloatColumn(
        column,
        all.map((chunk) => chunk.totals.standardError?.[field]),
      ),
    );
    return [...keyColumns(ofDay), ...headColumns(all), ...totals, ...errors];
  });
}

const TOTALS = [
  ['allocations', 'allocations'],
  ['frees', 'frees'],
  ['allocated_bytes', 'allocatedBytes'],
  ['freed_bytes', 'freedBytes'],
  ['live_count', 'liveCount'],
  ['live_bytes', 'liveBytes'],
  ['issued', 'issued'],
  ['recorded', 'recorded'],
  ['cancelled', 'cancelled'],
  ['dropped', 'dropped'],
] as const;

const ERRORS = [
  ['error_allocations', 'allocations'],
  ['error_allocated_bytes', 'allocatedBytes'],
  ['error_live_count', 'liveCount'],
  ['error_live_bytes', 'liveBytes'],
] as const;

function headColumns(chunks: readonly AllocationChunk[]): NativeColumn[] {
  const all = <V>(pick: (chunk: AllocationChunk) => V): V[] => chunks.map(pick);
  return [
    moments(
      'started_at',
      all(({ startedAt }) => startedAt),
    ),
    textColumn(
      'program',
      all(({ program }) => program),
    ),
    nullableTextColumn(
      'command_line',
      all(({ commandLine }) => commandLine),
    ),
    words(
      'state',
      all(({ state }) => state),
    ),
    words(
      'means',
      all(({ means }) => means),
    ),
    words(
      'mode',
      all(({ mode }) => mode),
    ),
    nullableFloatColumn(
      'sample_interval',
      all(({ sampleInterval }) => sampleInterval),
    ),
    moments(
      'births_until',
      all(({ birthsUntil }) => birthsUntil),
    ),
    nullableCountColumn(
      'anonymous_bytes',
      all(({ anonymousBytes }) => anonymousBytes),
    ),
    countColumn(
      'survivors_total',
      all(({ survivorsTotal }) => survivorsTotal),
    ),
    textListColumn(
      'warnings',
      all(({ warnings }) => warnings),
    ),
  ];
}

const FIGURES = [
  ['allocations', 'allocations'],
  ['frees', 'frees'],
  ['allocated_bytes', 'allocatedBytes'],
  ['freed_bytes', 'freedBytes'],
  ['live_count', 'liveCount'],
  ['live_bytes', 'liveBytes'],
  ['old_frees', 'oldFrees'],
  ['live_samples', 'liveSamples'],
  ['live_variance', 'liveVariance'],
] as const;

function siteBlocks(chunks: readonly AllocationChunk[]): Block[] {
  const rows = newest<SiteFigures>(chunks, (chunk) => {
    const stretch = Math.floor(chunk.at / SITE_ROW_MS);
    return chunk.sites.map((figures) => [`${nameOf(chunk)} ${chunk.run} ${figures.site} ${stretch}`, figures]);
  });
  return blocks('allocation_sites', rows, (ofDay) => {
    const all = ofDay.map(({ item }) => item);
    return [
      ...keyColumns(ofDay),
      siteColumn(all.map(({ site }) => site)),
      words32Column(
        'time',
        Uint32Array.from(ofDay, ({ at }) => (Math.floor(at / SITE_ROW_MS) * SITE_ROW_MS) / 1000),
      ),
      ...FIGURES.map(([column, field]) =>
        floatColumn(
          column,
          all.map((figures) => figures[field]),
        ),
      ),
      moments(
        'first_at',
        all.map(({ firstAt }) => firstAt),
      ),
      moments(
        'births_until',
        ofDay.map(({ chunk }) => chunk.birthsUntil),
      ),
      countListColumn(
        'births',
        all.map(({ births }) => births),
      ),
    ];
  });
}

interface NamedStack {
  stack: SiteStack;
  id: string;
}

/** Names of the stacks of each chunk: they are made once. */
type Names = ReadonlyMap<AllocationChunk, readonly NamedStack[]>;

function nameBlocks(chunks: readonly AllocationChunk[], names: Names): Block[] {
  const rows = newest<NamedStack>(chunks, (chunk) =>
    names.get(chunk)!.map((named) => [`${nameOf(chunk)} ${chunk.run} ${named.stack.site}`, named]),
  );
  return blocks('allocation_site_names', rows, (ofDay) => [
    ...keyColumns(ofDay),
    siteColumn(ofDay.map(({ item }) => item.stack.site)),
    textColumn(
      'site_id',
      ofDay.map(({ item }) => item.id),
    ),
  ]);
}

function stackBlocks(chunks: readonly AllocationChunk[], names: Names): Block[] {
  const rows = newest<NamedStack>(chunks, (chunk) => names.get(chunk)!.map((named) => [named.id, named]));
  return blocks('allocation_stacks', rows, (ofDay) => [
    textColumn(
      'site_id',
      ofDay.map(({ item }) => item.id),
    ),
    timeColumn(
      'at',
      ofDay.map(({ at }) => at),
    ),
    boolColumn(
      'truncated',
      ofDay.map(({ item }) => item.stack.truncated),
    ),
    textColumn(
      'frames',
      ofDay.map(({ item }) => JSON.stringify(item.stack.frames)),
    ),
  ]);
}

interface Unmatched {
  address: number;
  time: number;
  size: number;
  site: number;
  freed: boolean;
}

function unmatchedBlocks(chunks: readonly AllocationChunk[]): Block[] {
  const rows = newest<Unmatched>(chunks, (chunk) => {
    const blocks = [
      ...chunk.freed.map((name) => ({ ...name, size: 0, site: 0, freed: true })),
      ...chunk.survivors.map((survivor) => ({ ...survivor, freed: false })),
    ];
    return blocks.map((one) => [`${nameOf(chunk)} ${chunk.run} ${one.address} ${one.time}`, one]);
  });
  return blocks('unmatched_allocations', rows, (ofDay) => {
    const all = ofDay.map(({ item }) => item);
    return [
      ...keyColumns(ofDay),
      countColumn(
        'address',
        all.map(({ address }) => address),
      ),
      microTimeColumn(
        'time',
        all.map(({ time }) => Math.round(time * 1000)),
      ),
      boolColumn(
        'freed',
        all.map(({ freed }) => freed),
      ),
      boolColumn(
        'keyframe',
        ofDay.map(({ chunk }) => chunk.keyframe),
      ),
      siteColumn(all.map(({ site }) => site)),
      countColumn(
        'size',
        all.map(({ size }) => size),
      ),
    ];
  });
}

function nameOf({ key, trace }: AllocationChunk): string {
  return `${key} ${trace}`;
}

function siteColumn(sites: readonly number[]): NativeColumn {
  return words32Column('site', Uint32Array.from(sites));
}

function moments(name: string, times: readonly number[]): NativeColumn {
  return timeColumn(
    name,
    times.map((time) => Math.min(Math.floor(time), LAST_MOMENT)),
  );
}
