import { closeSync, constants, openSync, readSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { errnoOf, refusal } from './kernel-file.js';
import { keepText, type KeptText } from './kept-text.js';
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
  end: number;
}

export interface Drained {
  events: RawEvent[];
  /** The buffers held more than was to be read. */
  more: boolean;
}

export interface TracePipes {
  /**
   * What the buffers of all CPUs hold, by time, up to `horizon` (nanoseconds of the trace clock); later events are kept for
   * the next call, for another CPU may still have earlier ones. Reads at most as many sub-buffers as there is room for.
   * The events of one call are void with the next.
   */
  drain(horizon: number): Drained;
  /** Events read so far: those of the traced process and its children. */
  readonly seen: Readonly<Record<ProbeEvent, number>>;
  /** Events lost since the start, of all CPUs: they found no room. */
  lost(): number;
  close(): void;
}

/** Events kept for the next call at most: pages of the kernel are bounded, and so is this. */
const MAX_KEPT = 16_384;
/** Sub-buffers read at a time. */
const PAGES = 1024;

export async function openTracePipes(instance: string, layout: PageLayout, formats: ProbeFormats): Promise<TracePipes> {
  const cpus = (await readdir(`${instance}/per_cpu`)).filter((name) => /^cpu\d+$/.test(name));
  const pipes: number[] = [];
  const stats: KeptText[] = [];
  const close = (): void => {
    for (const pipe of pipes.splice(0)) closeSync(pipe);
    for (const one of stats.splice(0)) one.close();
  };
  try {
    for (const cpu of cpus) {
      pipes.push(openSync(`${instance}/per_cpu/${cpu}/trace_pipe_raw`, constants.O_RDONLY | constants.O_NONBLOCK));
      stats.push(keepText(`${instance}/per_cpu/${cpu}/stats`));
    }
  } catch (cause) {
    close();
    throw refusal(`${instance}/per_cpu`, cause);
  }
  const kinds = new Map<number, ProbeEvent>(
    (['enter', 'leave', 'drop'] as const).map((event) => [formats.ids[event], event]),
  );
  const sizes = { enter: formats.stack + 8, drop: formats.stack + 8, leave: leaveBytes(formats) };
  const slab = makeSlab(layout.size);
  let kept: RawEvent[] = [];
  const seen = { enter: 0, leave: 0, drop: 0 };
  let unreadable = 0;
  const take = (into: RawEvent[], time: number, page: Buffer, start: number, end: number): void => {
    const event = end - start < 8 ? undefined : kinds.get(page.readUInt16LE(start));
    if (event === undefined) return;
    seen[event] += 1;
    if (end - start < sizes[event]) unreadable += 1;
    else into.push({ time, event, thread: page.readInt32LE(start + formats.pid), page, at: start, end });
  };
  return {
    drain: (horizon) => {
      const events = kept;
      const share = Math.max(1, Math.floor(PAGES / Math.max(1, pipes.length)));
      let room = 0;
      // A buffer that is not read to its end may hold events from there on.
      let settled = horizon;
      for (const pipe of pipes) {
        let last = 0;
        const sink: EventSink = (time, page, start, end) => take(events, (last = time), page, start, end);
        const pages = Math.min(share, PAGES - room);
        const read = readAll(pipe, layout, slab, room, pages, sink);
        room += read;
        if (read === pages) settled = Math.min(settled, last);
      }
      events.sort((a, b) => a.time - b.time);
      let ready = events.length;
      while (ready > 0 && events[ready - 1]!.time > settled && events.length - ready < MAX_KEPT) ready -= 1;
      kept = events.splice(ready).map(copyOf);
      return { events, more: settled < horizon };
    },
    seen,
    lost: () => unreadable + lostIn(stats),
    close,
  };
}

function leaveBytes(formats: ProbeFormats): number {
  const registers = formats.registers + 8;
  return formats.wordCount === 0 ? registers : Math.max(registers, formats.words + formats.wordCount * 8);
}

function makeSlab(size: number): Buffer[] {
  const whole = Buffer.allocUnsafeSlow(PAGES * size);
  return Array.from({ length: PAGES }, (_, index) => whole.subarray(index * size, (index + 1) * size));
}

/** An event that outlives the page it was read into. */
function copyOf(event: RawEvent): RawEvent {
  return { ...event, page: Buffer.from(event.page.subarray(event.at, event.end)), at: 0, end: event.end - event.at };
}

/** Reads up to `pages` sub-buffers to the places from `first` on; returns how many: fewer when there was no more. */
function readAll(
  pipe: number,
  layout: PageLayout,
  slab: readonly Buffer[],
  first: number,
  pages: number,
  sink: EventSink,
): number {
  for (let count = 0; count < pages; count++) {
    const page = slab[first + count]!;
    const bytes = readOne(pipe, page);
    if (bytes === 0) return count;
    readPage(bytes === page.length ? page : page.subarray(0, bytes), layout, sink);
  }
  return pages;
}

function readOne(pipe: number, page: Buffer): number {
  try {
    return readSync(pipe, page, 0, page.length, null);
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'EAGAIN' || code === 'EINTR') return 0;
    throw refusal('uprobes: trace_pipe_raw', cause);
  }
}

/** per_cpu/cpuN/stats: "overrun" were written over, "commit overrun" and "dropped events" found no room. */
function lostIn(stats: readonly KeptText[]): number {
  let lost = 0;
  for (const one of stats) {
    for (const match of one.read().matchAll(/^(?:overrun|commit overrun|dropped events): (\d+)$/gm))
      lost += Number(match[1]);
  }
  return lost;
}
