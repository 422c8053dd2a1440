import { TraceError } from '../errors.js';
import * as format from './format.js';
import { CONTROL, HEADER, MOMENT, REGION } from './format.js';
import type { RingFile } from './ring-file.js';
import { u64 } from './words.js';

/** A region that lies within the file and whose sizes are the format's own. Capacity 0: it does not exist. */
export interface Region {
  offset: number;
  bitmap: number;
  capacity: number;
}

/** What of a header never changes while the file lives. */
export interface RingLayout {
  /** As the process sees itself. */
  pid: number;
  /** Clock ticks from boot to the start of the process. */
  startTime: number;
  image: number;
  clock: number;
  modules: Region;
  sites: Region;
  frames: Region;
  lanes: Region;
  live: readonly Region[];
  program: string;
}

export interface Moment {
  ticks: number;
  monotonicNs: number;
  realtimeMs: number;
}

export interface ControlState {
  mode: number;
  pulse: number;
  sampleInterval: number;
  stacks: number;
  maxFrames: number;
  maxBytes: number;
  leaseUntil: number;
  youngNs: number;
  generation: number;
}

/** What of a header changes; counts are cut down to the capacity of their region. */
export interface RingState {
  state: number;
  refusal: number;
  applied: number;
  activatedTicks: number;
  /** Number of the activation whose figures count; 0: never active. */
  activation: number;
  /** Null when it was never written, or was being written at each try. */
  first: Moment | null;
  last: Moment | null;
  moduleCount: number;
  siteCount: number;
  frameCount: number;
  populatedBytes: number;
  droppedSites: number;
  droppedBlocks: number;
  /** By the number that live blocks name them by; [0] is 0. */
  intervals: Float64Array;
  control: ControlState;
}

/** A moment is a few dozen bytes: whoever writes it is done soon, unless it was killed right there. */
const MOMENT_TRIES = 4;

/** Reads and checks the header. Throws TRACE_FORMAT that names the field and its value. */
export function readLayout(file: RingFile): RingLayout {
  const bytes = Buffer.alloc(format.HEADER_BYTES);
  file.read(bytes, bytes.length, 0);
  const wrong = (field: string, value: unknown, wanted: string): never => {
    throw new TraceError('TRACE_FORMAT', `${file.name}: ${field} is ${String(value)}, wanted ${wanted}: no ring file`);
  };
  const magic = bytes.readBigUInt64LE(HEADER.magic);
  if (magic !== format.MAGIC) wrong('magic', `0x${magic.toString(16)}`, `0x${format.MAGIC.toString(16)}`);
  const version = bytes.readUInt32LE(HEADER.version);
  if (version !== format.VERSION) wrong('version', version, `${format.VERSION} (library and reader of one release)`);
  const headerBytes = bytes.readUInt32LE(HEADER.headerBytes);
  if (headerBytes < format.HEADER_BYTES || headerBytes > format.PAGE) {
    wrong('header_bytes', headerBytes, `${format.HEADER_BYTES} to ${format.PAGE}`);
  }
  const fileBytes = u64(bytes, HEADER.fileBytes);
  if (fileBytes < format.PAGE || fileBytes > Number.MAX_SAFE_INTEGER) wrong('file_bytes', fileBytes, 'a size');
  const clock = bytes.readUInt32LE(HEADER.clock);
  if (clock !== format.CLOCK.TSC && clock !== format.CLOCK.MONOTONIC) wrong('clock', clock, '1 or 2');
  const regionOf = (name: string, at: number, stride: number, most: number): Region =>
    checkRegion(bytes, at, { name, stride, most, fileBytes, grouped: name !== 'lanes' }, wrong);
  return {
    pid: bytes.readUInt32LE(HEADER.pid),
    startTime: u64(bytes, HEADER.startTime),
    image: bytes.readUInt32LE(HEADER.image),
    clock,
    modules: regionOf('modules', HEADER.modules, format.MODULE_BYTES, format.MAX_MODULES),
    sites: regionOf('sites', HEADER.sites, format.SITE_BYTES, format.MAX_SITES),
    frames: regionOf('frames', HEADER.frames, format.FRAME_BYTES, format.MAX_SITES * format.MAX_FRAMES),
    lanes: regionOf('lanes', HEADER.lanes, format.LANE_BYTES, format.MAX_LANES),
    live: Array.from({ length: format.LEVELS }, (_, level) =>
      regionOf(
        `live[${level}]`,
        HEADER.live + level * format.REGION_BYTES,
        format.LIVE_BYTES,
        format.levelEntries(level),
      ),
    ),
    program: textOf(bytes.subarray(HEADER.program, HEADER.program + format.PROGRAM_BYTES)),
  };
}

interface RegionRule {
  name: string;
  stride: number;
  most: number;
  fileBytes: number;
  grouped: boolean;
}

