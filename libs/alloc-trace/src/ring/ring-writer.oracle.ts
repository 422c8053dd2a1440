import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import * as format from './format.js';
import {
  CONTROL,
  COUNTS,
  ESTIMATES,
  HEADER,
  LANE,
  LIVE,
  MODULE,
  MOMENT,
  REGION,
  SITE,
  type CLOCK as Clock,
} from './format.js';

/** A block as the library keeps it. */
export interface WrittenBlock {
  address: bigint;
  size: number;
  ticks: number;
  site: number;
  interval: number;
  lane: number;
}

/** Writes ring files as the library does, one pwrite at a time, so that tests hold the reader against files of known content. */
export interface RingWriter {
  readonly path: string;
  /** Adds a stack and gives its number. Frames are [module, address]. */
  site(frames: readonly (readonly [number, number])[], options?: { ticks?: number; flags?: number }): number;
  module(path: string, buildId: string, start?: number): number;
  allocate(block: WrittenBlock): void;
  free(block: WrittenBlock, lane: number, options?: { old?: boolean; young?: boolean }): void;
  pass(lane: number, allocations: number, frees: number): void;
  lane(lane: number, field: keyof typeof LANE, value: number): void;
  header(field: keyof typeof HEADER, value: number): void;
  control(field: keyof typeof CONTROL, value: number): void;
  interval(index: number, bytes: number): void;
  moment(
    which: 'first' | 'last',
    moment: { ticks: number; monotonicNs: number; realtimeMs: number; sequence?: number },
  ): void;
  /** Any bytes, for damage. */
  raw(bytes: Buffer, offset: number): void;
  /** Where an entry of a live block lies in the file. */
  entryOf(block: WrittenBlock): number;
  close(): void;
}

export interface RingWriterOptions {
  clock?: (typeof Clock)[keyof typeof Clock];
  pid?: number;
  startTime?: number;
}

const FRAMES = 65_536;
const WIDE = new Set<number>([
  HEADER.startTime,
  HEADER.applied,
  HEADER.activatedTicks,
  HEADER.droppedSites,
  HEADER.droppedBlocks,
]);

interface Place {
  offset: number;
  bytes: number;
  bitmap: number;
}

/** Numbers at offsets of a file. */
interface Cells {
  put(bytes: Buffer, offset: number): void;
  get(length: number, offset: number): Buffer;
  put32(value: number, offset: number): void;
  put64(value: number | bigint, offset: number): void;
  get32(offset: number): number;
  get64(offset: number): bigint;
  add64(value: number, offset: number): void;
  addDouble(value: number, offset: number): void;
  setBit(bitmap: number, bit: number): void;
}

function cellsOf(fd: number): Cells {
  const put = (bytes: Buffer, offset: number): void => void writeSync(fd, bytes, 0, bytes.length, offset);
  const get = (length: number, offset: number): Buffer => {
    const bytes = Buffer.alloc(length);
    readSync(fd, bytes, 0, length, offset);
    return bytes;
  };
  const put64 = (value: number | bigint, offset: number): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    put(bytes, offset);
  };
  const get64 = (offset: number): bigint => get(8, offset).readBigUInt64LE();
  return {
    put,
    get,
    put64,
    get64,
    put32: (value, offset) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(value);
      put(bytes, offset);
    },
    get32: (offset) => get(4, offset).readUInt32LE(),
    add64: (value, offset) => put64(get64(offset) + BigInt(value), offset),
    addDouble: (value, offset) => {
      const bytes = get(8, offset);
      bytes.writeDoubleLE(bytes.readDoubleLE() + value);
      put(bytes, offset);
    },
    setBit: (bitmap, bit) => {
      const at = bitmap + (bit >> 3);
      put(Buffer.from([get(1, at)[0]! | (1 << (bit & 7))]), at);
    },
  };
}

export function createRingWriter(path: string, options: RingWriterOptions = {}): RingWriter {
  const fd = openSync(path, 'w+', 0o600);
  const places = layOut();
  const cells = cellsOf(fd);
  ftruncateSync(fd, places.end);
  writeHeader(cells, places, options);
  return {
    path,
    ...namesOf(cells, places),
    ...countsOf(cells, places),
    ...headOf(cells),
    raw: cells.put,
    entryOf: (block) => findEntry(cells, places, block),
    close: () => closeSync(fd),
  };
}

type Places = ReturnType<typeof layOut>;

