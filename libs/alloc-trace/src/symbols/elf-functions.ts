import { requireWithin, type ByteSource } from './byte-source.js';
import { ElfError } from './elf-error.js';
import {
  SHF_EXECINSTR,
  SHT_DYNSYM,
  SHT_NOBITS,
  SHT_SYMTAB,
  SYMBOL_BYTES,
  terminated,
  word,
  type ElfMachine,
  type ElfSection,
} from './elf-layout.js';

/** A symbol of a function, or of code that was written by hand. */
export interface ElfFunction {
  /** As linked: mangled. */
  name: string;
  /** As the file counts addresses. */
  address: number;
  /** Bytes; 0 when the symbol does not say. */
  size: number;
}

export interface NearestFunction extends ElfFunction {
  /** The address lies in the function, not only behind its start: some code has no symbol, above all once stripped. */
  inside: boolean;
}

/** Functions by address. Names stay in the file until they are asked for. */
export interface FunctionTable {
  /** Symbols of functions that lie in this file. */
  readonly count: number;
  /** The function around the address, else the last one before it; null when there is none before. */
  nearest(address: number): Promise<NearestFunction | null>;
  /** All functions of that name, by address. */
  named(name: string): Promise<ElfFunction[]>;
}

/** 2^21: with the 32 bits of an address in a table they fit into a double. */
const MAX_FUNCTIONS = 2_097_152;
const MAX_ENTRIES = 16_777_216;
const MAX_NAME = 65_536;
const CHUNK = 1_048_576;
/** How many symbols before the last one are looked at for one that is large enough to hold an address. */
const LOOK_BACK = 16;
/** Hostile names repeat: no more places of one are remembered. */
const MAX_PLACES = 65_536;

const STT_NOTYPE = 0;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;

interface Table {
  symbols: ElfSection;
  names: { offset: number; size: number };
}

/** Parallel columns, in the order of the file. */
interface Columns {
  addresses: number[];
  sizes: number[];
  nameOffsets: number[];
  tables: number[];
  /** Which name stands for an address that has many: the higher. */
  ranks: number[];
}

interface PackedColumns {
  addresses: Float64Array;
  sizes: Float64Array;
  nameOffsets: Uint32Array;
  tables: Uint8Array;
  ranks: Uint8Array;
}

function packed({ addresses, sizes, nameOffsets, tables, ranks }: Columns): PackedColumns {
  return {
    addresses: Float64Array.from(addresses),
    sizes: Float64Array.from(sizes),
    nameOffsets: Uint32Array.from(nameOffsets),
    tables: Uint8Array.from(tables),
    ranks: Uint8Array.from(ranks),
  };
}

/** Throws ELF_DAMAGED, ELF_TOO_LARGE, ELF_UNREADABLE. */
export async function readFunctions(
  source: ByteSource,
  sections: readonly ElfSection[],
  machine: ElfMachine,
): Promise<FunctionTable> {
  // Hand-written code has symbols without a type. On aarch64 marks of code and data ($x, $d) have none either.
  const code = machine === 'aarch64' ? [] : sections.map(({ flags }) => (flags & SHF_EXECINSTR) !== 0);
  const tables = symbolTables(source, sections);
  const read: Columns = { addresses: [], sizes: [], nameOffsets: [], tables: [], ranks: [] };
  for (let index = 0; index < tables.length; index++) await readTable(source, tables[index]!, index, code, read);
  const columns = packed(read);
  const order = sortedByAddress(columns.addresses);
  return {
    count: order.length,
    nearest: async (address) => {
      const found = nearestIndex(columns, order, address);
      if (found === null) return null;
      const { symbol, inside } = found;
      return { ...(await describe(source, tables, columns, symbol)), inside };
    },
    named: async (name) => {
      const found: ElfFunction[] = [];
      const offsets = await Promise.all(tables.map(({ names }) => placesOf(source, names, name)));
      for (const symbol of order) {
        if (!offsets[columns.tables[symbol]!]!.has(columns.nameOffsets[symbol]!)) continue;
        const one = { name, address: columns.addresses[symbol]!, size: columns.sizes[symbol]! };
        // .dynsym says again what .symtab says.
        const said = found.some(({ address, size }) => address === one.address && size === one.size);
        if (!said && found.length < 1024) found.push(one);
      }
      return found;
    },
  };
}

function symbolTables(source: ByteSource, sections: readonly ElfSection[]): Table[] {
  const tables: Table[] = [];
  for (const type of [SHT_SYMTAB, SHT_DYNSYM]) {
    const symbols = sections.find((section) => section.type === type && section.size > 0);
    if (symbols === undefined) continue;
    const names = sections[symbols.link];
    if (symbols.entrySize !== SYMBOL_BYTES || names === undefined || names.type === SHT_NOBITS) {
      throw new ElfError('ELF_DAMAGED', `${source.name}: symbol table ${symbols.name} has no entries or no names`);
    }
    requireWithin(source, symbols.offset, symbols.size);
    requireWithin(source, names.offset, names.size);
    if (symbols.size > MAX_ENTRIES * SYMBOL_BYTES) {
      throw new ElfError('ELF_TOO_LARGE', `${source.name}: ${symbols.name} has ${symbols.size / SYMBOL_BYTES} symbols`);
    }
    tables.push({ symbols, names });
  }
  return tables;
}

