import type { Finding, NodeId } from '@tidemark/contracts';
import { createServiceBook, type DetectorProfile, type ServiceBook } from '@tidemark/leak';
import type { Logger } from '@tidemark/service';
import type { DetectorHistory } from './detector-history.js';
import { rememberFindings, rememberNode, rememberServices, type RememberedFindings } from './memory-of-before.js';
import { createNodeDetector, type NodeDetector, type Remembered } from './node-detector.js';
import { createOpenFindings, type OpenFindings } from './open-findings.js';

export interface WatchedNode {
  readonly node: NodeId;
  readonly detector: NodeDetector;
  /** Evidence per service of this node, over restarts and boots. */
  readonly book: ServiceBook;
  readonly open: OpenFindings;
  /** Something is known that history does not have. */
  dirty: boolean;
  /** Also of its services, and of the findings that are open. */
  bookDirty: boolean;
  openDirty: boolean;
  /** What was known before, where history could not be asked in time: asked for until it is there. */
  missing: { askAgainAt: number; asking: boolean; found: Before | undefined } | undefined;
}

/** What history knows of one boot of a node. */
interface Before {
  book: ServiceBook;
  remembered: Remembered;
  findings: RememberedFindings;
}

export interface NodeMemoryDeps {
  history: DetectorHistory;
  profile: DetectorProfile;
  logger: Logger;
  /** How long judging may wait for history that is away, milliseconds. */
  waitMs: number;
  /** Between two times that it is asked again then. */
  askAgainMs: number;
}

/** Nodes that are asked for at once, beside judging. */
const ASK_AT_ONCE = 4;

/** Begins to watch nodes, with what was known of them. */
export class NodeMemory {
  readonly #deps: NodeMemoryDeps;
  /** Since when history has not answered; undefined when it did. */
  #awaySince: number | undefined;
  #asking = 0;
  /** Asked for before their turn: nodes that come next. */
  readonly #expected = new Map<string, Promise<Before>>();

  constructor(deps: NodeMemoryDeps) {
    this.#deps = deps;
  }

  /** Begins to ask for nodes that are about to be watched for the first time, all at once. */
  expect(nodes: Iterable<{ node: NodeId; boot: string }>): void {
    if (this.#waited >= this.#deps.waitMs) return;
    for (const { node, boot } of nodes) {
      const key = `${node}/${boot}`;
      if (this.#expected.has(key)) continue;
      const asked = ask(this.#deps, node, boot, undefined);
      // Told when its turn comes; a node that does not come after all is nobody's failure.
      asked.catch(() => {});
      this.#expected.set(key, asked);
    }
  }

  /**
   * The node from now on, and what is to be told of it once more. Throws an error that is retriable while history is away
   * and was not waited for long enough.
   */
  async watch(
    node: NodeId,
    boot: string,
    known: WatchedNode | undefined,
  ): Promise<{ watched: WatchedNode; untold: Finding[] }> {
    const { profile, askAgainMs } = this.#deps;
    // During an outage that was waited for, nobody waits again.
    const before = this.#waited >= this.#deps.waitMs ? undefined : await this.#tryToAsk(node, boot, known);
    const book = known?.book ?? before?.book ?? createServiceBook(profile);
    const remembered = before?.remembered ?? ((): undefined => undefined);
    const detector = createNodeDetector({ node, boot, profile, book, remembered });
    const missing = before
      ? undefined
      : { askAgainAt: performance.now() + askAgainMs, asking: false, found: undefined };
    const open = known?.open ?? before?.findings.open ?? createOpenFindings();
    const flags = { dirty: true, bookDirty: known !== undefined, openDirty: known !== undefined };
    const untold = known ? [] : (before?.findings.untold ?? []);
    return { watched: { ...{ node, detector, book, open, missing }, ...flags }, untold };
  }

  /** Asks again for what could not be had, without waiting. What is there by now is taken over; gives what is to be told. */
  catchUp(watched: WatchedNode): Finding[] {
    const { missing, node, detector, book, open } = watched;
    if (!missing) return [];
    const before = missing.found;
    if (!before) {
      const isDue = !missing.asking && performance.now() >= missing.askAgainAt;
      if (isDue && this.#asking < ASK_AT_ONCE) void this.#askAgain(watched, missing);
      return [];
    }
    watched.missing = undefined;
    detector.adopt(before.remembered);
    for (const [name, service] of before.book.services) {
      if (!book.services.has(name)) book.services.set(name, service);
    }
    open.adopt(before.findings.open.all());
    Object.assign(watched, { dirty: true, bookDirty: true, openDirty: true });
    this.#deps.logger.info({ node }, 'history tells again what was known before');
    return before.findings.untold;
  }

  get #waited(): number {
    return this.#awaySince === undefined ? 0 : performance.now() - this.#awaySince;
  }

  async #tryToAsk(node: NodeId, boot: string, known: WatchedNode | undefined): Promise<Before | undefined> {
    const { waitMs, logger } = this.#deps;
    const key = `${node}/${boot}`;
    const asked = this.#expected.get(key) ?? ask(this.#deps, node, boot, known);
    this.#expected.delete(key);
    try {
      const before = await within(Math.max(1, waitMs - this.#waited), asked);
      this.#awaySince = undefined;
      return before;
    } catch (error) {
      this.#awaySince ??= performance.now();
      const reason = (error as Error).message;
      if (this.#waited < waitMs) throw waiting(reason, error);
      logger.warn({ node, error: reason }, 'judges from nothing: history does not tell what was known; will ask again');
      return undefined;
    }
  }

  async #askAgain(watched: WatchedNode, missing: NonNullable<WatchedNode['missing']>): Promise<void> {
    missing.asking = true;
    this.#asking++;
    try {
      missing.found = await ask(this.#deps, watched.node, watched.detector.boot, undefined);
      this.#awaySince = undefined;
    } catch (error) {
      const reason = (error as Error).message;
      this.#deps.logger.debug({ node: watched.node, error: reason }, 'history still does not tell what was known');
    }
    missing.askAgainAt = performance.now() + this.#deps.askAgainMs;
    missing.asking = false;
    this.#asking--;
  }
}

async function ask(
  { history, profile, logger }: NodeMemoryDeps,
  node: NodeId,
  boot: string,
  known: WatchedNode | undefined,
): Promise<Before> {
  const [remembered, book, findings] = await Promise.all([
    rememberNode(history, profile, node, boot, logger),
    // What belongs to the node outlives its boots.
    known?.book ?? rememberServices(history, profile, node, logger),
    known ? { open: known.open, untold: [] } : rememberFindings(history, node, logger),
  ]);
  return { remembered, book, findings };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`history has not answered for ${Math.round(ms)} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function waiting(reason: string, cause: unknown): Error {
  return Object.assign(new Error(`waits for what history knows: ${reason}`, { cause }), { retriable: true });
}
