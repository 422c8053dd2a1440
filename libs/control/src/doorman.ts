import type { EventLog, PartitionLag, Subscription } from '@tidemark/event-log';
import type { Logger } from '@tidemark/service';
import { openTopic, reachedOrQuiet } from './open-topic.js';
import { createTopicEnd } from './topic-end.js';

export interface DoormanOptions {
  log: EventLog;
  topic: string;
  group: string;
  wants(key: string): boolean;
  quietMs: number;
  logger: Logger;
}

/** Watches a topic for the first record that concerns somebody who is not to be woken in vain. */
export interface Doorman {
  /** Resolves when there is one; never otherwise. */
  readonly knocked: Promise<void>;
  /** Resolves when there was none among what had been written before. */
  readonly caughtUp: Promise<void>;
  readonly failed: Promise<never>;
  /** Where the topic ended when the watch began. */
  readonly ends: readonly PartitionLag[];
  drain(deadlineMs: number): Promise<void>;
}

export async function postDoorman({ wants, quietMs, ...topic }: DoormanOptions): Promise<Doorman> {
  const stop = new AbortController();
  let ends: readonly PartitionLag[] = [];
  let end = createTopicEnd([]);
  let heardAt = performance.now();
  let knock = (): void => {};
  const knocked = new Promise<void>((resolve) => (knock = resolve));
  const subscription: Subscription = await openTopic({
    ...topic,
    signal: stop.signal,
    onEnds(lags) {
      ends = lags;
      end = createTopicEnd(lags);
    },
    assign: (context) => ({
      async handle(records) {
        for (const { partition, offset, key, value } of records) {
          if (value !== null && wants(key)) {
            knock();
            // Behind a record that nobody has handled the end is not reached.
            stop.abort();
            return;
          }
          context.acknowledge(offset);
          end.reached(partition, offset + 1);
          heardAt = performance.now();
        }
      },
    }),
  });
  heardAt = performance.now();
  const never = new Promise<never>(() => {});
  return {
    knocked,
    caughtUp: reachedOrQuiet(
      () => end,
      () => heardAt,
      quietMs,
      stop.signal,
    ).then(() => (stop.signal.aborted ? never : undefined)),
    failed: subscription.failed,
    ends,
    async drain(deadlineMs) {
      stop.abort();
      await subscription.drain(deadlineMs);
    },
  };
}
