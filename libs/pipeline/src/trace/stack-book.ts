import type { RawFrame, RawStack } from '@tidemark/alloc-trace';
import type { SiteStack, StackFrame } from '@tidemark/contracts';
import type { Logger } from '@tidemark/service';
import type { Symbolize } from './trace-ports.js';

/** Names of the stacks of one trace. Looked up beside the work, each site once. */
export interface StackBook {
  /** Undefined while nobody has named it yet; asking begins the search. */
  stackOf(site: number): SiteStack | undefined;
  /** Resolves when all that was asked for has names, or after `ms`. */
  settled(ms: number): Promise<void>;
}

/** Sites that are named in one go. */
const BATCH = 200;

export interface StackBookDeps {
  rawStackOf(site: number): RawStack | undefined;
  symbolize: Symbolize;
  logger: Logger;
}

export function createStackBook({ rawStackOf, symbolize, logger }: StackBookDeps): StackBook {
  const named = new Map<number, SiteStack>();
  const wanted = new Set<number>();
  let working: Promise<void> | undefined;

  async function work(): Promise<void> {
    // Whoever asks goes on with what it is doing: the search begins when it is done.
    await new Promise((resolve) => setImmediate(resolve));
    while (wanted.size > 0) {
      const sites = [...wanted].slice(0, BATCH);
      const stacks = sites.flatMap((site) => {
        const raw = rawStackOf(site);
        return raw ? [{ site, raw }] : [];
      });
      for (const stack of await nameAll(stacks, symbolize, logger)) named.set(stack.site, stack);
      for (const site of sites) wanted.delete(site);
    }
  }

  return {
    stackOf(site) {
      const known = named.get(site);
      if (known) return known;
      wanted.add(site);
      working ??= work().finally(() => (working = undefined));
      return undefined;
    },
    async settled(ms) {
      if (!working) return;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
      await Promise.race([working, late]);
      clearTimeout(timer);
    },
  };
}

/** Each frame is asked for once, however many stacks it is in. Without names the stacks still tell object and offset. */
async function nameAll(
  stacks: readonly { site: number; raw: RawStack }[],
  symbolize: Symbolize,
  logger: Logger,
): Promise<SiteStack[]> {
  const places = new Map<string, number>();
  const frames: RawFrame[] = [];
  const placeOf = (frame: RawFrame): number => {
    const name = `${frame.module?.path}@${frame.module?.start}@${frame.address}`;
    const known = places.get(name);
    if (known !== undefined) return known;
    places.set(name, frames.length);
    return frames.push(frame) - 1;
  };
  const numbered = stacks.map(({ site, raw }) => ({ site, raw, numbers: raw.frames.map(placeOf) }));
  let names: StackFrame[][] = [];
  try {
    names = await symbolize(frames);
  } catch (error) {
    logger.warn({ error: (error as Error).message }, 'stacks could not be named; they show objects and offsets');
  }
  return numbered.map(({ site, raw, numbers }) => ({
    site,
    frames: numbers.flatMap((number) => {
      const found = names[number];
      return found && found.length > 0 ? found : [unnamed(frames[number]!)];
    }),
    truncated: raw.truncated,
  }));
}

function unnamed({ module, address }: RawFrame): StackFrame {
  return {
    function: null,
    file: null,
    line: null,
    module: module?.path ?? null,
    buildId: module?.buildId ?? null,
    offset: address,
    inlined: false,
  };
}
