import type {
  CgroupMemory,
  CpuTimes,
  Disk,
  NetworkInterface,
  SampleChunk,
  SystemCounters,
  SystemMemory,
  SystemSample,
} from '@tidemark/contracts';
import { block, columnName, traceOf, wholeNumber, type BatchOf, type Block } from './block.js';
import {
  countColumn,
  dictionaryColumn,
  nullableCountColumn,
  nullableFloatColumn,
  NullableWords64,
  timeColumn,
  Words64,
  type Cells,
  type NativeColumn,
} from './native-columns.js';

type Pick<T> = (system: SystemSample) => T | undefined;

/** The fields of a section that must each have a column; the compiler sees to it that none is forgotten. */
type FieldsOf<T> = Readonly<Record<Exclude<keyof T, 'name' | 'path'>, string>>;

const MEMORY: FieldsOf<SystemMemory> = {
  total: 'total',
  available: 'available',
  used: 'used',
  free: 'free',
  active: 'active',
  inactive: 'inactive',
  buffers: 'buffers',
  cached: 'cached',
  shared: 'shared',
  swapTotal: 'swap_total',
  swapFree: 'swap_free',
  swapCached: 'swap_cached',
  highTotal: 'high_total',
  highFree: 'high_free',
  lowTotal: 'low_total',
  lowFree: 'low_free',
};

const COUNTERS: FieldsOf<SystemCounters> = {
  bootTime: 'boot_time',
  contextSwitches: 'context_switches',
  interrupts: 'interrupts',
  processes: 'forks',
  pagedIn: 'paged_in',
  pagedOut: 'paged_out',
  swappedIn: 'swapped_in',
  swappedOut: 'swapped_out',
  oomKills: 'oom_kills',
};

const NODE_COUNTS: [string, Pick<number>][] = [
  ...Object.entries(MEMORY).map(([field, column]): [string, Pick<number>] => [
    column,
    ({ memory }) => memory?.[field as keyof SystemMemory],
  ]),
  ...Object.entries(COUNTERS).map(([field, column]): [string, Pick<number>] => [
    column,
    ({ counters }) => counters?.[field as keyof SystemCounters],
  ]),
  ['tasks_running', ({ load }) => load?.running],
  ['tasks_total', ({ load }) => load?.total],
  ['pressure_some_total', ({ pressure }) => pressure?.some.total],
  ['pressure_full_total', ({ pressure }) => pressure?.full?.total],
];

const NODE_FLOATS: [string, Pick<number>][] = [
  ['load_one', ({ load }) => load?.one],
  ['load_five', ({ load }) => load?.five],
  ['load_fifteen', ({ load }) => load?.fifteen],
  ['pressure_some_avg10', ({ pressure }) => pressure?.some.avg10],
  ['pressure_some_avg60', ({ pressure }) => pressure?.some.avg60],
  ['pressure_some_avg300', ({ pressure }) => pressure?.some.avg300],
  ['pressure_full_avg10', ({ pressure }) => pressure?.full?.avg10],
  ['pressure_full_avg60', ({ pressure }) => pressure?.full?.avg60],
  ['pressure_full_avg300', ({ pressure }) => pressure?.full?.avg300],
  ['uptime_up', ({ uptime }) => uptime?.up],
  ['uptime_idle', ({ uptime }) => uptime?.idle],
];

const CPU: FieldsOf<CpuTimes> = {
  user: 'user',
  nice: 'nice',
  system: 'system',
  idle: 'idle',
  iowait: 'iowait',
  irq: 'irq',
  softirq: 'softirq',
  steal: 'steal',
};

const DISK: FieldsOf<Disk> = {
  reads: 'reads',
  readSectors: 'read_sectors',
  writes: 'writes',
  writtenSectors: 'written_sectors',
  inFlight: 'in_flight',
  ioTime: 'io_time',
};

const CGROUP: FieldsOf<CgroupMemory> = {
  usage: 'usage',
  limit: 'limit_bytes',
  anon: 'anon',
  file: 'file',
  swap: 'swap',
  limitHits: 'limit_hits',
  oomKills: 'oom_kills',
};

const INTERFACE_FIELDS = [
  'rxBytes',
  'rxPackets',
  'rxErrors',
  'rxDropped',
  'rxFifo',
  'rxFrame',
  'rxCompressed',
  'rxMulticast',
  'txBytes',
  'txPackets',
  'txErrors',
  'txDropped',
  'txFifo',
  'txCollisions',
  'txCarrier',
  'txCompressed',
] as const satisfies readonly (keyof NetworkInterface)[];

const INTERFACE = Object.fromEntries(
  INTERFACE_FIELDS.map((field) => [field, columnName(field)]),
) as FieldsOf<NetworkInterface>;

export function systemBlocks(day: number, chunks: readonly SampleChunk[], batchOf: BatchOf<SampleChunk>): Block[] {
  return [...nodeBlock(day, chunks, batchOf), ...deviceBlock(day, chunks, batchOf)];
}

