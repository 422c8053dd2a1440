import type { Batch, CutLimits } from './batch-cutter.js';
import type { BatchWriter, BatchWriterDeps } from './batch-writer.js';
import { createLimiter, type Limiter } from './limiter.js';
import { writeTogether } from './write-together.js';

/** A partition whose records are written along with those of others. */
export interface Member {
  readonly writer: BatchWriter;
  /** When its records are to be written, milliseconds of `performance.now()`; Infinity while there is nothing to write. */
  readonly dueAt: number;
  /** Its next batch; undefined when there is none. */
  cut(limits: CutLimits): Batch | undefined;
  /** A batch of it must be left to another: nothing more of it is written. */
  broke(error: unknown): void;
}

/** Has the partitions of one topic written together: when one is due, whatever waits in others goes along. */
export interface Gatherer {
  add(member: Member): void;
  remove(member: Member): void;
  /** Something may be due earlier than before. */
  look(): void;
  /** Resolves when nothing of the member is being written or due. */
  written(member: Member): Promise<void>;
}

/** Of all that is written at once. */
export const ROUND_LIMITS: CutLimits = { maxBytes: 6 * 1024 * 1024, maxRows: 150_000 };

type RoundDeps = Pick<BatchWriterDeps, 'topic' | 'history' | 'logger' | 'metrics'>;

interface Cut {
  member: Member;
  batch: Batch;
}

export function createGatherer(deps: RoundDeps & { limiter: Limiter }): Gatherer {
  const members = new Set<Member>();
  /** Members that are being written, and the end of that. */
  const busy = new Map<Member, Promise<void>>();
  /** The end of a round that waits for its turn. */
  let next: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    clearTimeout(timer);
    if (next) return;
    const at = Math.min(Infinity, ...idle().map(({ dueAt }) => dueAt));
    if (at === Infinity) return;
    const wait = Math.ceil(at - performance.now());
    if (wait > 0) timer = setTimeout(look, wait);
    else next = inTurn();
  }

  function idle(): Member[] {
    return [...members].filter((member) => !busy.has(member) && member.dueAt < Infinity);
  }

  async function inTurn(): Promise<void> {
    // Never at once: whoever looks has not noted yet that it waits.
    await Promise.resolve();
    await deps.limiter(write);
    look();
  }

  /** Cut when its turn comes: what arrives while others are written goes along. */
  async function write(): Promise<void> {
    next = undefined;
    const all = cutAll(idle());
    if (all.length === 0) return;
    const done = deps.metrics.seconds.startTimer({ topic: deps.topic.topic });
    const ends = writeAll(all, deps).map((written, index) => {
      const { member } = all[index]!;
      const end = written
        .catch((error: unknown) => member.broke(error))
        .finally(() => {
          busy.delete(member);
          look();
        });
      busy.set(member, end);
      return end;
    });
    look();
    await Promise.all(ends);
    done();
  }

  return {
    add: (member) => void members.add(member),
    remove(member) {
      members.delete(member);
      look();
    },
    look,
    async written(member) {
      look();
      for (;;) {
        const due = members.has(member) && member.dueAt < Infinity;
        const round = busy.get(member) ?? (due ? next : undefined);
        if (!round) return;
        await round;
      }
    },
  };
}

/** The next batches of the members, the one that waits for longest first, as many as one round takes. */
function cutAll(members: readonly Member[]): Cut[] {
  const cut: Cut[] = [];
  let { maxBytes, maxRows } = ROUND_LIMITS;
  for (const member of members.toSorted((a, b) => a.dueAt - b.dueAt)) {
    if (maxBytes <= 0 || maxRows <= 0) break;
    const batch = member.cut({ maxBytes, maxRows });
    if (!batch) continue;
    maxBytes -= batch.bytes;
    maxRows -= batch.rows;
    cut.push({ member, batch });
  }
  return cut;
}

/** What was under way before has a name already, that of an insert of its own or of one that it shared then. */
function writeAll(all: readonly Cut[], deps: RoundDeps): Promise<void>[] {
  const fresh = all.filter(({ batch }) => !batch.again);
  const together = fresh.length > 1 ? fresh : [];
  const shares = together.map(({ member: { writer }, batch }) => ({ writer, batch }));
  const written = new Map(writeTogether(shares, deps).map((end, index) => [together[index], end]));
  // Those that are settled may have one name.
  const turns = createLimiter(1);
  return all.map((one) => written.get(one) ?? one.member.writer.write(one.batch, turns));
}
