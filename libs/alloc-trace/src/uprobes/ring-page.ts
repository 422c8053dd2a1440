import { TraceError } from '../errors.js';

/** Where the parts of a sub-buffer are, as the kernel says in events/header_page. */
export interface PageLayout {
  timestamp: number;
  commit: number;
  commitBytes: number;
  data: number;
  /** Whole sub-buffer, bytes. */
  size: number;
}

const MAX_PAGE = 1024 * 1024;
/** Flags in `commit` (kernel/trace/ring_buffer.c: RB_MISSED_EVENTS, RB_MISSED_STORED). */
const LENGTH_MASK = 0x3fffffff;
const MISSED = 0x80000000;
const STORED = 0x40000000;

const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;

/** Throws TRACE_FORMAT when a field is missing or makes no sense. */
export function parsePageLayout(text: string): PageLayout {
  const field = (name: string): { offset: number; size: number } => {
    const match = new RegExp(`field: [^;]*\\b${name};\\s*offset:(\\d+);\\s*size:(\\d+);`).exec(text);
    const [offset, size] = [Number(match?.[1]), Number(match?.[2])];
    if (Number.isInteger(offset) && Number.isInteger(size) && offset + size <= MAX_PAGE) return { offset, size };
    throw new TraceError('TRACE_FORMAT', `uprobes: events/header_page does not say where "${name}" is`);
  };
  const commit = field('commit');
  const data = field('data');
  if (commit.size !== 4 && commit.size !== 8) {
    throw new TraceError('TRACE_FORMAT', `uprobes: events/header_page gives commit ${commit.size} bytes`);
  }
  return {
    timestamp: field('timestamp').offset,
    commit: commit.offset,
    commitBytes: commit.size,
    data: data.offset,
    size: data.offset + data.size,
  };
}

/** Receives an event: nanoseconds of the trace clock, and where its content lies in the page. */
export type EventSink = (time: number, page: Buffer, start: number, end: number) => void;

/**
 * Hands on the events of one sub-buffer as read from trace_pipe_raw (kernel/trace/ring_buffer.c, struct
 * ring_buffer_event). Returns how many the kernel says were lost before them: 0, a number, or 1 when it only says that
 * some were. Whatever the bytes are, nothing outside of the page is read and it ends.
 */
export function readPage(page: Buffer, layout: PageLayout, sink: EventSink): number {
  if (page.length < layout.data || page.length < layout.commit + 4) return 0;
  const commit = page.readUInt32LE(layout.commit);
  const end = Math.min(page.length, layout.data + (commit & LENGTH_MASK & 0xfffff));
  let time = readTime(page, layout.timestamp);
  let at = layout.data;
  while (at + 4 <= end) {
    const head = page.readUInt32LE(at);
    const kind = head & 31;
    const delta = head >>> 5;
    const word = at + 8 <= page.length ? page.readUInt32LE(at + 4) : 0;
    if (kind === PADDING) {
      if (delta === 0) break;
      at += 4 + Math.max(4, word);
    } else if (kind === TIME_EXTEND) {
      time += delta + word * 134_217_728;
      at += 8;
    } else if (kind === TIME_STAMP) {
      // 59 bits; those above stay what they were.
      time = Math.floor(time / 2 ** 59) * 2 ** 59 + delta + word * 134_217_728;
      at += 8;
    } else {
      time += delta;
      const start = kind === 0 ? at + 8 : at + 4;
      const next = at + 4 + (kind === 0 ? Math.max(4, (word + 3) & ~3) : kind * 4);
      if (next > end || next <= at) break;
      sink(time, page, start, next);
      at = next;
    }
  }
  return missed(page, commit, end);
}

function readTime(page: Buffer, at: number): number {
  if (at + 8 > page.length) return 0;
  return page.readUInt32LE(at + 4) * 4_294_967_296 + page.readUInt32LE(at);
}

function missed(page: Buffer, commit: number, end: number): number {
  if ((commit & MISSED) === 0) return 0;
  if ((commit & STORED) === 0 || end + 4 > page.length) return 1;
  return Math.max(1, page.readUInt32LE(end));
}
