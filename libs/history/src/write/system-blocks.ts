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
    const values = new NullableWords64(told.length);
    for (let row = 0; row < told.length; row++) values.set(row, wholeNumber(pick(told[row]!.system)));
    if (values.known > 0) columns.push(values.column(name));
  }
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
  columns: readonly { column: string; field: string }[];
}

function deviceKind<D extends object>(
  kind: string,
  section: Pick<readonly D[]>,
  label: 'name' | 'path',
  fields: FieldsOf<D>,
): DeviceKind {
  const columns = Object.entries<string>(fields).map(([field, column]) => ({ column, field }));
  return { kind, section: section as Pick<readonly Device[]>, label, columns };
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

/** One row per device of every chunk that has its section; only the columns of kinds that occur. */
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
  const columns = deviceIdentity(runs, rows, batchOf);
  for (const kind of DEVICE_KINDS) {
    const own = runs.filter((run) => run.kind === kind);
    if (own.length > 0) columns.push(...kind.columns.flatMap((one) => deviceColumn(own, rows, one)));
  }
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

/** Null in the rows of other kinds; none when no device has the field. */
function deviceColumn(
  runs: readonly DeviceRun[],
  rows: number,
  { column, field }: { column: string; field: string },
): NativeColumn[] {
  const values = new NullableWords64(rows);
  for (const { devices, from } of runs) {
    for (let index = 0; index < devices.length; index++) {
      values.set(from + index, wholeNumber(devices[index]![field] as number | undefined));
    }
  }
  return values.known > 0 ? [values.column(column)] : [];
}
