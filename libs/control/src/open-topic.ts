import type { EventLog, PartitionLag, SubscribeOptions, Subscription } from '@tidemark/event-log';
import type { Logger } from '@tidemark/service';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TopicEnd } from './topic-end.js';

export interface OpenTopicOptions extends Pick<SubscribeOptions, 'topic' | 'group' | 'assign'> {
  log: EventLog;
  logger: Logger;
  /** Gives up: rejects with what went wrong last, or that it was aborted. */
  signal: AbortSignal;
  /** Where the topic ended, before anything is delivered. */
  onEnds(lags: readonly PartitionLag[]): void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Reads the topic from its oldest record on, in no group. A log that is away for a moment is waited for; what it refuses for
 * good is thrown. Resolves when records are being delivered.
 */
export async function openTopic(options: OpenTopicOptions): Promise<Subscription> {
  const { log, topic, group, assign, logger, signal, onEnds } = options;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      onEnds(await log.lag(topic, group));
      const subscription = await log.subscribe({ topic, group, from: 'earliest', ephemeral: true, assign });
      await subscription.ready;
      return subscription;
    } catch (error) {
      if (signal.aborted || (error as { retriable?: unknown }).retriable !== true) throw error;
      logger.warn({ topic, error: (error as Error).message }, 'topic cannot be read now; trying again');
      await sleep(pause, undefined, { signal });
    }
  }
}

/** Waits for the end to be reached: retention may have taken the last records, so silence since `heardAt` counts too. */
export async function reachedOrQuiet(
  end: () => TopicEnd,
  heardAt: () => number,
  quietMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!end().isReached && performance.now() - heardAt() < quietMs && !signal.aborted) {
    await sleep(20, undefined, { signal }).catch(() => {});
  }
}