function namesOf({ put, put32, put64, get32 }: Cells, places: Places): Pick<RingWriter, 'site' | 'module'> {
  return {
    site: (frames, { ticks = 0, flags = 0 } = {}) => {
      const number = get32(HEADER.siteCount);
      const first = get32(HEADER.frameCount);
      frames.forEach(([module, address], index) => {
        put64((BigInt(module) << 48n) | BigInt(address), places.frames.offset + (first + index) * format.FRAME_BYTES);
      });
      put32(first + frames.length, HEADER.frameCount);
      const at = places.sites.offset + number * format.SITE_BYTES;
      put32(first, at + SITE.firstFrame);
      put64(ticks, at + SITE.firstTicks);
      put32(number + 1, HEADER.siteCount);
      put32(frames.length | (flags << 16), at + SITE.depth);
      return number;
    },
    module: (name, buildId, start = 0x1000) => {
      const number = get32(HEADER.moduleCount);
      const at = places.modules.offset + number * format.MODULE_BYTES;
      put64(start, at + MODULE.start);
      put64(start + 0x1000, at + MODULE.end);
      put64(start, at + MODULE.bias);
      put32((buildId.length / 2) | (name.length << 16), at + MODULE.buildIdBytes);
      put(Buffer.from(buildId, 'hex'), at + MODULE.buildId);
      put(Buffer.from(name), at + MODULE.path);
      put32(number + 1, HEADER.moduleCount);
      return number;
    },
  };
}

function countsOf(cells: Cells, places: Places): Pick<RingWriter, 'allocate' | 'free' | 'pass' | 'lane'> {
  const { add64, addDouble, put32, put64, get32, get64, setBit } = cells;
  const laneAt = (lane: number): number => places.lanes.offset + lane * format.LANE_BYTES;
  const useLane = (lane: number): void => {
    put32(lane + 1, laneAt(lane) + LANE.owner);
    put32(get32(HEADER.activation), laneAt(lane) + LANE.activation);
  };
  const partAt = (lane: number, bitmap: number, part: number, site: number): number => {
    setBit(laneAt(lane) + bitmap, (site * format.COUNTS_BYTES) >> 16);
    return laneAt(lane) + part + site * format.COUNTS_BYTES;
  };
  const countsAt = (lane: number, site: number): number =>
    partAt(lane, LANE.countsGroups, format.LANE_COUNTS_OFFSET, site);
  const estimatesAt = (lane: number, site: number): number =>
    partAt(lane, LANE.estimatesGroups, format.LANE_ESTIMATES_OFFSET, site);
  const chanceOf = ({ size, interval }: WrittenBlock): number =>
    -Math.expm1(-size / Number(get64(HEADER.intervals + interval * 8)));

  return {
    allocate: (block) => {
      useLane(block.lane);
      enter(cells, places, block);
      if (block.interval === 0) {
        const at = countsAt(block.lane, block.site);
        add64(1, at + COUNTS.allocations);
        add64(block.size, at + COUNTS.allocatedBytes);
      } else addSample(cells, block, chanceOf(block), estimatesAt(block.lane, block.site));
      add64(1, laneAt(block.lane) + LANE.allocations);
      put64(block.ticks, laneAt(block.lane) + LANE.ticks);
    },
    free: (block, lane, { old = false, young = false } = {}) => {
      useLane(lane);
      put64(0, findEntry(cells, places, block));
      if (block.interval === 0) {
        const at = countsAt(lane, block.site);
        add64(1, at + COUNTS.frees);
        add64(block.size, at + COUNTS.freedBytes);
        if (old) add64(1, at + COUNTS.oldFrees);
      } else {
        const at = estimatesAt(lane, block.site);
        add64(1, at + ESTIMATES.freedSamples);
        addDouble(1 / chanceOf(block), at + ESTIMATES.frees);
        addDouble(block.size / chanceOf(block), at + ESTIMATES.freedBytes);
      }
      add64(1, laneAt(lane) + LANE.frees);
      if (young) add64(2, laneAt(lane) + LANE.cancelled);
    },
    pass: (lane, allocations, frees) => {
      useLane(lane);
      add64(allocations, laneAt(lane) + LANE.passedAllocations);
      add64(frees, laneAt(lane) + LANE.passedFrees);
    },
    lane: (lane, field, value) => {
      useLane(lane);
      put64(value, laneAt(lane) + LANE[field]);
    },
  };
}

function addSample({ add64, addDouble }: Cells, { size }: WrittenBlock, chance: number, at: number): void {
  add64(1, at + ESTIMATES.samples);
  addDouble(1 / chance, at + ESTIMATES.allocations);
  addDouble(size / chance, at + ESTIMATES.allocatedBytes);
  addDouble((1 - chance) / chance ** 2, at + ESTIMATES.varianceCount);
  addDouble((size ** 2 * (1 - chance)) / chance ** 2, at + ESTIMATES.varianceBytes);
}

function enter({ get64, put, setBit }: Cells, places: Places, block: WrittenBlock): void {
  for (const [level, { offset, bitmap }] of places.live.entries()) {
    const home = format.homeOf(block.address, level);
    for (let slot = home; slot < home + format.WINDOW; slot++) {
      const at = offset + slot * format.LIVE_BYTES;
      if (get64(at) !== 0n) continue;
      setBit(bitmap, (slot * format.LIVE_BYTES) >> 16);
      put(entryBytes(block), at);
      return;
    }
  }
  throw new Error('no room in the table');
}

function findEntry({ get64 }: Cells, places: Places, { address }: WrittenBlock): number {
  for (const [level, { offset }] of places.live.entries()) {
    const home = format.homeOf(address, level);
    for (let slot = home; slot < home + format.WINDOW; slot++) {
      const at = offset + slot * format.LIVE_BYTES;
      if (get64(at) === address) return at;
    }
  }
  throw new Error('not in the table');
}

