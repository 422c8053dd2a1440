import { readFile } from 'node:fs/promises';
import { TraceError } from '../errors.js';
import type { ProbePlace } from './allocator.js';
import { parseEventFormat, requireField, type EventFormat } from './event-format.js';
import { errnoOf, readKernel, writeKernel } from './kernel-file.js';
import type { ProbeNames } from './probe-names.js';

/** The registers a return probe takes, named as the kernel does, with their DWARF numbers. */
export const TAKEN_REGISTERS = [
  ['bx', 3],
  ['bp', 6],
  ['r12', 12],
  ['r13', 13],
  ['r14', 14],
  ['r15', 15],
] as const;

/** The kernel takes arrays of at most 64 elements, and events up to somewhat over 2 KiB. */
const ARRAY_WORDS = 64;
export const MAX_STACK_WORDS = 256;

/**
 * Three events, each on many places: `enter` an allocating function, `leave` it (realloc too) and `drop` a block (free,
 * and the entry of realloc). Few events, because the kernel takes some 25 ms to switch one off, however many places it has.
 */
export const EVENTS = ['enter', 'leave', 'drop'] as const;
export type ProbeEvent = (typeof EVENTS)[number];

/** Offsets within each event. */
export interface ProbeFormats {
  ids: Record<ProbeEvent, number>;
  pid: number;
  /** Of enter and drop, which have the same fields. */
  ip: number;
  arguments: number;
  stack: number;
  /** Of leave. */
  function: number;
  caller: number;
  result: number;
  registers: number;
  words: number;
  wordCount: number;
}

function arrays(words: number): string {
  let text = '';
  for (let at = 0, index = 0; at < words; at += ARRAY_WORDS, index++) {
    text += ` w${index}=+${at * 8}(%sp):x64[${Math.min(ARRAY_WORDS, words - at)}]`;
  }
  return text;
}

/** Lines for uprobe_events (Documentation/trace/uprobetracer.rst). */
export function probeDefinitions(
  { group, events }: ProbeNames,
  places: readonly ProbePlace[],
  stackWords: number,
): string[] {
  const entry = 'di=%di:x64 si=%si:x64 dx=%dx:x64 sp=%sp:x64';
  const registers = TAKEN_REGISTERS.map(([name]) => `${name}=%${name}:x64`).join(' ');
  return places.flatMap(({ kind, object, offset }) => {
    const at = `${object.probePath}:0x${offset.toString(16)}`;
    const leave = `r:${group}/${events.leave} ${at} ax=%ax:x64 sp=%sp:x64 ${registers}${arrays(stackWords)}`;
    if (kind === 'release') return [`p:${group}/${events.drop} ${at} ${entry}`];
    if (kind === 'move') return [`p:${group}/${events.drop} ${at} ${entry}`, leave];
    return [`p:${group}/${events.enter} ${at} ${entry}`, leave];
  });
}

/**
 * Defines the probes; none is on yet. Throws TraceError with what the kernel says; whatever was defined by then is for
 * the caller to remove.
 */
export async function defineProbes(root: string, definitions: readonly string[]): Promise<void> {
  for (const line of definitions) {
    try {
      await writeKernel(`${root}/uprobe_events`, `${line}\n`, true);
    } catch (cause) {
      const log = await readFile(`${root}/error_log`, 'utf8').catch(() => '');
      const said = /trace_uprobe: error: (.*)/.exec(log.slice(log.lastIndexOf('trace_uprobe: error:')))?.[1];
      const code = cause instanceof TraceError ? cause.code : 'TRACE_IO';
      throw new TraceError(
        code,
        `uprobes: the kernel refused "${line.slice(0, 120)}": ${said ?? (cause as Error).message}`,
        { cause },
      );
    }
  }
}

export async function readProbeFormats(
  root: string,
  { group, events }: ProbeNames,
  stackWords: number,
): Promise<ProbeFormats> {
  const format = async (event: ProbeEvent): Promise<EventFormat> =>
    parseEventFormat(await readKernel(`${root}/events/${group}/${events[event]}/format`));
  const [enter, leave, drop] = [await format('enter'), await format('leave'), await format('drop')];
  const formats: ProbeFormats = {
    ids: { enter: enter.id, leave: leave.id, drop: drop.id },
    pid: requireField(enter, 'common_pid', 4),
    ip: requireField(enter, '__probe_ip', 8),
    arguments: requireField(enter, 'di', 8),
    stack: requireField(enter, 'sp', 8),
    function: requireField(leave, '__probe_func', 8),
    caller: requireField(leave, '__probe_ret_ip', 8),
    result: requireField(leave, 'ax', 8),
    registers: requireField(leave, 'sp', 8),
    words: stackWords === 0 ? 0 : requireField(leave, 'w0', 8),
    wordCount: stackWords,
  };
  for (const name of ['di', 'si', 'dx', 'sp', '__probe_ip', 'common_pid']) {
    if (requireField(enter, name, 4) !== requireField(drop, name, 4)) {
      throw new TraceError('TRACE_FORMAT', `uprobes: events of the same fields have ${name} at different places`);
    }
  }
  return formats;
}

/** From uprobe_profile: hits of the probes by event since they were defined: of every process of the host, recorded or not. */
export function parseHits(profile: string, { events }: ProbeNames): Record<ProbeEvent, number> {
  // Lines are "path event hits", one for each place; they do not name the group, so events have names of their own.
  const hits = { enter: 0, leave: 0, drop: 0 };
  for (const line of profile.split('\n')) {
    const match = /\s(\S+)\s+(\d+)\s*$/.exec(line);
    const event = EVENTS.find((one) => events[one] === match?.[1]);
    if (event !== undefined) hits[event] += Number(match![2]);
  }
  return hits;
}

/**
 * Removes a group's probes: each event alone when the kernel cannot remove a group at once. Throws TraceError while they
 * are in use; that they are gone already is no error.
 */
export async function removeProbes(root: string, group: string): Promise<void> {
  const left = async (): Promise<string[]> =>
    [...(await readKernel(`${root}/uprobe_events`)).matchAll(/^[pr]\d*:(\S+)\/(\S+) /gm)]
      .filter((match) => match[1] === group)
      .map((match) => match[2]!);
  const events = new Set(await left());
  if (events.size === 0) return;
  const lines = [`-:${group}/`, ...[...events].map((event) => `-:${group}/${event}`)];
  let failure: unknown;
  for (const line of lines) {
    try {
      await writeKernel(`${root}/uprobe_events`, `${line}\n`, true);
    } catch (cause) {
      failure = cause;
      if (errnoOf((cause as Error).cause) === 'EBUSY') throw cause;
    }
    if ((await left()).length === 0) return;
  }
  throw failure;
}
