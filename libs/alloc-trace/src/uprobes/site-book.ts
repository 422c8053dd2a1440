import type { RawFrame } from '../trace-source.js';
import { walkStack, type StoppedThread } from '../unwind/walk-stack.js';
import type { UnwindRow } from '../unwind/cfi-program.js';
import { emptySums, type Site } from './block-ledger.js';
import type { AddressSpace } from './mapped-objects.js';

/** Sites of one trace by their stacks. */
export interface SiteBook {
  readonly sites: readonly Site[];
  /** Stacks that found no room: they all count for the one site without frames. */
  readonly overflowed: number;
  readonly space: AddressSpace;
  siteOf(thread: StoppedThread, time: number): Site;
  /** Addresses have been looked at that lie in no known object: time to read the mappings anew. */
  readonly strange: boolean;
  /** Takes an address space read anew. Sites stay as they are. */
  remap(space: AddressSpace): void;
}

export interface SiteBookOptions {
  maxFrames: number;
  maxSites: number;
}

const MAX_RULES = 65_536;

export function siteBook(first: AddressSpace, { maxFrames, maxSites }: SiteBookOptions): SiteBook {
  let space = first;
  let overflowed = 0;
  let overflow: Site | null = null;
  const sites: Site[] = [];
  const byStack = new Map<string, Site>();
  const rules = rulesCache();
  const add = (frames: RawFrame[], truncated: boolean, time: number): Site => {
    const site: Site = {
      id: sites.length,
      stack: { frames, truncated },
      firstAt: time,
      sums: emptySums(),
      open: { count: 0, bytes: 0, squares: 0 },
      oldFrees: 0,
    };
    sites.push(site);
    return site;
  };
  return {
    sites,
    get overflowed() {
      return overflowed;
    },
    get space() {
      return space;
    },
    get strange() {
      return rules.strange;
    },
    siteOf: (thread, time) => {
      const { addresses, truncated } = walkStack(thread, (pc) => rules.at(space, pc), maxFrames);
      const key = addresses.join(' ');
      const known = byStack.get(key);
      if (known !== undefined) return known;
      if (sites.length >= maxSites) {
        overflowed += 1;
        return (overflow ??= add([], true, time));
      }
      const site = add(
        addresses.map((address) => frameAt(space, address)),
        truncated,
        time,
      );
      byStack.set(key, site);
      return site;
    },
    remap: (next) => {
      rules.clear();
      // The same addresses may mean other code now.
      if (space.objects.some((object) => !next.objects.includes(object))) byStack.clear();
      space = next;
    },
  };
}

interface RulesCache {
  /** A place without code was asked for. */
  readonly strange: boolean;
  at(space: AddressSpace, pc: number): UnwindRow | 'none' | null;
  clear(): void;
}

function rulesCache(): RulesCache {
  const rules = new Map<number, UnwindRow | 'none'>();
  let strange = false;
  return {
    get strange() {
      return strange;
    },
    at: (space, pc) => {
      const known = rules.get(pc);
      if (known !== undefined) return known;
      const found = rulesIn(space, pc);
      if (found === null) strange = true;
      else {
        if (rules.size >= MAX_RULES) rules.clear();
        rules.set(pc, found);
      }
      return found;
    },
    clear: () => {
      rules.clear();
      strange = false;
    },
  };
}

function rulesIn(space: AddressSpace, pc: number): UnwindRow | 'none' | null {
  const object = space.objectAt(pc);
  if (object === null) return space.isCode(pc) ? 'none' : null;
  return object.frames?.rowAt(pc - object.module.bias) ?? 'none';
}

function frameAt(space: AddressSpace, address: number): RawFrame {
  const object = space.objectAt(address) ?? space.objectAt(address - 1);
  return object === null ? { module: null, address } : { module: object.module, address: address - object.module.bias };
}
