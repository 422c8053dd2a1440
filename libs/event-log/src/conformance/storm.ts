import { expect } from 'vitest';
import type { EventLog, LogRecord, PartitionContext, PartitionHandler, Subscription } from '../event-log.js';
import { numbered, quiet, retriableError, totalLag, until, type Bench, type LogPromise } from './bench.js';

const RECORDS = 600;
const KEYS = 12;
const MEMBERS = 3;

/** Numbers from 0 up to below 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What was done with the records of one topic, by all members together. */
class Ledger {
  readonly done = new Map<number, Set<number>>();
  readonly wrong: string[] = [];

  /** A session must not begin behind a record that nobody has done. */
  delivered(records: readonly LogRecord[], before: Set<number>): void {
    const { partition, offset: first } = records[0]!;
    const done = this.done.get(partition) ?? new Set();
    for (let offset = 0; offset < first; offset++) {
      if (!done.has(offset) && !before.has(offset)) this.wrong.push(`${partition}:${offset} was skipped at ${first}`);
    }
    let last = -1;
    for (const { offset } of records) {
      if (offset <= last) this.wrong.push(`${partition}:${offset} came behind ${last}`);
      last = offset;
      before.add(offset);
    }
  }

  /** Noted before it is acknowledged: what is acknowledged is done. */
  finish({ partition, offset }: LogRecord): void {
    const done = this.done.get(partition) ?? new Set();
    this.done.set(partition, done.add(offset));
  }

  get size(): number {
    let size = 0;
    for (const { size: done } of this.done.values()) size += done;
    return size;
  }
}

/** A handler in bad weather: it fails, is slow, acknowledges late and out of order, or commits by itself. */
function handlerInTheStorm(context: PartitionContext, ledger: Ledger, random: () => number): PartitionHandler {
  const before = new Set<number>();
  const committing = random() < 0.3;
  const later: LogRecord[] = [];
  const finish = (record: LogRecord): void => {
    ledger.finish(record);
    context.acknowledge(record.offset);
  };
  return {
    async handle(records) {
      ledger.delivered(records, before);
      if (random() < 0.2) await quiet(Math.floor(random() * 20));
      if (random() < 0.1) throw retriableError('bad weather');
      if (committing) {
        records.forEach((record) => ledger.finish(record));
        await context.commit(records.at(-1)!.offset + 1, 'note');
        return;
      }
      for (const record of records) {
        if (random() < 0.05) throw retriableError('in the middle');
        if (random() < 0.5) finish(record);
        else later.push(record);
      }
      later.sort(() => random() - 0.5);
      for (const record of later.splice(0, Math.floor(random() * later.length))) finish(record);
    },
    async close() {
      if (random() < 0.5) later.splice(0).forEach(finish);
    },
  };
}

/** Members come, drain and are killed, a few times a second, until all is sent. */
async function storm(bench: Bench, base: EventLog, topic: string, seed: number, ledger: Ledger): Promise<void> {
  const random = seeded(seed);
  const members: { log: EventLog; subscription: Subscription }[] = [];
  const join = async (): Promise<void> => {
    const log = await bench.open();
    const assign = (context: PartitionContext): PartitionHandler => handlerInTheStorm(context, ledger, random);
    const options = { topic, group: 'g', from: 'earliest', maxBatchRecords: 20, maxInFlightBytes: 20_000 } as const;
    members.push({ log, subscription: await log.subscribe({ ...options, assign }) });
  };
  for (let sent = 0; sent < RECORDS; sent += KEYS) {
    await Promise.all(
      Array.from({ length: KEYS }, (_, key) => base.append(numbered(topic, `k${key}`, sent, sent + 1))),
    );
    if (members.length < MEMBERS && random() < 0.5) await join();
    else if (members.length > 0 && random() < 0.2) {
      const [gone] = members.splice(Math.floor(random() * members.length), 1);
      if (random() < 0.5) await bench.crash(gone!.log);
      else await gone!.subscription.drain(Math.floor(random() * 200));
    }
    await quiet(Math.floor(random() * 20));
  }
  for (const { subscription } of members) await subscription.drain(100);
}

export const stormPromises: LogPromise[] = [
  {
    name: 'whatever members and handlers do, no record is skipped, and in the end all are done',
    async keep(bench) {
      const seed = Math.floor(Math.random() * 2 ** 31);
      const base = await bench.open();
      const topic = await bench.topic(base);
      const ledger = new Ledger();
      await storm(bench, base, topic, seed, ledger);
      // The weather clears: one member does what is left.
      const before = new Map<number, Set<number>>();
      await base.subscribe({
        topic,
        group: 'g',
        from: 'earliest',
        assign: (context) => ({
          async handle(records) {
            const seen = before.get(context.partition) ?? new Set();
            before.set(context.partition, seen);
            ledger.delivered(records, seen);
            for (const record of records) {
              ledger.finish(record);
              context.acknowledge(record.offset);
            }
          },
        }),
      });
      await until(() => totalLag(base, topic, 'g'), 0);
      expect(ledger.wrong.slice(0, 5), `seed ${seed}`).toEqual([]);
      expect(ledger.size, `seed ${seed}`).toBe(RECORDS);
    },
  },
];
