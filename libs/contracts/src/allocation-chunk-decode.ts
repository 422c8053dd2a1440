import { createDecodedBytes } from './decoded.js';
import {
  BIRTH_BINS,
  TRACE_MEANS,
  TRACE_MODES,
  type SiteFigures,
  type SiteStack,
  type StackFrame,
  type TraceErrors,
  type TraceTotals,
} from './allocation-trace.js';
import { createByteReader, type ByteReader } from './allocation-chunk-bytes.js';
import { CHUNK_MAGIC, ChunkFlag, ERRORS, FIGURES, TOTALS } from './allocation-chunk-encode.js';
import {
  ALLOCATION_CHUNK_VERSION,
  CHUNK_STATES,
  MAX_ALLOCATION_CHUNK_BYTES,
  MAX_ALLOCATION_PARTS,
  MAX_CHUNK_COMMAND_LINE,
  MAX_CHUNK_NAME,
  MAX_CHUNK_WARNINGS,
  MAX_STACK_FRAMES,
  MAX_TRACE_TIME,
  TRACE_TIME_STEPS,
  type AllocationChunk,
  type SurvivorName,
} from './allocation-chunk.js';
import { decompress, ENCODING_HEADER } from './encoding.js';
import { ContractError } from './errors.js';
import { isBootId, isNodeId, processKey, type NodeId } from './ids.js';

const MAX_NUMBER = 0xffff_ffff;
const MAX_STEPS = MAX_TRACE_TIME * TRACE_TIME_STEPS;
const ALL_FLAGS = 31;
/** Bytes that the smallest of each takes: what a count may promise is bounded by what can still follow. */
const LEAST = { text: 1, frame: 7, stack: 2, site: FIGURES.length + 2 + BIRTH_BINS / 8, survivor: 4, freed: 2 };

const decoded = createDecodedBytes<AllocationChunk>();

/**
 * The chunk in a record of `mem.allocations.v1`. Throws ContractError naming field and place when it is damaged, of another
 * version, or breaks a limit. Within one process the same bytes are decoded once; do not change the result.
 */
export function decodeAllocationChunk(
  value: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): AllocationChunk {
  const known = decoded.get(value);
  if (known) return known;
  const plain = decompress(value, headers[ENCODING_HEADER]);
  if (plain.byteLength > MAX_ALLOCATION_CHUNK_BYTES) {
    throw new ContractError(
      'CONTRACT_TOO_LARGE',
      `allocation chunk has ${plain.byteLength} bytes; the most are ${MAX_ALLOCATION_CHUNK_BYTES}`,
    );
  }
  const chunk = readChunk(createByteReader(plain));
  decoded.set(value, chunk);
  return chunk;
}

function readChunk(reader: ByteReader): AllocationChunk {
  const flags = readBeginning(reader);
  const head = readHead(reader, flags);
  const figures = readTotals(reader, flags);
  const warnings = readTexts(reader, 'warnings', MAX_CHUNK_WARNINGS);
  const stacks = readStacks(reader);
  const sites = readSites(reader);
  const names = readNames(reader, 'survivors', LEAST.survivor);
  const sizes = names.map((_, index) => reader.varint(`survivors[${index}].size`));
  const survivors = names.map((name, index) => ({
    time: name.time,
    size: sizes[index]!,
    address: name.address,
    site: reader.varint(`survivors[${index}].site`, MAX_NUMBER),
  }));
  const freed = readNames(reader, 'freed', LEAST.freed);
  if (reader.left > 0) reader.fail('end', `is followed by ${reader.left} bytes`);
  return { ...head, ...figures, sites, stacks, survivors, freed, warnings };
}

function readBeginning(reader: ByteReader): number {
  for (const byte of CHUNK_MAGIC) {
    if (reader.byte('beginning') !== byte) reader.fail('beginning', 'is not that of an allocation chunk');
  }
  const version = reader.byte('version');
  if (version !== ALLOCATION_CHUNK_VERSION) {
    throw new ContractError(
      'CONTRACT_VERSION',
      `allocation chunk is of version ${version}; this build reads version ${ALLOCATION_CHUNK_VERSION}`,
    );
  }
  return reader.byte('flags', ALL_FLAGS);
}

function readHead(reader: ByteReader, flags: number) {
  const node = reader.text('node', 253);
  if (!isNodeId(node)) reader.fail('node', 'is no node id');
  const boot = reader.text('boot', 64);
  if (!isBootId(boot)) reader.fail('boot', 'is no boot id');
  const run = reader.text('run', 64);
  if (!isBootId(run)) reader.fail('run', 'is no run id');
  const trace = reader.text('trace', 200);
  if (trace === '') reader.fail('trace', 'is empty');
  const program = reader.text('program', MAX_CHUNK_NAME);
  const commandLine = flags & ChunkFlag.CommandLine ? reader.text('commandLine', MAX_CHUNK_COMMAND_LINE) : null;
  const pid = reader.varint('pid', MAX_NUMBER);
  const start = reader.varint('start');
  const seq = reader.varint('seq');
  const part = reader.varint('part');
  const parts = reader.varint('parts', MAX_ALLOCATION_PARTS);
  if (part >= parts) reader.fail('part', `is ${part} of ${parts}`);
  if (part > seq) reader.fail('part', `is ${part} of the chunk with number ${seq}`);
  return {
    v: ALLOCATION_CHUNK_VERSION as typeof ALLOCATION_CHUNK_VERSION,
    node: node as NodeId,
    boot,
    run,
    trace,
    program,
    commandLine,
    pid,
    start,
    key: processKey(node as NodeId, boot, pid, start),
    seq,
    part,
    parts,
    keyframe: (flags & ChunkFlag.Keyframe) !== 0,
    at: readTime(reader, 'at'),
    startedAt: readTime(reader, 'startedAt'),
    birthsUntil: readTime(reader, 'birthsUntil'),
    state: CHUNK_STATES[reader.byte('state', CHUNK_STATES.length - 1)]!,
    means: TRACE_MEANS[reader.byte('means', TRACE_MEANS.length - 1)]!,
    mode: TRACE_MODES[reader.byte('mode', TRACE_MODES.length - 1)]!,
  };
}

