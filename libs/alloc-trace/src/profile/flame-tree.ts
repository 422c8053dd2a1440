import type { StackFrame } from '@tidemark/contracts';
import { baseName, frameName, framePlace } from './frame-name.js';
import { isLeaking, measured, type ProfileMeasure, type TraceProfile } from './trace-profile.js';

/** A box: all stacks that begin with the same calls. */
export interface FlameBox {
  name: string;
  /** `file:line` that most bytes passed through; an empty string when it is not known. */
  place: string;
  /** Path of the object; null for generated code, and for boxes that stand for no function. */
  module: string | null;
  inlined: boolean;
  bytes: number;
  blocks: number;
  /** Part of `bytes` of sites that leak by their verdict. */
  leakingBytes: number;
  /** Bytes of sites that end here. */
  ownBytes: number;
  /** One of them is suspected or confirmed to leak: the call to look at. */
  leaks: boolean;
  /** How many boxes this one stands for; 0 for one that is itself. */
  merged: number;
  depth: number;
  children: FlameBox[];
}

interface Growing extends Omit<FlameBox, 'children'> {
  placeBytes: number;
  byName: Map<string, Growing>;
}

/** Deeper frames are left out: the box that would hold them says so by its own bytes. */
const MAX_DEPTH = 256;

/** The tree from the program down to what allocates. Children are sorted by bytes. At most about `maxBoxes` boxes. */
export function flameTree(profile: TraceProfile, measure: ProfileMeasure, maxBoxes: number): FlameBox {
  const root = growing(profile.process.program, null, 0);
  for (const site of profile.sites) {
    const { bytes, blocks } = measured(site, measure);
    if (bytes === 0) continue;
    const leaking = isLeaking(site) ? bytes : 0;
    let box = root;
    add(box, bytes, blocks, leaking);
    if (site.stack.truncated) box = child(box, '[stack cut off]', null, bytes, blocks, leaking);
    const { frames } = site.stack;
    for (let at = frames.length - 1; at >= 0 && box.depth < MAX_DEPTH; at--) {
      const frame = frames[at]!;
      box = child(box, frameName(frame), frame, bytes, blocks, leaking);
    }
    box.ownBytes += bytes;
    box.leaks ||= leaking > 0;
  }
  return finished(root, smallestOf(root, maxBoxes));
}

function growing(name: string, frame: StackFrame | null, depth: number): Growing {
  return {
    name,
    place: '',
    placeBytes: -1,
    module: frame?.module ?? null,
    inlined: frame?.inlined ?? false,
    bytes: 0,
    blocks: 0,
    leakingBytes: 0,
    ownBytes: 0,
    leaks: false,
    merged: 0,
    depth,
    byName: new Map(),
  };
}

function add(box: Growing, bytes: number, blocks: number, leaking: number): void {
  box.bytes += bytes;
  box.blocks += blocks;
  box.leakingBytes += leaking;
}

function child(
  parent: Growing,
  name: string,
  frame: StackFrame | null,
  bytes: number,
  blocks: number,
  leaking: number,
): Growing {
  const key = `${name}\n${frame?.module ?? ''}`;
  let box = parent.byName.get(key);
  if (box === undefined) parent.byName.set(key, (box = growing(name, frame, parent.depth + 1)));
  add(box, bytes, blocks, leaking);
  if (frame !== null && bytes > box.placeBytes) {
    box.place = framePlace(frame);
    box.placeBytes = bytes;
  }
  return box;
}

/** Bytes below which a box is too small to be drawn by itself. */
function smallestOf(root: Growing, maxBoxes: number): number {
  const sizes: number[] = [];
  const open = [root];
  for (let box = open.pop(); box !== undefined; box = open.pop()) {
    sizes.push(box.bytes);
    open.push(...box.byName.values());
  }
  if (sizes.length <= maxBoxes) return 0;
  const sorted = Float64Array.from(sizes).sort();
  const last = sorted.at(-maxBoxes)!;
  // Of many that are alike either all are drawn or none.
  return sorted.at(-maxBoxes - 1) === last ? (sorted.find((one) => one > last) ?? Infinity) : last;
}

function finished(box: Growing, smallest: number): FlameBox {
  const { byName, placeBytes: _, ...rest } = box;
  const all = [...byName.values()].sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
  const small = all.filter(({ bytes }) => bytes < smallest);
  // One small box takes no more room than one that stands for it.
  const kept = small.length > 1 ? all.filter(({ bytes }) => bytes >= smallest) : all;
  const children = kept.map((one) => (one.bytes < smallest ? leaf(one) : finished(one, smallest)));
  if (small.length > 1) children.push(mergedBox(small, box.depth + 1));
  return { ...rest, children };
}

function leaf(box: Growing): FlameBox {
  const { byName, placeBytes: _, ...rest } = box;
  return { ...rest, merged: byName.size > 0 ? 1 : 0, children: [] };
}

function mergedBox(small: readonly Growing[], depth: number): FlameBox {
  const whole = growing(`${small.length} smaller`, null, depth);
  for (const { bytes, blocks, leakingBytes, leaks } of small) {
    add(whole, bytes, blocks, leakingBytes);
    whole.leaks ||= leaks;
  }
  return { ...leaf(whole), merged: small.length };
}

/** Base names of the objects that boxes lie in: the program itself, then by the bytes that pass through them. */
export function modulesOf(root: FlameBox): string[] {
  const bytes = new Map<string, number>();
  const open: { box: FlameBox; above: ReadonlySet<string> }[] = [{ box: root, above: new Set() }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { box, above } = next;
    const name = box.module === null ? null : baseName(box.module);
    if (name !== null && !above.has(name)) bytes.set(name, (bytes.get(name) ?? 0) + box.bytes);
    const below = name === null || above.has(name) ? above : new Set([...above, name]);
    for (const one of box.children) open.push({ box: one, above: below });
  }
  const weight = (name: string): number => (name === root.name ? Infinity : bytes.get(name)!);
  return [...bytes.keys()].sort((a, b) => (weight(a) === weight(b) ? (a < b ? -1 : 1) : weight(b) - weight(a)));
}