function headOf({ put32, put64, get32 }: Cells): Pick<RingWriter, 'header' | 'control' | 'interval' | 'moment'> {
  return {
    header: (field, value) => (WIDE.has(HEADER[field]) ? put64 : put32)(value, HEADER[field]),
    control: (field, value) => {
      const at = HEADER.control + CONTROL[field];
      const narrow: (keyof typeof CONTROL)[] = ['mode', 'pulse', 'stacks', 'maxFrames'];
      (narrow.includes(field) ? put32 : put64)(value, at);
    },
    interval: (index, bytes) => {
      put64(bytes, HEADER.intervals + index * 8);
      put32(Math.max(index + 1, get32(HEADER.intervalCount)), HEADER.intervalCount);
    },
    moment: (which, { ticks, monotonicNs, realtimeMs, sequence = 2 }) => {
      const at = HEADER[which];
      put32(sequence, at + MOMENT.sequence);
      put64(ticks, at + MOMENT.ticks);
      put64(monotonicNs, at + MOMENT.monotonicNs);
      put64(BigInt(Math.round(realtimeMs * 1000)) * 1000n, at + MOMENT.realtimeNs);
    },
  };
}

function layOut(): Record<'modules' | 'sites' | 'frames' | 'lanes', Place> & { live: Place[]; end: number } {
  let bitmap: number = format.PAGE;
  let offset: number = format.GROUP;
  const place = (bytes: number): Place => {
    const found = { offset, bytes, bitmap };
    offset += Math.ceil(bytes / format.GROUP) * format.GROUP;
    bitmap += Math.ceil(bytes / format.GROUP / 64) * 8;
    return found;
  };
  const places = {
    modules: place(format.MAX_MODULES * format.MODULE_BYTES),
    sites: place(format.MAX_SITES * format.SITE_BYTES),
    frames: place(FRAMES * format.FRAME_BYTES),
    live: Array.from({ length: format.LEVELS }, (_, level) => place(format.levelEntries(level) * format.LIVE_BYTES)),
    lanes: place(8 * format.LANE_BYTES),
  };
  return { ...places, end: offset };
}

function writeHeader({ put32, put64 }: Cells, places: Places, options: RingWriterOptions): void {
  put64(format.MAGIC, HEADER.magic);
  put32(format.VERSION, HEADER.version);
  put32(format.HEADER_BYTES, HEADER.headerBytes);
  put64(places.end, HEADER.fileBytes);
  put32(options.pid ?? 1, HEADER.pid);
  put64(options.startTime ?? 1, HEADER.startTime);
  put32(options.clock ?? format.CLOCK.MONOTONIC, HEADER.clock);
  put32(format.STATE.READY, HEADER.state);
  put32(1, HEADER.moduleCount);
  put32(format.FIRST_SITE, HEADER.siteCount);
  put32(1, HEADER.intervalCount);
  put32(1, HEADER.activation);
  const region = (at: number, { offset, bytes, bitmap }: Place, stride: number, capacity: number): void => {
    put64(offset, at + REGION.offset);
    put64(bytes, at + REGION.bytes);
    put64(bitmap, at + REGION.bitmap);
    put32(capacity, at + REGION.capacity);
    put32(stride, at + REGION.stride);
  };
  region(HEADER.modules, places.modules, format.MODULE_BYTES, format.MAX_MODULES);
  region(HEADER.sites, places.sites, format.SITE_BYTES, format.MAX_SITES);
  region(HEADER.frames, places.frames, format.FRAME_BYTES, FRAMES);
  region(HEADER.lanes, places.lanes, format.LANE_BYTES, 8);
  places.live.forEach((place, level) => {
    region(HEADER.live + level * format.REGION_BYTES, place, format.LIVE_BYTES, format.levelEntries(level));
  });
}

function entryBytes({ address, size, ticks, site, interval }: WrittenBlock): Buffer {
  const bytes = Buffer.alloc(format.LIVE_BYTES);
  bytes.writeBigUInt64LE(address, LIVE.address);
  bytes.writeBigUInt64LE(BigInt(size), LIVE.size);
  bytes.writeBigUInt64LE(BigInt(ticks), LIVE.ticks);
  bytes.writeUInt32LE(site, LIVE.site);
  bytes.writeUInt16LE(checkOfBlock(address, BigInt(size), BigInt(ticks), BigInt(site)), LIVE.check);
  bytes.writeUInt8(interval, LIVE.interval);
  return bytes;
}

/** at_check as the header has it, in integers of 64 bits. */
export function checkOfBlock(address: bigint, size: bigint, ticks: bigint, site: bigint): number {
  const mixed = BigInt.asUintN(64, address ^ (size << 7n) ^ (ticks << 1n) ^ (site << 40n));
  return Number((BigInt.asUintN(64, mixed * 0xff51_afd7_ed55_8ccdn) >> 48n) | 1n);
}
