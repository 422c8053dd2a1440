import { mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OutgoingRecord } from '@tidemark/event-log';
import { decodeSegment, encodeSegment, type DecodedSegment } from './spool-segment.js';

/** Records on disk, in files that are written whole and sent whole; oldest first. */
export interface SpoolDirectory {
  readonly bytes: number;
  readonly segments: number;
  /** Writes a segment behind (or, for what was taken out but not sent, in front of) the others; rejects when the disk does. */
  write(records: readonly OutgoingRecord[], where: 'back' | 'front'): Promise<void>;
  /** The oldest segment, which stays until `remove`; undefined when there is none. Rejects when it cannot be read. */
  oldest(): Promise<(DecodedSegment & { name: string }) | undefined>;
  remove(name: string): Promise<void>;
  /** Deletes the oldest segment. */
  abandonOldest(): Loss;
  /** Deletes oldest segments (but `keep`) until at most `limit` bytes are left. */
  trim(limit: number, keep?: string): Loss;
}

export interface Loss {
  bytes: number;
  records: number;
}

interface Segment extends Loss {
  name: string;
  number: number;
}

/** Place in the order, and number of records: so that what is dropped unread is counted too. */
const NAME = /^(\d{1,15})-(\d{1,9})\.spool$/;
/** The first number leaves room for segments that are put in front. */
const FIRST = 1_000_000_000;

/**
 * Opens the directory, with what an earlier run left in it. Throws when it cannot be made or read. Files are for their
 * owner alone, since command lines are in them.
 */
export function openSpoolDirectory(directory: string): SpoolDirectory {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const segments = leftBehind(directory);
  let total = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const forget = (segment: Segment): void => {
    segments.splice(segments.indexOf(segment), 1);
    total -= segment.bytes;
  };
  const giveUp = (given: readonly Segment[]): Loss => {
    const loss = { bytes: 0, records: 0 };
    for (const segment of given) {
      forget(segment);
      deleteNow(join(directory, segment.name));
      loss.bytes += segment.bytes;
      loss.records += segment.records;
    }
    return loss;
  };
  return {
    get bytes() {
      return total;
    },
    get segments() {
      return segments.length;
    },
    async write(records, where) {
      const bytes = encodeSegment(records);
      const number = where === 'front' ? (segments[0]?.number ?? FIRST) - 1 : (segments.at(-1)?.number ?? FIRST) + 1;
      const name = `${number}-${records.length}.spool`;
      await writeWhole(join(directory, name), bytes);
      segments[where === 'front' ? 'unshift' : 'push']({ name, number, bytes: bytes.length, records: records.length });
      total += bytes.length;
    },
    async oldest() {
      const segment = segments[0];
      return segment && { name: segment.name, ...decodeSegment(await readFile(join(directory, segment.name))) };
    },
    async remove(name) {
      const segment = segments.find((one) => one.name === name);
      if (!segment) return;
      forget(segment);
      await unlink(join(directory, name)).catch(() => {});
    },
    abandonOldest: () => giveUp(segments.slice(0, 1)),
    trim(limit, keep) {
      const given: Segment[] = [];
      let left = total;
      for (const segment of segments) {
        if (left <= limit) break;
        if (segment.name === keep) continue;
        given.push(segment);
        left -= segment.bytes;
      }
      return giveUp(given);
    },
  };
}

function leftBehind(directory: string): Segment[] {
  const segments: Segment[] = [];
  for (const name of readdirSync(directory)) {
    const [, number, records] = NAME.exec(name) ?? [];
    if (number !== undefined) {
      const bytes = statSync(join(directory, name)).size;
      segments.push({ name, number: Number(number), bytes, records: Number(records) });
    } else if (name.endsWith('.spool.new')) deleteNow(join(directory, name));
  }
  return segments.sort((a, b) => a.number - b.number);
}

/** Under another name first, so that a segment is there whole or not at all. */
async function writeWhole(path: string, bytes: Buffer): Promise<void> {
  const unfinished = `${path}.new`;
  try {
    await writeFile(unfinished, bytes, { mode: 0o600 });
    await rename(unfinished, path);
  } catch (error) {
    await unlink(unfinished).catch(() => {});
    throw error;
  }
}

function deleteNow(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is forgotten all the same; the next start counts it again if it is still there.
  }
}
