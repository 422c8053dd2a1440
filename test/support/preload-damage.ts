import { closeSync, constants, copyFileSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { execFileSync } from 'node:child_process';

/** A copy of a ring file whose holes stay holes; `to` is made new. */
export function copyRing(from: string, to: string): void {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE);
  } catch {
    execFileSync('cp', ['--sparse=always', from, to]);
  }
}

const HEADER_BYTES = 4096;
const WILD = [0n, 1n, 2n, 63n, 64n, 65n, 4095n, 65_535n, 65_536n, 0xffffffffn, 1n << 31n, 1n << 32n, 1n << 48n];
const HUGE = [(1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n, (1n << 64n) - 4096n];

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Damages a ring file in place and gives the way back: bits turned over, counts and offsets gone wild, words of other
 * places, and now and then an end that comes too early. The same seed does the same damage. `extents`: where the file
 * holds data, as [offset, bytes]; without them only the header and what follows it is damaged.
 */
export function damageRing(path: string, seed: number, extents: readonly [number, number][] = []): () => void {
  const random = randomOf(seed);
  const below = (most: number) => Math.floor(random() * most);
  const file = openSync(path, 'r+');
  const size = fstatSync(file).size;
  const changes: { at: number; before: Buffer }[] = [];
  const count = 1 + below(8);
  for (let i = 0; i < count; i++) {
    const at = Math.min(somePlace(random, extents), Math.max(0, size - 8));
    const before = Buffer.alloc(8);
    readSync(file, before, 0, 8, at);
    const after = Buffer.alloc(8);
    after.writeBigUInt64LE(wildValue(before.readBigUInt64LE(), random));
    const bytes = 1 + below(8);
    writeSync(file, after, 0, Math.min(bytes, size - at), at);
    changes.push({ at, before });
  }
  const cut = below(10) === 0;
  // What is cut off does not come back: such a file is for one use.
  if (cut) ftruncateSync(file, below(2) ? below(HEADER_BYTES + 1) : below(size));
  closeSync(file);
  return () => {
    const again = openSync(path, 'r+');
    if (cut) ftruncateSync(again, size);
    for (const { at, before } of changes.reverse()) writeSync(again, before, 0, Math.min(8, size - at), at);
    closeSync(again);
  };
}

/** Half of the damage goes to the header, where counts and offsets are. */
function somePlace(random: () => number, extents: readonly [number, number][]): number {
  const extent = extents[Math.floor(random() * extents.length)];
  if (!extent || random() < 0.5) return Math.floor(random() * (HEADER_BYTES - 8));
  return extent[0] + Math.floor(random() * Math.max(1, extent[1] - 8));
}

function wildValue(before: bigint, random: () => number): bigint {
  const kind = Math.floor(random() * 4);
  const mask = (1n << 64n) - 1n;
  if (kind === 0) return before ^ (1n << BigInt(Math.floor(random() * 64)));
  if (kind === 1) return (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
  if (kind === 2) return (before + BigInt(Math.floor(random() * 16)) - 8n) & mask;
  const values = [...WILD, ...HUGE];
  return values[Math.floor(random() * values.length)] ?? 0n;
}
