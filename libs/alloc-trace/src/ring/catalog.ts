import type { RawFrame, RawStack, TracedModule } from '../trace-source.js';
import * as format from './format.js';
import { MODULE, SITE, SITE_FLAG } from './format.js';
import { textOf, type RingLayout, type RingState } from './header.js';
import type { RingFile } from './ring-file.js';
import { u64 } from './words.js';

/** Modules are numbered in the upper 16 bits of a frame, addresses lie in the lower 48. */
const HALF_WORD = 0x1_0000;
const WORD = 2 ** 32;

/** Where the host finds the object that a process has mapped; null when nowhere. */
export type FileOfModule = (path: string, start: number) => string | null;

/** What the file names once and never changes: sites, their frames, modules. */
export interface Catalog {
  /** Reads what came since the last call. */
  update(state: RingState): void;
  /** Ticks at which a site was first seen; 0 when it is not known. */
  firstTicks(site: number): number;
  stackOf(site: number): RawStack | undefined;
  /** Reads all stacks and modules, so that they are known after the file is closed. */
  keepAll(): void;
}

interface SiteEntry {
  firstFrame: number;
  depth: number;
  truncated: boolean;
  firstTicks: number;
}

export function createCatalog(file: RingFile, layout: RingLayout, fileOf: FileOfModule): Catalog {
  const sites: (SiteEntry | undefined)[] = [];
  /** Sites that were numbered and not written yet. */
  const pending = new Set<number>();
  const stacks = new Map<number, RawStack>();
  const modules = createModules(file, layout, fileOf);
  let counts = { siteCount: 0, frameCount: 0 };
  const block = Buffer.alloc(format.GROUP);

  const update = (state: RingState): void => {
    const from = Math.max(counts.siteCount, format.FIRST_SITE);
    counts = { siteCount: Math.max(counts.siteCount, state.siteCount), frameCount: state.frameCount };
    modules.publish(state.moduleCount);
    for (const site of pending) take(site, siteAt(file, layout, site, block));
    const most = block.length / format.SITE_BYTES;
    for (let site = from; site < counts.siteCount; site += most) {
      const some = Math.min(most, counts.siteCount - site);
      file.read(block, some * format.SITE_BYTES, layout.sites.offset + site * format.SITE_BYTES);
      for (let index = 0; index < some; index++) take(site + index, siteOf(block, index * format.SITE_BYTES));
    }
  };

  const take = (site: number, entry: SiteEntry | undefined): void => {
    sites[site] = entry;
    if (entry === undefined) pending.add(site);
    else pending.delete(site);
  };

  const stackOf = (site: number): RawStack | undefined => {
    const known = stacks.get(site);
    if (known !== undefined) return known;
    const entry = sites[site];
    if (entry === undefined) return undefined;
    const stack = readStack(file, layout, entry, counts.frameCount, modules.frameOf);
    stacks.set(site, stack);
    return stack;
  };

  const keepAll = (): void => {
    for (let site = format.FIRST_SITE; site < counts.siteCount; site++) stackOf(site);
  };

  return { update, stackOf, keepAll, firstTicks: (site) => sites[site]?.firstTicks ?? 0 };
}

function siteAt(file: RingFile, layout: RingLayout, site: number, block: Buffer): SiteEntry | undefined {
  file.read(block, format.SITE_BYTES, layout.sites.offset + site * format.SITE_BYTES);
  return siteOf(block, 0);
}

function siteOf(bytes: Buffer, at: number): SiteEntry | undefined {
  const depth = bytes.readUInt16LE(at + SITE.depth);
  if (depth === 0) return undefined;
  return {
    firstFrame: bytes.readUInt32LE(at + SITE.firstFrame),
    depth: Math.min(depth, format.MAX_FRAMES),
    truncated: depth > format.MAX_FRAMES || (bytes.readUInt16LE(at + SITE.flags) & SITE_FLAG.TRUNCATED) !== 0,
    firstTicks: u64(bytes, at + SITE.firstTicks),
  };
}

function readStack(
  file: RingFile,
  layout: RingLayout,
  entry: SiteEntry,
  frameCount: number,
  frameOf: (module: number, address: number) => RawFrame,
): RawStack {
  // `frame_count` may be older than the site: the frames were written before it.
  const limit = Math.max(frameCount, Math.min(entry.firstFrame + entry.depth, layout.frames.capacity));
  const depth = Math.max(0, Math.min(entry.depth, limit - entry.firstFrame));
  const bytes = Buffer.alloc(depth * format.FRAME_BYTES);
  file.read(bytes, bytes.length, layout.frames.offset + entry.firstFrame * format.FRAME_BYTES);
  const frames = Array.from({ length: depth }, (_, index) => {
    const low = bytes.readUInt32LE(index * format.FRAME_BYTES);
    const high = bytes.readUInt32LE(index * format.FRAME_BYTES + 4);
    return frameOf(Math.floor(high / HALF_WORD), (high % HALF_WORD) * WORD + low);
  });
  return { frames, truncated: entry.truncated || depth < entry.depth };
}

interface Modules {
  publish(count: number): void;
  frameOf(module: number, address: number): RawFrame;
}

function createModules(file: RingFile, layout: RingLayout, fileOf: FileOfModule): Modules {
  const known = new Map<number, TracedModule>();
  const bytes = Buffer.alloc(format.MODULE_BYTES);
  let published = 0;
  const moduleOf = (index: number): TracedModule | null => {
    if (index === 0 || index >= published) return null;
    const found = known.get(index);
    if (found !== undefined) return found;
    file.read(bytes, bytes.length, layout.modules.offset + index * format.MODULE_BYTES);
    const module = decodeModule(bytes, fileOf);
    known.set(index, module);
    return module;
  };
  return {
    publish: (count) => {
      published = Math.max(published, count);
    },
    frameOf: (index, address) => ({ module: moduleOf(index), address }),
  };
}

function decodeModule(bytes: Buffer, fileOf: FileOfModule): TracedModule {
  const path = textOf(bytes.subarray(MODULE.path, MODULE.path + format.MODULE_PATH_BYTES));
  const idBytes = Math.min(bytes.readUInt16LE(MODULE.buildIdBytes), format.BUILD_ID_BYTES);
  const start = u64(bytes, MODULE.start);
  const end = u64(bytes, MODULE.end);
  return {
    path,
    file: fileOf(path, start),
    buildId: idBytes === 0 ? null : bytes.toString('hex', MODULE.buildId, MODULE.buildId + idBytes),
    start,
    end,
    bias: u64(bytes, MODULE.bias),
  };
}
