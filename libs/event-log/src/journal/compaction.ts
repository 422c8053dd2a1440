import { type Disk } from './disk.js';
import { encodeFrames, type FrameContent } from './frame.js';
import type { Entry } from '../memory/store.js';
import type { Segment } from './segment.js';

/**
 * One segment with the records of several that are to stay, published in place of the first; the others are then
 * superfluous, also to a restart. `end` is the offset after the last of them.
 */
export async function mergeSegments(
  disk: Disk,
  segments: readonly Segment[],
  end: number,
  keep: (entry: Entry) => boolean,
): Promise<Segment> {
  const merged = await segments[0]!.createMerged(disk, end);
  try {
    for (const segment of segments) await copyKept(disk, segment, merged, keep);
    await merged.setAppendTime(Math.max(...segments.map(({ lastAppendAt }) => lastAppendAt)));
    await merged.publish();
    return merged;
  } catch (error) {
    await merged.remove().catch(() => {});
    throw error;
  }
}

async function copyKept(disk: Disk, from: Segment, to: Segment, keep: (entry: Entry) => boolean): Promise<void> {
  for (let page = 0; ; page++) {
    const bounds = await from.pageBounds(page);
    if (!bounds) return;
    const kept: FrameContent[] = [];
    const { entries } = await from.readPage(bounds);
    for (const entry of entries) if (keep(entry)) kept.push(entry);
    if (kept.length === 0) continue;
    const { bytes, sizes } = encodeFrames(kept);
    const marks = kept.map(({ offset, timestamp }, index) => ({ offset, timestamp, size: sizes[index]! }));
    await to.append(disk, bytes, marks, false);
  }
}
