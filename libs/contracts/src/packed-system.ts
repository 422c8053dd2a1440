import { damaged, packVarint, type PackedReader } from './packed-columns.js';
import { isFigure, isObject, isText, type Fields } from './plain-checks.js';
import {
  SYSTEM_SECTIONS,
  type CgroupMemory,
  type CpuTimes,
  type Disk,
  type NetworkInterface,
  type PressureLine,
  type SystemCounters,
  type SystemLoad,
  type SystemMemory,
  type SystemPressure,
  type SystemSample,
  type SystemUptime,
} from './system-sample.js';

/*
 * The node's own figures as bytes: their JSON takes a reader longer to parse than the rows of 50 processes.
 *
 * A varint of bits says which sections follow, a bit for each of SYSTEM_SECTIONS; each has its length in bytes before it. A
 * record of figures is a varint of bits, one for each field, and its figures in that order. A list is its length, then for
 * each device its label (UTF-8 with its length before it) and its record. Pressure is a record for each of its one or two lines.
 *
 * A figure is a varint: twice a whole number; or, for what has up to two decimals, as the kernel prints its averages, twice its
 * hundredfold and one.
 */

/** How a section is written. Each field has the bit of its place: new ones come last, and none ever goes. */
interface Section {
  fields: readonly string[];
  /** The first so many are in every record. */
  required: number;
  /** Of a list: the field that names a device. */
  label?: 'name' | 'path';
}

function fieldsOf<T>(...fields: (keyof T & string)[]): readonly string[] {
  return fields;
}

const SECTIONS: Readonly<Record<keyof SystemSample, Section>> = {
  memory: {
    fields: fieldsOf<SystemMemory>(
      ...(['total', 'available', 'used', 'free', 'active', 'inactive', 'buffers', 'cached', 'shared'] as const),
      ...(['swapTotal', 'swapFree', 'swapCached', 'highTotal', 'highFree', 'lowTotal', 'lowFree'] as const),
    ),
    required: 4,
  },
  load: { fields: fieldsOf<SystemLoad>('one', 'five', 'fifteen', 'running', 'total'), required: 5 },
  pressure: { fields: fieldsOf<PressureLine>('avg10', 'avg60', 'avg300', 'total'), required: 4 },
  uptime: { fields: fieldsOf<SystemUptime>('up', 'idle'), required: 2 },
  cpus: {
    fields: fieldsOf<CpuTimes>('user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'),
    required: 0,
    label: 'name',
  },
  counters: {
    fields: fieldsOf<SystemCounters>(
      ...(['bootTime', 'contextSwitches', 'interrupts', 'processes', 'pagedIn', 'pagedOut'] as const),
      ...(['swappedIn', 'swappedOut', 'oomKills'] as const),
    ),
    required: 0,
  },
  interfaces: {
    fields: fieldsOf<NetworkInterface>(
      ...(['rxBytes', 'rxPackets', 'rxErrors', 'rxDropped', 'rxFifo', 'rxFrame', 'rxCompressed'] as const),
      ...(['rxMulticast', 'txBytes', 'txPackets', 'txErrors', 'txDropped', 'txFifo', 'txCollisions'] as const),
      ...(['txCarrier', 'txCompressed'] as const),
    ),
    required: 0,
    label: 'name',
  },
  disks: {
    fields: fieldsOf<Disk>('reads', 'readSectors', 'writes', 'writtenSectors', 'inFlight', 'ioTime'),
    required: 0,
    label: 'name',
  },
  cgroups: {
    fields: fieldsOf<CgroupMemory>('usage', 'limit', 'anon', 'file', 'swap', 'limitHits', 'oomKills'),
    required: 1,
    label: 'path',
  },
};

/** For what newer builds add, of sections and of fields. */
const MOST_BITS = 2 ** 31 - 1;
const MOST_DEVICES = 65_536;
const LONGEST_LABEL = 4_096;
const LARGEST_FIGURE = 2 ** 52;

/**
 * The figures packed; undefined when something of them does not fit in: a section or field that is not known here, a number
 * that is no such figure, a label that is none. Their JSON says better what is wrong, if anything is.
 */
export function packSystem(system: SystemSample): Uint8Array | undefined {
  const present = bitsOf(system, SYSTEM_SECTIONS);
  if (present === undefined) return undefined;
  const out: number[] = [];
  packVarint(present, out, 0);
  for (const name of SYSTEM_SECTIONS) {
    if (system[name] === undefined) continue;
    const bytes: number[] = [];
    if (!packSection(name, system[name], bytes)) return undefined;
    packVarint(bytes.length, out, out.length);
    for (const byte of bytes) out.push(byte);
  }
  return Uint8Array.from(out);
}

function packSection(name: keyof SystemSample, value: unknown, out: number[]): boolean {
  const section = SECTIONS[name];
  if (name === 'pressure') return packLines(value as Partial<SystemPressure>, section, out);
  if (!section.label) return packRecord(value, section, out);
  if (!Array.isArray(value) || value.length > MOST_DEVICES) return false;
  packVarint(value.length, out, out.length);
  return value.every((device: unknown) => packLabel(device, section, out) && packRecord(device, section, out));
}