async function readTable(
  source: ByteSource,
  table: Table,
  index: number,
  code: readonly boolean[],
  columns: Columns,
): Promise<void> {
  const { offset, size } = table.symbols;
  const step = CHUNK - (CHUNK % SYMBOL_BYTES);
  const whole = size - (size % SYMBOL_BYTES);
  for (let from = 0; from < whole; from += step) {
    const bytes = await source.read(offset + from, Math.min(step, whole - from));
    for (let at = 0; at < bytes.length; at += SYMBOL_BYTES) takeSymbol(bytes, at, index, code, columns);
    if (columns.addresses.length > MAX_FUNCTIONS) {
      throw new ElfError('ELF_TOO_LARGE', `${source.name}: has more than ${MAX_FUNCTIONS} functions`);
    }
  }
}

/** Elf64_Sym: name, info (binding << 4 | type), other, section (0: undefined), value, size. */
function takeSymbol(bytes: Buffer, at: number, table: number, code: readonly boolean[], columns: Columns): void {
  const info = bytes[at + 4]!;
  const type = info & 15;
  const section = bytes.readUInt16LE(at + 6);
  const isCode = type === STT_FUNC || type === STT_GNU_IFUNC || (type === STT_NOTYPE && code[section] === true);
  if (!isCode || section === 0) return;
  const nameOffset = bytes.readUInt32LE(at);
  const address = word(bytes, at + 8);
  const size = word(bytes, at + 16);
  if (nameOffset === 0 || Number.isNaN(address)) return;
  // Bindings: local 0, global 1, weak 2. A size tells a function from a mark in hand-written code.
  const binding = info >> 4;
  columns.ranks.push((type === STT_NOTYPE ? 0 : 8) + (size > 0 ? 4 : 0) + (binding === 1 ? 2 : binding === 2 ? 1 : 0));
  columns.addresses.push(address);
  columns.sizes.push(Number.isNaN(size) ? 0 : size);
  columns.nameOffsets.push(nameOffset);
  columns.tables.push(table);
}

/** Indices by address. Address and index go into one double where they fit, which sorts without calling back. */
function sortedByAddress(addresses: Float64Array): Uint32Array {
  let low = Infinity;
  let high = 0;
  for (const address of addresses) {
    if (address < low) low = address;
    if (address > high) high = address;
  }
  if (high - low >= 2 ** 32) {
    return Uint32Array.from(addresses.keys()).sort((a, b) => addresses[a]! - addresses[b]! || a - b);
  }
  const keys = addresses.map((address, index) => (address - low) * MAX_FUNCTIONS + index).sort();
  return Uint32Array.from(keys, (key) => key % MAX_FUNCTIONS);
}

function nearestIndex(
  { addresses, sizes, ranks }: PackedColumns,
  order: Uint32Array,
  address: number,
): { symbol: number; inside: boolean } | null {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (addresses[order[middle]!]! <= address) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return null;
  const last = order[low - 1]!;
  let best = last;
  let inside = sizes[last] === 0;
  for (let back = low - 1; back >= Math.max(0, low - LOOK_BACK); back--) {
    const symbol = order[back]!;
    const holds = address < addresses[symbol]! + sizes[symbol]!;
    const better = addresses[symbol] === addresses[best] && ranks[symbol]! > ranks[best]!;
    if (holds && (!inside || sizes[best] === 0 || better)) {
      best = symbol;
      inside = true;
    } else if (!holds && better && !inside) best = symbol;
  }
  return { symbol: best, inside };
}

async function describe(
  source: ByteSource,
  tables: readonly Table[],
  columns: PackedColumns,
  symbol: number,
): Promise<ElfFunction> {
  const { names } = tables[columns.tables[symbol]!]!;
  const offset = columns.nameOffsets[symbol]!;
  if (offset >= names.size) {
    throw new ElfError('ELF_DAMAGED', `${source.name}: a name lies at ${offset} of ${names.size} bytes of names`);
  }
  const short = await source.read(names.offset + offset, Math.min(256, names.size - offset));
  const bytes = short.includes(0)
    ? short
    : await source.read(names.offset + offset, Math.min(MAX_NAME, names.size - offset));
  return { name: terminated(bytes, 0), address: columns.addresses[symbol]!, size: columns.sizes[symbol]! };
}

/** Offsets in the names at which this one is written out; names share their ends, so any place will do. */
async function placesOf(source: ByteSource, names: Table['names'], name: string): Promise<Set<number>> {
  const places = new Set<number>();
  const needle = Buffer.from(`${name}\0`);
  if (name === '' || needle.length > MAX_NAME) return places;
  for (let from = 0; from < names.size && places.size < MAX_PLACES; from += CHUNK) {
    const bytes = await source.read(names.offset + from, Math.min(CHUNK + needle.length - 1, names.size - from));
    for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) places.add(from + at);
  }
  return places;
}