function nodeBlock(day: number, chunks: readonly SampleChunk[], batchOf: BatchOf<SampleChunk>): Block[] {
  // Sorted as the table is, see orderRows.
  const told = chunks
    .filter(({ system }) => system.memory ?? system.load ?? system.pressure ?? system.uptime ?? system.counters)
    .sort((a, b) => (a.node === b.node ? a.at - b.at : a.node < b.node ? -1 : 1));
  if (told.length === 0) return [];
  const columns: NativeColumn[] = [
    dictionaryColumn(
      'node',
      told.map(({ node }) => ({ text: node, rows: 1 })),
    ),
    dictionaryColumn(
      'boot',
      told.map(({ boot }) => ({ text: boot, rows: 1 })),
    ),
    timeColumn(
      'at',
      told.map(({ at }) => at),
    ),
    countColumn('batch', told.map(batchOf)),
  ];
  for (const [name, pick] of NODE_COUNTS) {
    const cells = told.map(({ system }) => wholeNumber(pick(system)));
    if (cells.some((cell) => cell !== null)) columns.push(nullableCountColumn(name, cells));
  }
  for (const [name, pick] of NODE_FLOATS) {
    const cells = told.map(({ system }) => pick(system) ?? null);
    if (cells.some((cell) => cell !== null)) columns.push(nullableFloatColumn(name, cells));
  }
  return [block('node_samples', day, told.length, columns, traceOf(batchOf, told))];
}

interface DeviceKind {
  kind: string;
  /** Names of the devices of one chunk. */
  names(system: SystemSample): readonly string[];
  /** The figures of the devices of one chunk, in the same order, by column. */
  cells(system: SystemSample, field: string): Cells;
  /** Field by column. */
  columns: readonly [column: string, field: string][];
}

function deviceKind<D extends object>(
  kind: string,
  section: Pick<readonly D[]>,
  nameOf: (device: D) => string,
  fields: FieldsOf<D>,
): DeviceKind {
  return {
    kind,
    names: (system) => (section(system) ?? []).map(nameOf),
    cells: (system, field) =>
      (section(system) ?? []).map((device) => wholeNumber(device[field as keyof D] as number | undefined)),
    columns: Object.entries<string>(fields).map(([field, column]) => [column, field]),
  };
}

const DEVICE_KINDS: readonly DeviceKind[] = [
  deviceKind(
    'cpu',
    ({ cpus }) => cpus,
    ({ name }) => name,
    CPU,
  ),
  deviceKind(
    'network',
    ({ interfaces }) => interfaces,
    ({ name }) => name,
    INTERFACE,
  ),
  deviceKind(
    'disk',
    ({ disks }) => disks,
    ({ name }) => name,
    DISK,
  ),
  deviceKind(
    'cgroup',
    ({ cgroups }) => cgroups,
    ({ path }) => path,
    CGROUP,
  ),
];

/** One row per device of every chunk that has its section; only the columns of kinds that occur. */
function deviceBlock(day: number, chunks: readonly SampleChunk[], batchOf: BatchOf<SampleChunk>): Block[] {
  const groups = chunks.flatMap((chunk) =>
    DEVICE_KINDS.map((kind) => ({ chunk, kind, names: kind.names(chunk.system) })).filter(
      ({ names }) => names.length > 0,
    ),
  );
  if (groups.length === 0) return [];
  const rows = groups.reduce((sum, { names }) => sum + names.length, 0);
  const times = new Words64(rows);
  const batches = new Words64(rows);
  let from = 0;
  for (const { chunk, names } of groups) {
    const to = from + names.length;
    times.fill(from, to, chunk.at);
    batches.fill(from, to, batchOf(chunk));
    from = to;
  }
  const columns: NativeColumn[] = [
    dictionaryColumn(
      'node',
      groups.map(({ chunk, names }) => ({ text: chunk.node, rows: names.length })),
    ),
    dictionaryColumn(
      'kind',
      groups.map(({ kind, names }) => ({ text: kind.kind, rows: names.length })),
    ),
    dictionaryColumn(
      'name',
      groups.flatMap(({ names }) => names.map((text) => ({ text, rows: 1 }))),
    ),
    times.column('at', "DateTime64(3, 'UTC')"),
    batches.column('batch'),
  ];
  for (const kind of DEVICE_KINDS) {
    if (groups.every((group) => group.kind !== kind)) continue;
    for (const [column, field] of kind.columns) {
      const values = new NullableWords64(rows);
      let row = 0;
      for (const { chunk, kind: own, names } of groups) {
        if (own === kind) values.setAll(row, kind.cells(chunk.system, field));
        row += names.length;
      }
      if (values.known > 0) columns.push(values.column(column));
    }
  }
  const told = [...new Set(groups.map(({ chunk }) => chunk))];
  return [block('device_samples', day, rows, columns, traceOf(batchOf, told))];
}
