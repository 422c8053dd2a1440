import { open, readFile, rename, stat, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { EventLogError } from '../errors.js';
import { recordBytes } from '../record-bytes.js';
import type { Entry } from '../memory/store.js';
import { readFully, removeFile, replaceFile, writeFully, type Disk } from './disk.js';
import { decodeFrame, frameSize, type DecodedFrame } from './frame.js';

/*
 * A segment file holds records of one partition by growing offset. Its name is `<base offset>.<generation>.seg`;
 * it begins with a header: magic (6 bytes) · u16 version · f64 offset up to which it stands for what compaction merged
 * into it, 0 when none. Frames follow. Beside a sealed segment lies `<name>.idx`, which only saves a scan.
 */

export const SEGMENT_VERSION = 1;
export const SEGMENT_HEADER = 16;
const MAGIC = Buffer.from('TMDSEG');
export const TEMPORARY = '.tmp';
const NAME = /^(\d{16})\.(\d{1,9})\.seg$/;

/** A page, the unit that is read back, begins with the first record that is this far behind the last page's start. */
const PAGE_BYTES = 256 * 1024;
const SCAN_BYTES = 1024 * 1024;

/** Where a page begins, and the youngest timestamp in it. */
interface PageMark {
  offset: number;
  position: number;
  youngest: number;
}

export interface SegmentName {
  file: string;
  base: number;
  generation: number;
}

export function parseSegmentName(file: string): SegmentName | undefined {
  const match = NAME.exec(file);
  return match ? { file, base: Number(match[1]), generation: Number(match[2]) } : undefined;
}

let lastId = 0;

export class Segment {
  /** Names the segment within the process, also after another one took its file's place. */
  readonly id = ++lastId;
  path: string;
  /** Bytes of the file that hold whole records, header included. */
  size = SEGMENT_HEADER;
  lastAppendAt = Date.now();
  /** Its file is gone or going. */
  retired = false;
  /** Some of its records could not be read; said once. */
  damaged = false;
  #marks: PageMark[] | undefined;
  #file: FileHandle | undefined;
  /** A failed write left bytes behind the last whole record. */
  #torn = false;

  private constructor(
    readonly directory: string,
    readonly base: number,
    readonly generation: number,
    /** Offset up to which it stands in for segments that were merged into it. */
    readonly covered: number,
  ) {
    this.path = join(directory, `${String(base).padStart(16, '0')}.${generation}.seg`);
  }

  /** A new segment that can be appended to. */
  static create(disk: Disk, directory: string, base: number): Promise<Segment> {
    return Segment.#create(disk, new Segment(directory, base, 0, 0));
  }

  /** What is to stand for this segment and those behind it up to an offset, once it is published. */
  createMerged(disk: Disk, covered: number): Promise<Segment> {
    const merged = new Segment(this.directory, this.base, this.generation + 1, covered);
    merged.path += TEMPORARY;
    return Segment.#create(disk, merged);
  }

  /** Takes its place: from now on a restart finds it instead of what it covers. */
  async publish(): Promise<void> {
    await this.sync();
    const path = this.path.slice(0, -TEMPORARY.length);
    await rename(this.path, path);
    this.path = path;
    await this.seal();
  }

  static async #create(disk: Disk, segment: Segment): Promise<Segment> {
    segment.#file = await disk.create(segment.path);
    segment.#marks = [];
    try {
      await writeFully(disk, segment.#file, encodeHeader(segment.covered), 0);
    } catch (error) {
      await segment.close();
      throw error;
    }
    return segment;
  }

  /** A segment of an earlier run; undefined when its header was never written: then it has no record either. */
  static async reopen(directory: string, { base, generation }: SegmentName): Promise<Segment | undefined> {
    const { path } = new Segment(directory, base, generation, 0);
    const { size, mtimeMs } = await stat(path);
    const file = await open(path, 'r');
    try {
      const header = await readFully(file, Buffer.alloc(SEGMENT_HEADER), 0);
      if (header.length < SEGMENT_HEADER) return undefined;
      const segment = new Segment(directory, base, generation, decodeHeader(path, header));
      segment.size = size;
      segment.lastAppendAt = mtimeMs;
      return segment;
    } finally {
      await file.close();
    }
  }

  get isEmpty(): boolean {
    return this.size <= SEGMENT_HEADER;
  }

  /** Makes a segment of an earlier run one that can be appended to; drops what is behind the last whole record. */
  async resume(): Promise<void> {
    this.#file = await open(this.path, 'r+');
    // Only then: it would make the segment look younger.
    if ((await this.#file.stat()).size > this.size) await this.#file.truncate(this.size);
  }

  async exists(): Promise<boolean> {
    return stat(this.path).then(
      () => true,
      () => false,
    );
  }

  /** Adds frames at the end. When it throws, the segment is as it was. */
  async append(disk: Disk, bytes: Buffer, frames: readonly FrameMark[], sync: boolean): Promise<void> {
    const file = this.#file!;
    if (this.#torn) await file.truncate(this.size);
    this.#torn = true;
    try {
      await writeFully(disk, file, bytes, this.size);
      if (sync) await file.datasync();
      this.#torn = false;
    } catch (error) {
      await file.truncate(this.size).then(
        () => (this.#torn = false),
        () => {},
      );
      throw error;
    }
    for (const { offset, timestamp, size } of frames) {
      mark(this.#marks!, offset, timestamp, this.size);
      this.size += size;
    }
    this.lastAppendAt = Date.now();
  }

  /** Closes the file for writing and notes the page marks beside it. */
  async seal(): Promise<void> {
    await this.close();
    // Without it the next run scans the segment: nothing is lost.
    await replaceFile(`${this.path}.idx`, JSON.stringify({ size: this.size, marks: this.#marks })).catch(() => {});
  }

  async sync(): Promise<void> {
    await this.#file?.datasync();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Keeps the time of the youngest segment that was merged into this one, for retention. */
  async setAppendTime(ms: number): Promise<void> {
    this.lastAppendAt = ms;
    await utimes(this.path, ms / 1000, ms / 1000);
  }

  async remove(): Promise<void> {
    this.retired = true;
    await this.close();
    await removeFile(this.path);
    await removeFile(`${this.path}.idx`);
  }

  /**
   * Reads every whole record in order and learns the page marks; `size` is then where whole records end. Gives the
   * bytes behind that.
   */
  async scan(visit: (frame: DecodedFrame) => void = () => {}): Promise<number> {
    const marks: PageMark[] = [];
    const file = await open(this.path, 'r');
    const { size } = await file.stat();
    try {
      this.size = await walk(file, size, (frame, position) => {
        mark(marks, frame.offset, frame.timestamp, position);
        visit(frame);
      });
    } finally {
      await file.close();
    }
    this.#marks = marks;
    return Math.max(0, size - this.size);
  }

  async #pageMarks(): Promise<PageMark[]> {
    if (!this.#marks) {
      this.#marks = await readMarks(this.path, this.size);
      if (!this.#marks) await this.scan();
    }
    return this.#marks!;
  }

  /** Number of the page that the offset is in; of the first page when it is below all. */
  async pageOf(offset: number): Promise<number> {
    const marks = await this.#pageMarks();
    const after = marks.findIndex((one) => one.offset > offset);
    return Math.max(0, (after < 0 ? marks.length : after) - 1);
  }

  /** Number of the first page that may hold a record not older than the time; undefined when there is none. */
  async pageSince(timestamp: number): Promise<number | undefined> {
    const marks = await this.#pageMarks();
    const page = marks.findIndex(({ youngest }) => youngest >= timestamp);
    return page < 0 ? undefined : page;
  }

  /** Where a page lies in the file; undefined behind the last one. */
  async pageBounds(page: number): Promise<{ from: number; to: number } | undefined> {
    const marks = await this.#pageMarks();
    const here = marks[page];
    return here && { from: here.position, to: marks[page + 1]?.position ?? this.size };
  }

  /** The records of a page. Fewer than there should be when the file is damaged: then `whole` is false. */
  async readPage({ from, to }: { from: number; to: number }): Promise<{ entries: Entry[]; whole: boolean }> {
    const file = await open(this.path, 'r');
    try {
      const bytes = await readFully(file, Buffer.allocUnsafeSlow(to - from), from);
      const entries: Entry[] = [];
      let at = 0;
      for (let frame = decodeFrame(bytes, at); frame; frame = decodeFrame(bytes, at)) {
        const { offset, timestamp, key, headers, value } = frame;
        entries.push({ offset, timestamp, key, headers, value, bytes: recordBytes(frame) });
        at += frame.size;
      }
      return { entries, whole: at === to - from };
    } finally {
      await file.close();
    }
  }
}

export interface FrameMark {
  offset: number;
  timestamp: number;
  size: number;
}

function mark(marks: PageMark[], offset: number, timestamp: number, position: number): void {
  const last = marks.at(-1);
  if (!last || position - last.position >= PAGE_BYTES) marks.push({ offset, position, youngest: timestamp });
  else last.youngest = Math.max(last.youngest, timestamp);
}

function encodeHeader(covered: number): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER);
  MAGIC.copy(header);
  header.writeUInt16LE(SEGMENT_VERSION, 6);
  header.writeDoubleLE(covered, 8);
  return header;
}

/** The offset up to which the segment stands for others. */
function decodeHeader(path: string, header: Buffer): number {
  if (MAGIC.compare(header, 0, MAGIC.length) === 0 && header.readUInt16LE(6) === SEGMENT_VERSION) {
    return header.readDoubleLE(8);
  }
  throw new EventLogError(
    'EVENT_LOG_JOURNAL',
    `journal: ${path} is not a segment of format version ${SEGMENT_VERSION}: use the build that wrote it, or move the journal away`,
    false,
  );
}

async function readMarks(path: string, size: number): Promise<PageMark[] | undefined> {
  try {
    const index = JSON.parse(await readFile(`${path}.idx`, 'utf8')) as { size: number; marks: PageMark[] };
    return index.size === size ? index.marks : undefined;
  } catch {
    return undefined;
  }
}

/** Visits every whole frame from the header on; gives the position behind the last one. */
async function walk(
  file: FileHandle,
  end: number,
  visit: (frame: DecodedFrame, position: number) => void,
): Promise<number> {
  let position = SEGMENT_HEADER;
  let wanted = SCAN_BYTES;
  while (position < end) {
    const bytes = await readFully(file, Buffer.allocUnsafeSlow(Math.min(wanted, end - position)), position);
    let at = 0;
    for (let frame = decodeFrame(bytes, at); frame; frame = decodeFrame(bytes, at)) {
      visit(frame, position + at);
      at += frame.size;
    }
    const size = frameSize(bytes, at);
    const prefixCut = at + 8 > bytes.length;
    // Only a frame that ends behind these bytes, but not behind the file, is worth another read.
    if (!prefixCut && (size === undefined || at + size <= bytes.length)) return position + at;
    if (position + at + (size ?? 8) > end) return position + at;
    wanted = Math.max(SCAN_BYTES, size ?? 0);
    position += at;
  }
  return position;
}
