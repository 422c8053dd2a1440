import { MAX_CHUNK_NAME, MAX_STACK_FRAMES, type AllocationChunk } from './allocation-chunk.js';
import type { SiteFigures, SiteStack, StackFrame } from './allocation-trace.js';

/** What the lists of one part may take, by an estimate that is never too low; leaves room for the head. */
const PART_BYTES = 800_000;
/** No stack takes more: its outer frames are left out. */
const STACK_BYTES = 200_000;

const VARINT = 8;
const NUMBER = 9;
const FRAME = 4 * VARINT + 2 * VARINT + 1;
const SITE = 2 * VARINT + 9 * NUMBER + 4;
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
    if (part.bytes + stackBytes(fitting, part.seen) > PART_BYTES) part = begin();
    part.bytes += stackBytes(fitting, part.seen);
    remember(fitting, part.seen);
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
  const frames: StackFrame[] = [];
  const seen = new Set<string>();
  let bytes = 0;
  for (const frame of stack.frames.slice(0, MAX_STACK_FRAMES)) {
    bytes += frameBytes(frame, seen);
    if (bytes > STACK_BYTES) break;
    rememberFrame(frame, seen);
    frames.push(frame);
  }
  return frames.length === stack.frames.length ? stack : { ...stack, frames, truncated: true };
}

function siteBytes({ births }: SiteFigures): number {
  return SITE + births.reduce((bytes, count) => (count === 0 ? bytes : bytes + VARINT), 0);
}

function stackBytes({ frames }: SiteStack, seen: ReadonlySet<string>): number {
  return frames.reduce((bytes, frame) => bytes + frameBytes(frame, seen), 2 * VARINT);
}

/** Its texts as far as they are new, its row in the table of frames, its number in the stack. */
function frameBytes(frame: StackFrame, seen: ReadonlySet<string>): number {
  let bytes = FRAME + VARINT;
  for (const text of textsOf(frame)) {
    if (!seen.has(text)) bytes += 3 * Math.min(text.length, MAX_CHUNK_NAME) + VARINT;
  }
  return bytes;
}

function remember({ frames }: SiteStack, seen: Set<string>): void {
  for (const frame of frames) rememberFrame(frame, seen);
}

function rememberFrame(frame: StackFrame, seen: Set<string>): void {
  for (const text of textsOf(frame)) seen.add(text);
}

function textsOf({ function: name, file, module, buildId }: StackFrame): string[] {
  return [name, file, module, buildId].filter((text) => text !== null);
}