function checkRegion(
  bytes: Buffer,
  at: number,
  { name, stride, most, fileBytes, grouped }: RegionRule,
  wrong: (field: string, value: unknown, wanted: string) => never,
): Region {
  const capacity = bytes.readUInt32LE(at + REGION.capacity);
  if (capacity > most) wrong(`${name}.capacity`, capacity, `at most ${most}`);
  if (capacity === 0) return { offset: 0, bitmap: 0, capacity: 0 };
  const found = bytes.readUInt32LE(at + REGION.stride);
  if (found !== stride) wrong(`${name}.stride`, found, String(stride));
  const offset = u64(bytes, at + REGION.offset);
  const size = u64(bytes, at + REGION.bytes);
  if (offset % format.PAGE !== 0 || offset < format.PAGE) wrong(`${name}.offset`, offset, 'a page after the first');
  if (size < capacity * stride) wrong(`${name}.bytes`, size, `at least ${capacity * stride}`);
  if (offset + size > fileBytes) wrong(`${name}.offset + bytes`, offset + size, `at most file_bytes, ${fileBytes}`);
  const bitmap = u64(bytes, at + REGION.bitmap);
  const bitmapBytes = Math.ceil((capacity * stride) / format.GROUP / 8);
  if (grouped && bitmap + bitmapBytes > fileBytes) wrong(`${name}.bitmap`, bitmap, `within file_bytes, ${fileBytes}`);
  return { offset, bitmap, capacity };
}

/** Reads what changes: one read of the header's page, more only for a moment that was being written. */
export function readState(file: RingFile, layout: RingLayout, bytes: Buffer): RingState {
  file.read(bytes, format.HEADER_BYTES, 0);
  const count = (at: number, { capacity }: Region): number => Math.min(bytes.readUInt32LE(at), capacity);
  const intervalCount = Math.min(bytes.readUInt32LE(HEADER.intervalCount), format.MAX_INTERVALS + 1);
  const state = {
    state: bytes.readUInt32LE(HEADER.state),
    refusal: bytes.readUInt32LE(HEADER.refusal),
    applied: u64(bytes, HEADER.applied),
    activatedTicks: u64(bytes, HEADER.activatedTicks),
    activation: bytes.readUInt32LE(HEADER.activation),
    moduleCount: count(HEADER.moduleCount, layout.modules),
    siteCount: Math.max(count(HEADER.siteCount, layout.sites), format.FIRST_SITE),
    frameCount: count(HEADER.frameCount, layout.frames),
    populatedBytes: u64(bytes, HEADER.populatedBytes),
    droppedSites: u64(bytes, HEADER.droppedSites),
    droppedBlocks: u64(bytes, HEADER.droppedBlocks),
    intervals: Float64Array.from({ length: intervalCount }, (_, index) =>
      index === 0 ? 0 : u64(bytes, HEADER.intervals + index * 8),
    ),
    control: controlOf(bytes.subarray(HEADER.control, HEADER.control + format.CONTROL_BYTES)),
  };
  return { ...state, first: momentOf(file, bytes, HEADER.first), last: momentOf(file, bytes, HEADER.last) };
}

function controlOf(bytes: Buffer): ControlState {
  return {
    mode: bytes.readUInt32LE(CONTROL.mode),
    pulse: bytes.readUInt32LE(CONTROL.pulse),
    sampleInterval: u64(bytes, CONTROL.sampleInterval),
    stacks: bytes.readUInt32LE(CONTROL.stacks),
    maxFrames: bytes.readUInt32LE(CONTROL.maxFrames),
    maxBytes: u64(bytes, CONTROL.maxBytes),
    leaseUntil: u64(bytes, CONTROL.leaseUntil),
    youngNs: u64(bytes, CONTROL.youngNs),
    generation: u64(bytes, CONTROL.generation),
  };
}

/**
 * A moment was read whole when its sequence is even and the same before and after. The first read of both is one copy;
 * the second tells whether somebody wrote meanwhile.
 */
function momentOf(file: RingFile, bytes: Buffer, at: number): Moment | null {
  const again = Buffer.alloc(format.MOMENT_BYTES);
  let found = bytes.subarray(at, at + format.MOMENT_BYTES);
  for (let tries = 0; tries < MOMENT_TRIES; tries++) {
    const before = Buffer.from(found);
    file.read(again, again.length, at);
    if (before.equals(again) && before.readUInt32LE(MOMENT.sequence) % 2 === 0) return decodeMoment(before);
    found = again;
  }
  return null;
}

function decodeMoment(bytes: Buffer): Moment | null {
  const ticks = u64(bytes, MOMENT.ticks);
  const realtimeNs = bytes.readBigUInt64LE(MOMENT.realtimeNs);
  if (realtimeNs === 0n) return null;
  return { ticks, monotonicNs: u64(bytes, MOMENT.monotonicNs), realtimeMs: Number(realtimeNs / 1000n) / 1000 };
}

/** Text up to the first NUL. */
export function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
