import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { LatestKeys } from '../memory/latest-keys.js';
import { removeFile } from './disk.js';
import { parseSegmentName, Segment, TEMPORARY, type SegmentName } from './segment.js';

/** What an earlier run left of a partition. */
export interface FoundSegments {
  /** By growing offset, without overlap. */
  segments: Segment[];
  /** Offset that the next record gets. */
  end: number;
}

/**
 * Opens the segments of a partition, clears away what a compaction or a write that was cut off left, and learns the
 * keys when they are wanted. Every record whose append resolved is in one of the segments.
 */
export async function openSegments(
  directory: string,
  warn: (line: string) => void,
  keys: LatestKeys | undefined,
): Promise<FoundSegments> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const segments: Segment[] = [];
  let end = 0;
  for (const name of await currentNames(directory)) {
    end = Math.max(end, name.base);
    const segment = await Segment.reopen(directory, name);
    if (!segment) continue;
    const before = segments.at(-1);
    if (before && before.covered > segment.base) await segment.remove();
    else segments.push(segment);
    end = Math.max(end, segment.covered);
  }
  for (const segment of segments) {
    const isLast = segment === segments.at(-1);
    if (!isLast && !keys) continue;
    const behind = await segment.scan((frame) => {
      end = Math.max(end, frame.offset + 1);
      keys?.add(frame.key, frame.offset, frame.size);
    });
    if (behind > 0) warn(damage(segment, behind, isLast));
  }
  return { segments, end };
}

/** Names of the segments that count: of several of one base that of the last compaction. */
async function currentNames(directory: string): Promise<SegmentName[]> {
  const current = new Map<number, SegmentName>();
  const superfluous: string[] = [];
  for (const file of await readdir(directory)) {
    if (file.endsWith(TEMPORARY)) superfluous.push(file);
    const name = parseSegmentName(file);
    if (!name) continue;
    const known = current.get(name.base);
    if (!known || known.generation < name.generation) current.set(name.base, name);
    const older = known && (known.generation < name.generation ? known : name);
    if (older) superfluous.push(older.file, `${older.file}.idx`);
  }
  for (const file of superfluous) await removeFile(join(directory, file));
  return [...current.values()].sort((a, b) => a.base - b.base);
}

function damage(segment: Segment, bytes: number, isLast: boolean): string {
  const what = isLast
    ? 'an append that was cut off before it was acknowledged; dropped'
    : 'damaged records; they and what is behind them in this file are lost';
  return `journal: ${segment.path}: ${bytes} bytes behind byte ${segment.size} are ${what}`;
}