function packLines(pressure: Partial<SystemPressure>, section: Section, out: number[]): boolean {
  if (bitsOf(pressure, ['some', 'full']) === undefined) return false;
  const { some, full } = pressure;
  return packRecord(some, section, out) && (full === undefined || packRecord(full, section, out));
}

function packLabel(device: unknown, { label }: Section, out: number[]): boolean {
  const text = (device as Fields | null | undefined)?.[label!];
  if (!isText(text, LONGEST_LABEL, 1)) return false;
  const bytes = Buffer.from(text);
  // Half of a surrogate pair is no UTF-8.
  if (bytes.toString() !== text) return false;
  packVarint(bytes.length, out, out.length);
  for (const byte of bytes) out.push(byte);
  return true;
}

function packRecord(record: unknown, { fields, required, label }: Section, out: number[]): boolean {
  const bits = bitsOf(record, fields, label);
  if (bits === undefined || !hasFirst(bits, required)) return false;
  packVarint(bits, out, out.length);
  return fields.every((name) => {
    const value = (record as Fields)[name];
    return value === undefined || packFigure(value, out);
  });
}

/** A bit for each name that has a value; undefined when there is one that is not among them. */
function bitsOf(record: unknown, names: readonly string[], label?: string): number | undefined {
  if (!isObject(record)) return undefined;
  let bits = 0;
  for (const name of Object.keys(record)) {
    if (record[name] === undefined || name === label) continue;
    const place = names.indexOf(name);
    if (place < 0) return undefined;
    bits |= 1 << place;
  }
  return bits;
}

function hasFirst(bits: number, required: number): boolean {
  const first = 2 ** required - 1;
  return (bits & first) === first;
}

function packFigure(value: unknown, out: number[]): boolean {
  if (!isFigure(value) || value > LARGEST_FIGURE) return false;
  const hundredfold = Math.round(value * 100);
  if (Number.isInteger(value)) packVarint(value * 2, out, out.length);
  // Division gives the double that is nearest to the decimals, which is what reading them gives.
  else if (hundredfold / 100 === value && hundredfold <= LARGEST_FIGURE / 2)
    packVarint(hundredfold * 2 + 1, out, out.length);
  else return false;
  return true;
}

/** What `packSystem` wrote; sections and fields that a newer build added are left out. Throws ContractError when damaged. */
export function unpackSystem(reader: PackedReader): SystemSample {
  const present = reader.count('system', MOST_BITS);
  const system: Record<string, unknown> = {};
  for (let place = 0; present >> place > 0; place++) {
    if (!((present >> place) & 1)) continue;
    const name = SYSTEM_SECTIONS[place];
    const end = reader.endOf(name ?? `section ${place}`);
    if (name === undefined) reader.skipTo(end);
    else system[name] = unpackSection(reader, name, end);
    if (reader.at !== end) throw damaged(name!, `it ends at ${reader.at}, not at ${end}`);
  }
  return system;
}

function unpackSection(reader: PackedReader, name: keyof SystemSample, end: number): unknown {
  const section = SECTIONS[name];
  if (name === 'pressure') {
    const some = unpackRecord(reader, name, section);
    return reader.at === end ? { some } : { some, full: unpackRecord(reader, name, section) };
  }
  if (!section.label) return unpackRecord(reader, name, section);
  const devices: Fields[] = [];
  for (let left = reader.count(name, MOST_DEVICES); left > 0; left--) {
    const label = reader.utf8(name, LONGEST_LABEL);
    const device = unpackRecord(reader, name, section);
    device[section.label] = label;
    devices.push(device);
  }
  return devices;
}

function unpackRecord(reader: PackedReader, name: string, section: Section): Record<string, unknown> {
  const bits = reader.count(name, MOST_BITS);
  if (!hasFirst(bits, section.required)) throw damaged(name, 'a figure that it must have is not there');
  const record = emptyRecord(section, bits);
  for (let place = 0; bits >> place > 0; place++) {
    if (!((bits >> place) & 1)) continue;
    const value = reader.count(name);
    const field = section.fields[place];
    if (field !== undefined) record[field] = value % 2 === 0 ? value / 2 : (value - 1) / 200;
  }
  return record;
}

/** Records of a host have the same fields, all but always: as copies they share one hidden class, and none is built up. */
const templates = new Map<Section, Map<number, Record<string, unknown>>>();
const MOST_TEMPLATES = 64;

function emptyRecord(section: Section, bits: number): Record<string, unknown> {
  let known = templates.get(section);
  if (!known) templates.set(section, (known = new Map()));
  let template = known.get(bits);
  if (!template) {
    if (known.size >= MOST_TEMPLATES) known.clear();
    const names = section.fields.filter((_, place) => (bits >> place) & 1);
    template = Object.fromEntries([...(section.label ? [section.label] : []), ...names].map((field) => [field, null]));
    known.set(bits, template);
  }
  return { ...template };
}
