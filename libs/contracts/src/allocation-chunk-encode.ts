import { BIRTH_BINS, TRACE_MEANS, TRACE_MODES, type SiteFigures, type SiteStack } from './allocation-trace.js';
import { createByteWriter, type ByteWriter } from './allocation-chunk-bytes.js';
import {
  ALLOCATION_CHUNK_VERSION,
  CHUNK_STATES,
  MAX_ALLOCATION_CHUNK_BYTES,
  MAX_CHUNK_COMMAND_LINE,
  MAX_CHUNK_NAME,
  MAX_CHUNK_WARNINGS,
  MAX_STACK_FRAMES,
  TRACE_TIME_STEPS,
  traceTime,
  type AllocationChunk,
  type SurvivorName,
} from './allocation-chunk.js';
import { compress, ENCODING_HEADER } from './encoding.js';
import type { EncodedRecord } from './sample-chunk.js';

/** First bytes of every chunk, before the version. */
export const CHUNK_MAGIC = Buffer.from('TMAL');

/** Bits that say which of the optional values follow. */
export const ChunkFlag = {
  Keyframe: 1,
  CommandLine: 2,
  SampleInterval: 4,
  StandardError: 8,
  AnonymousBytes: 16,
} as const;

/** Order on the wire. */
export const TOTALS = [
  'allocations',
  'frees',
  'allocatedBytes',
  'freedBytes',
  'liveCount',
  'liveBytes',
  'issued',
  'recorded',
  'cancelled',
  'dropped',
] as const;
export const ERRORS = ['allocations', 'allocatedBytes', 'liveCount', 'liveBytes'] as const;
export const FIGURES = [
  'allocations',
  'frees',
  'allocatedBytes',
  'freedBytes',
  'liveCount',
  'liveBytes',
  'oldFrees',
  'liveSamples',
  'liveVariance',
] as const;

/**
 * One chunk as a record of `mem.allocations.v1`: binary (docs/trace-pipeline.md), compressed. Names, command line, frames and
 * warnings beyond the limits of the contract are cut. Throws RangeError when a number cannot be written, or when the
 * chunk is larger than MAX_ALLOCATION_CHUNK_BYTES: `cutAllocationChunk` makes parts that are not.
 */
export function encodeAllocationChunk(chunk: AllocationChunk): EncodedRecord {
  const writer = createByteWriter(16_384);
  writeHead(writer, chunk);
  writeStacks(writer, chunk.stacks);
  writeSites(writer, chunk.sites);
  writeSurvivors(writer, chunk);
  if (writer.length > MAX_ALLOCATION_CHUNK_BYTES) {
    throw new RangeError(
      `allocation chunk of ${chunk.key} has ${writer.length} bytes; cut it into parts of ${MAX_ALLOCATION_CHUNK_BYTES} at most`,
    );
  }
  // The writer's buffer is its own, and records are kept for long: what is not compressed is copied.
  const { value, encoding } = compress(writer.bytes());
  return { value: encoding === 'identity' ? Buffer.from(value) : value, headers: { [ENCODING_HEADER]: encoding } };
}

function writeHead(writer: ByteWriter, chunk: AllocationChunk): void {
  const { totals, commandLine, sampleInterval, anonymousBytes } = chunk;
  for (const byte of CHUNK_MAGIC) writer.byte(byte);
  writer.byte(ALLOCATION_CHUNK_VERSION);
  writer.byte(
    (chunk.keyframe ? ChunkFlag.Keyframe : 0) |
      (commandLine === null ? 0 : ChunkFlag.CommandLine) |
      (sampleInterval === null ? 0 : ChunkFlag.SampleInterval) |
      (totals.standardError === null ? 0 : ChunkFlag.StandardError) |
      (anonymousBytes === null ? 0 : ChunkFlag.AnonymousBytes),
  );
  for (const name of [chunk.node, chunk.boot, chunk.run, chunk.trace]) writer.text(name);
  writer.text(clip(chunk.program, MAX_CHUNK_NAME));
  if (commandLine !== null) writer.text(clip(commandLine, MAX_CHUNK_COMMAND_LINE));
  for (const count of [chunk.pid, chunk.start, chunk.seq, chunk.part, chunk.parts]) writer.varint(count);
  for (const time of [chunk.at, chunk.startedAt, chunk.birthsUntil]) writer.varint(steps(time));
  writer.byte(CHUNK_STATES.indexOf(chunk.state));
  writer.byte(TRACE_MEANS.indexOf(chunk.means));
  writer.byte(TRACE_MODES.indexOf(chunk.mode));
  if (sampleInterval !== null) writer.number(sampleInterval);
  for (const name of TOTALS) writer.number(totals[name]);
  if (totals.standardError) for (const name of ERRORS) writer.number(totals.standardError[name]);
  if (anonymousBytes !== null) writer.varint(anonymousBytes);
  writer.varint(chunk.survivorsTotal);
  const warnings = chunk.warnings.slice(0, MAX_CHUNK_WARNINGS);
  writer.varint(warnings.length);
  for (const warning of warnings) writer.text(clip(warning, MAX_CHUNK_NAME));
}

