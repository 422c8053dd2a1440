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
  nullableFloatColumn,
  NullableWords64,
  timeColumn,
  Words64,
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

type Columns = ReadonlyMap<string, string>;

const MEMORY_COLUMNS: Columns = new Map(Object.entries(MEMORY));
const COUNTER_COLUMNS: Columns = new Map(Object.entries(COUNTERS));

/** Counts by column, filled row by row: a row has few of the fields that there are. */
class CountColumns {
  readonly #rows: number;
  readonly #values = new Map<string, NullableWords64>();

  constructor(rows: number) {
    this.#rows = rows;
  }

  set(row: number, column: string, value: number | undefined): void {
    if (value === undefined) return;
    let values = this.#values.get(column);
    if (!values) this.#values.set(column, (values = new NullableWords64(this.#rows)));
    values.set(row, wholeNumber(value));
  }

  /** The fields of a section that have a column; others are of a newer build. */
  setFields(row: number, section: object | undefined, columns: Columns): void {
    for (const field in section) {
      const column = columns.get(field);
      if (column !== undefined) this.set(row, column, section[field as never]);
    }
  }

  /** Those with a value, by name: the same rows give the same bytes. */
  columns(): NativeColumn[] {
    return [...this.#values]
      .filter(([, values]) => values.known > 0)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, values]) => values.column(name));
  }
}

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
  const values = new CountColumns(told.length);
  told.forEach(({ system }, row) => {
    values.setFields(row, system.memory, MEMORY_COLUMNS);
    values.setFields(row, system.counters, COUNTER_COLUMNS);
    for (const [name, pick] of NODE_COUNTS) values.set(row, name, pick(system));
  });
  columns.push(...values.columns());
  for (const [name, pick] of NODE_FLOATS) {
    const cells = told.map(({ system }) => pick(system));
    if (cells.some((cell) => cell !== undefined)) columns.push(nullableFloatColumn(name, cells));
  }
  return [block('node_samples', day, told.length, columns, traceOf(batchOf, told))];
}

type Device = Readonly<Record<string, number | string | undefined>>;

interface DeviceKind {
  kind: string;
  /** The devices of one chunk. */
  section(system: SystemSample): readonly Device[] | undefined;
  /** The field that names a device. */
  label: 'name' | 'path';
  columns: Columns;
}

function deviceKind<D extends object>(
  kind: string,
  section: Pick<readonly D[]>,
  label: 'name' | 'path',
  fields: FieldsOf<D>,
): DeviceKind {
  return { kind, section: section as Pick<readonly Device[]>, label, columns: new Map(Object.entries<string>(fields)) };
}

const DEVICE_KINDS: readonly DeviceKind[] = [
  deviceKind('cpu', ({ cpus }) => cpus, 'name', CPU),
  deviceKind('network', ({ interfaces }) => interfaces, 'name', INTERFACE),
  deviceKind('disk', ({ disks }) => disks, 'name', DISK),
  deviceKind('cgroup', ({ cgroups }) => cgroups, 'path', CGROUP),
];

/** Devices of one kind of one chunk: consecutive rows from `from` on. */
interface DeviceRun {
  chunk: SampleChunk;
  kind: DeviceKind;
  devices: readonly Device[];
  from: number;
}

/** One row per device of every chunk that has its section; columns of other kinds are null in it. */
function deviceBlock(day: number, chunks: readonly SampleChunk[], batchOf: BatchOf<SampleChunk>): Block[] {
  const runs: DeviceRun[] = [];
  const told: SampleChunk[] = [];
  let rows = 0;
  for (const chunk of chunks) {
    const before = rows;
    for (const kind of DEVICE_KINDS) {
      const devices = kind.section(chunk.system);
      if (!devices || devices.length === 0) continue;
      runs.push({ chunk, kind, devices, from: rows });
      rows += devices.length;
    }
    if (rows > before) told.push(chunk);
  }
  if (rows === 0) return [];
  const values = new CountColumns(rows);
  for (const { kind, devices, from } of runs) {
    devices.forEach((device, index) => values.setFields(from + index, device, kind.columns));
  }
  const columns = [...deviceIdentity(runs, rows, batchOf), ...values.columns()];
  return [block('device_samples', day, rows, columns, traceOf(batchOf, told))];
}

function deviceIdentity(runs: readonly DeviceRun[], rows: number, batchOf: BatchOf<SampleChunk>): NativeColumn[] {
  const times = new Words64(rows);
  const batches = new Words64(rows);
  for (const { chunk, devices, from } of runs) {
    times.fill(from, from + devices.length, chunk.at);
    batches.fill(from, from + devices.length, batchOf(chunk));
  }
  return [
    dictionaryColumn(
      'node',
      runs.map(({ chunk, devices }) => ({ text: chunk.node, rows: devices.length })),
    ),
    dictionaryColumn(
      'kind',
      runs.map(({ kind, devices }) => ({ text: kind.kind, rows: devices.length })),
    ),
    dictionaryColumn(
      'name',
      runs.flatMap(({ kind, devices }) => devices.map((device) => ({ text: String(device[kind.label]), rows: 1 }))),
    ),
    times.column('at', "DateTime64(3, 'UTC')"),
    batches.column('batch'),
  ];
}
