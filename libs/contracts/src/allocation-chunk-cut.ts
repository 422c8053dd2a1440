import { MAX_CHUNK_NAME, MAX_STACK_FRAMES, type AllocationChunk } from './allocation-chunk.js';
import { FIGURES } from './allocation-chunk-encode.js';
import type { SiteFigures, SiteStack, StackFrame } from './allocation-trace.js';

/** What the lists of one part may take, by an estimate that is never too low; leaves room for the head. */
const PART_BYTES = 800_000;
/** No stack takes more: its outer frames are left out. */
const STACK_BYTES = 200_000;

const VARINT = 8;
const NUMBER = 9;
/** Row of a frame in the table: four texts by number, line, offset, a byte. */
const FRAME = 4 * 4 + 5 + VARINT + 1;
/** Number of a frame in a stack: a part has no million of them. */
const FRAME_NUMBER = 3;
/** Number, first allocation, bits of the bins. */
const SITE = 2 * VARINT + 4;
const SURVIVOR = 4 * VARINT;
const FREED = 2 * VARINT;

interface Part {
  chunk: AllocationChunk;
  bytes: number;
  /** Texts and frames that are in the part already, and cost nothing more. */
  seen: Set<string>;
}

/**
 * The parts that a look is sent in: one when it fits, else as many as its lists need, with consecutive `seq` from that of
 * `whole` on. A stack is named in the part of its site's figures or before it.
 */
export function cutAllocationChunk(whole: AllocationChunk): AllocationChunk[] {
  const parts: Part[] = [];
  const begin = (): Part => {
    const chunk = { ...whole, sites: [], stacks: [], survivors: [], freed: [] };
    const part = { chunk, bytes: 0, seen: new Set<string>() };
    parts.push(part);
    return part;
  };
  let part = begin();
  const room = (bytes: number): void => {
    if (part.bytes + bytes > PART_BYTES) part = begin();
    part.bytes += bytes;
  };
  for (const stack of whole.stacks) {
    const fitting = fit(stack);
    const rows = fitting.frames.map(rowOf);
    let bytes = stackBytes(fitting, rows, part.seen);
    if (part.bytes + bytes > PART_BYTES) {
      part = begin();
      bytes = stackBytes(fitting, rows, part.seen);
    }
    part.bytes += bytes;
    remember(fitting, rows, part.seen);
    part.chunk.stacks.push(fitting);
  }
  for (const site of whole.sites) {
    room(siteBytes(site));
    part.chunk.sites.push(site);
  }
  for (const survivor of whole.survivors) {
    room(SURVIVOR);
    part.chunk.survivors.push(survivor);
  }
  for (const name of whole.freed) {
    room(FREED);
    part.chunk.freed.push(name);
  }
  return parts.map(({ chunk }, index) => ({ ...chunk, seq: whole.seq + index, part: index, parts: parts.length }));
}

function fit(stack: SiteStack): SiteStack {
  const most = stack.frames.slice(0, MAX_STACK_FRAMES);
  let bytes = 0;
  const beyond = most.findIndex((frame) => (bytes += FRAME + FRAME_NUMBER + textBytes(frame)) > STACK_BYTES);
  const frames = beyond < 0 ? most : most.slice(0, beyond);
  return frames.length === stack.frames.length ? stack : { ...stack, frames, truncated: true };
}

function siteBytes(figures: SiteFigures): number {
  let bytes = SITE;
  for (const name of FIGURES) {
    const value = figures[name];
    bytes += Number.isInteger(value) && value >= 0 ? varintBytes(value * 2) : NUMBER;
  }
  for (const count of figures.births) if (count !== 0) bytes += varintBytes(count);
  return bytes;
}

function varintBytes(value: number): number {
  return value < 128 ? 1 : Math.min(NUMBER, Math.ceil((Math.log2(value) + 1) / 7));
}

/** Numbers of its frames; rows and texts as far as they are new. */
function stackBytes({ frames }: SiteStack, rows: readonly string[], seen: ReadonlySet<string>): number {
  let bytes = 2 * VARINT + frames.length * FRAME_NUMBER;
  frames.forEach((frame, index) => {
    if (!seen.has(rows[index]!)) bytes += FRAME + textBytes(frame, seen);
  });
  return bytes;
}

function textBytes(frame: StackFrame, seen?: ReadonlySet<string>): number {
  let bytes = 0;
  for (const text of textsOf(frame)) {
    if (!seen?.has(text)) bytes += Math.min(Buffer.byteLength(text), 3 * MAX_CHUNK_NAME) + 2;
  }
  return bytes;
}

function remember({ frames }: SiteStack, rows: readonly string[], seen: Set<string>): void {
  frames.forEach((frame, index) => {
    const row = rows[index]!;
    if (seen.has(row)) return;
    seen.add(row);
    for (const text of textsOf(frame)) seen.add(text);
  });
}

/** All of the frame; not to be mixed up with a text. */
function rowOf({ function: name, file, line, module, buildId, offset, inlined }: StackFrame): string {
  return `\u0000${offset}\u0000${line}\u0000${inlined}\u0000${name}\u0000${file}\u0000${module}\u0000${buildId}`;
}

function textsOf({ function: name, file, module, buildId }: StackFrame): string[] {
  return [name, file, module, buildId].filter((text) => text !== null);
}