function readTotals(reader: ByteReader, flags: number) {
  const sampleInterval = flags & ChunkFlag.SampleInterval ? reader.number('sampleInterval') : null;
  const totals = { standardError: null } as TraceTotals;
  for (const name of TOTALS) totals[name] = reader.number(`totals.${name}`);
  if (flags & ChunkFlag.StandardError) {
    const errors = {} as TraceErrors;
    for (const name of ERRORS) errors[name] = reader.number(`totals.standardError.${name}`);
    totals.standardError = errors;
  }
  const anonymousBytes = flags & ChunkFlag.AnonymousBytes ? reader.varint('anonymousBytes') : null;
  return { sampleInterval, totals, anonymousBytes, survivorsTotal: reader.varint('survivorsTotal') };
}

function readTexts(reader: ByteReader, field: string, max?: number): string[] {
  const count = reader.count(`number of ${field}`, LEAST.text, max);
  return Array.from({ length: count }, (_, index) => reader.text(`${field}[${index}]`, MAX_CHUNK_NAME));
}

function readStacks(reader: ByteReader): SiteStack[] {
  const texts: (string | null)[] = [null, ...readTexts(reader, 'texts')];
  const text = (field: string): string | null => texts[reader.varint(field, texts.length - 1)]!;
  const frames: StackFrame[] = [];
  const known = reader.count('number of frames', LEAST.frame);
  for (let index = 0; index < known; index++) {
    const inlined = reader.varint(`frames[${index}].inlined`, 1) === 1;
    const name = text(`frames[${index}].function`);
    const file = text(`frames[${index}].file`);
    const line = reader.varint(`frames[${index}].line`, MAX_NUMBER);
    const module = text(`frames[${index}].module`);
    const buildId = text(`frames[${index}].buildId`);
    const offset = reader.varint(`frames[${index}].offset`);
    frames.push({ function: name, file, line: line === 0 ? null : line - 1, module, buildId, offset, inlined });
  }
  const count = reader.count('number of stacks', LEAST.stack);
  return Array.from({ length: count }, (_, index) => {
    const site = reader.varint(`stacks[${index}].site`, MAX_NUMBER);
    const depth = reader.varint(`stacks[${index}].depth`, MAX_STACK_FRAMES * 2 + 1);
    const stack: StackFrame[] = [];
    for (let frame = 0; frame < Math.floor(depth / 2); frame++) {
      stack.push(frames[reader.varint(`stacks[${index}].frames[${frame}]`, frames.length - 1)]!);
    }
    return { site, frames: stack, truncated: depth % 2 === 1 };
  });
}

function readSites(reader: ByteReader): SiteFigures[] {
  const count = reader.count('number of sites', LEAST.site);
  const base = reader.varint('first of sites', MAX_STEPS);
  const sites: SiteFigures[] = [];
  let site = -1;
  for (let index = 0; index < count; index++) {
    site += reader.varint(`sites[${index}].site`, MAX_NUMBER - site - 1) + 1;
    const figures = { site } as SiteFigures;
    for (const name of FIGURES) figures[name] = reader.number(`sites[${index}].${name}`);
    figures.firstAt = (base + reader.varint(`sites[${index}].firstAt`, MAX_STEPS - base)) / TRACE_TIME_STEPS;
    figures.births = readBirths(reader, `sites[${index}].births`);
    sites.push(figures);
  }
  return sites;
}

function readBirths(reader: ByteReader, field: string): number[] {
  const bits = Array.from({ length: BIRTH_BINS / 8 }, () => reader.byte(field));
  return Array.from({ length: BIRTH_BINS }, (_, bin) => {
    if (((bits[bin >> 3]! >> (bin & 7)) & 1) === 0) return 0;
    const count = reader.varint(field);
    return count === 0 ? reader.fail(field, 'has an empty bin that is said not to be') : count;
  });
}

function readNames(reader: ByteReader, field: string, bytesEach: number): SurvivorName[] {
  const count = reader.count(`number of ${field}`, bytesEach);
  const base = reader.varint(`first of ${field}`, MAX_STEPS);
  let address = 0;
  const names = Array.from({ length: count }, (_, index) => {
    address += reader.varint(`${field}[${index}].address`, Number.MAX_SAFE_INTEGER - address);
    return { address, time: 0 };
  });
  names.forEach((name, index) => {
    name.time = (base + reader.varint(`${field}[${index}].time`, MAX_STEPS - base)) / TRACE_TIME_STEPS;
  });
  return names;
}

function readTime(reader: ByteReader, field: string): number {
  return reader.varint(field, MAX_STEPS) / TRACE_TIME_STEPS;
}
