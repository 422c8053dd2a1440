import { closeSync, constants, openSync, readSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { errnoOf, readKernel, refusal } from './kernel-file.js';
import type { ProbeEvent, ProbeFormats } from './probe-group.js';
import { readPage, type EventSink, type PageLayout } from './ring-page.js';

/** An event as it lies in a page of the kernel's buffer. `time` is nanoseconds of the trace clock. */
export interface RawEvent {
  time: number;
  event: ProbeEvent;
  thread: number;
  page: Buffer;
  /** Where the event begins in the page. */
  at: number;
}

export interface Drained {
  events: RawEvent[];
  /** The buffers held more than was to be read. */
  more: boolean;
}

export interface TracePipes {
  /**
   * What the buffers of all CPUs hold, by time, up to `horizon` (nanoseconds of the trace clock); later events are kept for
   * the next call, for another CPU may still have earlier ones. Reads at most `maxPages` sub-buffers.
   */
  drain(horizon: number, maxPages: number): Drained;
  /** Events read so far: those of the traced process and its children. */
  readonly seen: Readonly<Record<ProbeEvent, number>>;
  /** Events lost since the start, of all CPUs: they found no room. */
  lost(): Promise<number>;
  close(): void;
}

/** Events kept for the next call at most: pages of the kernel are bounded, and so is this. */
const MAX_KEPT = 16_384;

export async function openTracePipes(instance: string, layout: PageLayout, formats: ProbeFormats): Promise<TracePipes> {
  const cpus = (await readdir(`${instance}/per_cpu`)).filter((name) => /^cpu\d+$/.test(name));
  const pipes: number[] = [];
  const close = (): void => pipes.splice(0).forEach((pipe) => closeSync(pipe));
  try {
    for (const cpu of cpus) {
      pipes.push(openSync(`${instance}/per_cpu/${cpu}/trace_pipe_raw`, constants.O_RDONLY | constants.O_NONBLOCK));
    }
  } catch (cause) {
    close();
    throw refusal(`${instance}/per_cpu`, cause);
  }
  const kinds = new Map<number, ProbeEvent>(
    (['enter', 'leave', 'drop'] as const).map((event) => [formats.ids[event], event]),
  );
  const sizes = { enter: formats.stack + 8, drop: formats.stack + 8, leave: leaveBytes(formats) };
  let kept: RawEvent[] = [];
  const seen = { enter: 0, leave: 0, drop: 0 };
  let unreadable = 0;
  const take = (into: RawEvent[], time: number, page: Buffer, start: number, end: number): void => {
    const event = end - start < 8 ? undefined : kinds.get(page.readUInt16LE(start));
    if (event === undefined) return;
    seen[event] += 1;
    if (end - start < sizes[event]) unreadable += 1;
    else into.push({ time, event, thread: page.readInt32LE(start + formats.pid), page, at: start });
  };
  return {
    drain: (horizon, maxPages) => {
      const events = kept;
      const share = Math.max(1, Math.floor(maxPages / Math.max(1, pipes.length)));
      // A buffer that is not read to its end may hold events from there on.
      let settled = horizon;
      for (const pipe of pipes) {
        let last = 0;
        const sink: EventSink = (time, page, start, end) => take(events, (last = time), page, start, end);
        if (!readAll(pipe, layout, share, sink)) settled = Math.min(settled, last);
      }
      events.sort((a, b) => a.time - b.time);
      let ready = events.length;
      while (ready > 0 && events[ready - 1]!.time > settled && events.length - ready < MAX_KEPT) ready -= 1;
      kept = events.splice(ready);
      return { events, more: settled < horizon };
    },
    seen,
    lost: async () => unreadable + (await lostIn(instance, cpus)),
    close,
  };
}

function leaveBytes(formats: ProbeFormats): number {
  const registers = formats.registers + 8;
  return formats.wordCount === 0 ? registers : Math.max(registers, formats.words + formats.wordCount * 8);
}

/** Reads up to `pages` sub-buffers; true when there was no more. */
function readAll(pipe: number, layout: PageLayout, pages: number, sink: EventSink): boolean {
  for (let count = 0; count < pages; count++) {
    const page = readOne(pipe, layout.size);
    if (page === null) return true;
    readPage(page, layout, sink);
  }
  return false;
}

function readOne(pipe: number, size: number): Buffer | null {
  const page = Buffer.allocUnsafeSlow(size);
  try {
    const bytes = readSync(pipe, page, 0, size, null);
    return bytes === 0 ? null : page.subarray(0, bytes);
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'EAGAIN' || code === 'EINTR') return null;
    throw refusal('uprobes: trace_pipe_raw', cause);
  }
}

/** per_cpu/cpuN/stats: "overrun" were written over, "commit overrun" and "dropped events" found no room. */
async function lostIn(instance: string, cpus: readonly string[]): Promise<number> {
  let lost = 0;
  for (const cpu of cpus) {
    const text = await readKernel(`${instance}/per_cpu/${cpu}/stats`);
    for (const match of text.matchAll(/^(?:overrun|commit overrun|dropped events): (\d+)$/gm)) lost += Number(match[1]);
  }
  return lost;
}