/** Each text once, then each frame once, then the stacks as numbers of frames. */
function writeStacks(writer: ByteWriter, stacks: readonly SiteStack[]): void {
  const texts = new Map<string, number>();
  const textNumber = (text: string | null): number => {
    if (text === null) return 0;
    const name = clip(text, MAX_CHUNK_NAME);
    const number = texts.get(name) ?? texts.size + 1;
    texts.set(name, number);
    return number;
  };
  const frames = new Map<string, number>();
  const rows: number[][] = [];
  const depths: number[][] = [];
  for (const stack of stacks) {
    const numbers = stack.frames.slice(0, MAX_STACK_FRAMES).map((frame) => {
      const row = [
        frame.inlined ? 1 : 0,
        textNumber(frame.function),
        textNumber(frame.file),
        frame.line === null ? 0 : frame.line + 1,
        textNumber(frame.module),
        textNumber(frame.buildId),
        frame.offset,
      ];
      const name = row.join();
      const number = frames.get(name) ?? frames.size;
      if (number === frames.size) {
        frames.set(name, number);
        rows.push(row);
      }
      return number;
    });
    depths.push(numbers);
  }
  writer.varint(texts.size);
  for (const text of texts.keys()) writer.text(text);
  writer.varint(rows.length);
  for (const row of rows) for (const cell of row) writer.varint(cell);
  writer.varint(stacks.length);
  stacks.forEach((stack, index) => {
    const numbers = depths[index]!;
    writer.varint(stack.site);
    writer.varint(numbers.length * 2 + (stack.truncated || numbers.length < stack.frames.length ? 1 : 0));
    for (const number of numbers) writer.varint(number);
  });
}

function writeSites(writer: ByteWriter, sites: readonly SiteFigures[]): void {
  const sorted = sites.toSorted((a, b) => a.site - b.site);
  const base = earliest(sorted.map(({ firstAt }) => firstAt));
  writer.varint(sorted.length);
  writer.varint(base);
  let previous = -1;
  for (const figures of sorted) {
    // A number that came twice would be -1 here, and is refused like any other that cannot be written.
    writer.varint(figures.site - previous - 1);
    previous = figures.site;
    for (const name of FIGURES) writer.number(figures[name]);
    writer.varint(steps(figures.firstAt) - base);
    writeBirths(writer, figures);
  }
}

/** A bit for each bin that is not empty, then what is in them. */
function writeBirths(writer: ByteWriter, { site, births }: SiteFigures): void {
  if (births.length !== BIRTH_BINS) {
    throw new RangeError(`site ${site} has ${births.length} bins of births; there are ${BIRTH_BINS}`);
  }
  for (let first = 0; first < BIRTH_BINS; first += 8) {
    let bits = 0;
    for (let bin = 0; bin < 8; bin++) if (births[first + bin] !== 0) bits |= 1 << bin;
    writer.byte(bits);
  }
  for (const count of births) if (count !== 0) writer.varint(count);
}

function writeSurvivors(writer: ByteWriter, { survivors, freed }: AllocationChunk): void {
  const came = survivors.toSorted(byAddress);
  writeNames(writer, came);
  for (const { size } of came) writer.varint(size);
  for (const { site } of came) writer.varint(site);
  writeNames(writer, freed.toSorted(byAddress));
}

/** Addresses as differences, times from the earliest on. */
function writeNames(writer: ByteWriter, names: readonly SurvivorName[]): void {
  const base = earliest(names.map(({ time }) => time));
  writer.varint(names.length);
  writer.varint(base);
  let previous = 0;
  for (const { address } of names) {
    writer.varint(address - previous);
    previous = address;
  }
  for (const { time } of names) writer.varint(steps(time) - base);
}

function byAddress(a: SurvivorName, b: SurvivorName): number {
  return a.address - b.address || a.time - b.time;
}

function earliest(times: readonly number[]): number {
  let first = Infinity;
  for (const time of times) first = Math.min(first, steps(time));
  return first === Infinity ? 0 : first;
}

function steps(time: number): number {
  return traceTime(time) * TRACE_TIME_STEPS;
}

function clip(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
