import type { SiteProfile } from './site-profile.js';

/** Where in the life of a site its survivors were born. Shares are of the life. */
export interface BirthShape {
  /** Blocks known. */
  blocks: number;
  generations: number;
  /** Before the first birth of a survivor, after the last, and between the two. */
  head: number;
  tail: number;
  span: number;
  /** Bins filled within the span, over the number that as many births spread evenly would fill. */
  coverage: number;
  /** Births in the first, middle and last third, over those of an even spread. */
  thirds: [number, number, number];
}

const NONE: BirthShape = { blocks: 0, generations: 0, head: 1, tail: 0, span: 0, coverage: 0, thirds: [0, 0, 0] };

/**
 * `births` are equal bins over [firstAt, binsUntil]; the life may go on without births until `until`. The
 * expected number of bins that n even births fill is that of balls in urns, m·(1 − (1 − 1/m)ⁿ).
 */
export function birthShape(births: ArrayLike<number>, firstAt: number, binsUntil: number, until: number): BirthShape {
  let [blocks, generations, first, last] = [0, 0, -1, -1];
  for (let bin = 0; bin < births.length; bin++) {
    const born = births[bin] ?? 0;
    if (!(born > 0)) continue;
    blocks += born;
    generations++;
    if (first < 0) first = bin;
    last = bin;
  }
  if (blocks === 0) return NONE;
  const life = Math.max(until, binsUntil) - firstAt;
  if (!(life > 0)) return { ...NONE, blocks, generations: 1 };
  const bin = (binsUntil - firstAt) / births.length / life;
  const width = last - first + 1;
  const even = width * (1 - (1 - 1 / width) ** blocks);
  return {
    blocks,
    generations,
    head: first * bin,
    tail: Math.max(0, 1 - (last + 1) * bin),
    span: width * bin,
    coverage: generations / even,
    thirds: thirdsOf(births, blocks, bin),
  };
}

/** `bin` is the width of a bin as a share of the life. */
function thirdsOf(births: ArrayLike<number>, blocks: number, bin: number): [number, number, number] {
  const thirds: [number, number, number] = [0, 0, 0];
  for (let i = 0; i < births.length; i++) {
    const born = births[i] ?? 0;
    if (born === 0) continue;
    const [from, to] = [i * bin * 3, (i + 1) * bin * 3];
    for (let third = 0; third < 3; third++) {
      const within = Math.min(to, third + 1) - Math.max(from, third);
      if (within > 0) thirds[third]! += (born * within) / (to - from);
    }
  }
  return thirds.map((born) => (3 * born) / blocks) as [number, number, number];
}

/** Why the survivors are not spread over the life as those of a leak are; null when they are. */
export type Unevenness = 'few-ages' | 'recent' | 'past' | 'gaps' | null;

/**
 * A stretch without births of survivors may be chance: n even births leave a share g of the life empty at one end with
 * probability (1 − g)ⁿ.
 */
export function unevenness(shape: BirthShape, profile: SiteProfile['ages'], nothingFreed: boolean): Unevenness {
  const { blocks, generations, head, tail, span, coverage } = shape;
  const [early, middle, late] = shape.thirds;
  const mayBeChance = (gap: number): boolean => (1 - gap) ** blocks >= profile.chance;
  const most = Math.max(early, middle, late);
  if (tail > profile.tail && !(mayBeChance(tail) && span >= profile.span)) return 'past';
  if (head > profile.head && !(mayBeChance(head) && span >= profile.span)) return 'recent';
  const falls = (part: number, ratio: number, than: number): boolean => isFewer(part, ratio * than, blocks);
  if (falls(late, profile.lastThird, most)) return 'past';
  // Of blocks that are freed in the end, those born long ago are the fewest; when none are, load may just have risen.
  if (falls(early, nothingFreed ? profile.rising : profile.firstThird, late)) return 'recent';
  if (falls(middle, profile.middleThird, most)) return 'gaps';
  if (generations < Math.min(profile.generations, blocks)) return 'few-ages';
  if (span < profile.span) return head > tail ? 'recent' : 'past';
  if (coverage < profile.coverage) return 'gaps';
  return null;
}

/**
 * The same of a program that ran for a blink, where the scheduler and first calls put gaps anywhere. Of a site that never
 * freed a block, the survivors are all it ever allocated: only that it has stopped speaks against a leak, by the clock of
 * the others (`clocked`), or else by an end without births that is no chance.
 */
export function unevennessOfBlink(
  shape: BirthShape,
  clocked: BirthShape | undefined,
  profile: SiteProfile['ages'],
  nothingFreed: boolean,
): Unevenness {
  const uneven = unevenness(shape, profile, nothingFreed);
  if (!nothingFreed) return uneven && clocked ? unevenness(clocked, profile, false) : uneven;
  const { generations, blocks, tail } = shape;
  const isLateEnd = tail > profile.blinkTail && (1 - tail) ** blocks < profile.chance;
  if (!clocked && uneven === null) return null;
  if (clocked ? isLateEnd && unevenness(clocked, profile, true) === 'past' : isLateEnd || uneven === 'past')
    return 'past';
  return generations < profile.blinkGenerations ? 'few-ages' : null;
}

/** Whether a third has fewer births than `least` by more than a standard error of a count: few blocks prove little. */
function isFewer(third: number, least: number, blocks: number): boolean {
  const born = (third * blocks) / 3;
  return born + Math.sqrt(Math.max(1, born)) < (least * blocks) / 3;
}
