import { Topic, type ProcessKey } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import type { DetectorProfile, LeakStatus } from '@tidemark/leak';
import type { Logger, Registry } from '@tidemark/service';
import { MAX_WAIT_MS, type Stage } from '../stage.js';
import { createDetectMetrics } from './detect-metrics.js';
import { createDetectPartition, type DetectPartition } from './detect-partition.js';
import { noDetectorHistory, type DetectorHistory } from './detector-history.js';
import type { KeepTimes } from './state-keeper.js';
import { createSiteSuspicions, followSuspicions } from './site-suspicions.js';

export interface DetectDeps {
  log: EventLog;
  profile: DetectorProfile;
  /** Null judges from nothing after a restart. */
  history: DetectorHistory | null;
  logger: Logger;
  registry: Registry;
  /** For tests. */
  times?: Partial<KeepTimes & { waitForHistoryMs: number; askAgainMs: number }>;
}

export interface DetectStage extends Stage {
  /** What the detector thinks of a living process now; undefined when it does not know it. */
  status(key: ProcessKey): LeakStatus | undefined;
}

/** A group without a position begins with the last two keyframes, so that it knows every process at once. */
const LOOK_BACK_MS = 120_000;
/** A group gives a member ten seconds to give a partition up. */
const KEEP: KeepTimes = {
  ...{ everyMs: 30_000, idleMs: 2_000, lookMs: 1_000, newsMs: 2_000, holdMs: 3_600_000, closeMs: 7_000 },
};
const WAIT_FOR_HISTORY_MS = 30_000;
const ASK_AGAIN_MS = 30_000;
const KEEP_AT_MOST = 20_000;

/** Samples in, findings out: `mem.samples.v1` → `mem.findings.v1`, group `detect`. */
export function startDetect({ log, profile, history, logger, registry, times = {} }: DetectDeps): DetectStage {
  const partitions = new Set<DetectPartition>();
  const metrics = createDetectMetrics(registry, () => {
    let size = 0;
    for (const partition of partitions) size += partition.size;
    return size;
  });
  const suspicions = createSiteSuspicions();
  const deps = { log, profile, history: history ?? noDetectorHistory, suspicions, logger, metrics };
  let state: 'starting' | 'running' | 'stopped' | 'failed' = 'starting';

  const judging = log.subscribe({
    topic: Topic.Samples,
    group: 'detect',
    from: { sinceMs: LOOK_BACK_MS },
    maxWaitMs: MAX_WAIT_MS,
    assign(context) {
      const partition = createDetectPartition(
        {
          ...{ ...deps, keep: { ...KEEP, ...times }, keepAtMost: KEEP_AT_MOST },
          ...{ waitForHistoryMs: times.waitForHistoryMs ?? WAIT_FOR_HISTORY_MS },
          ...{ askAgainMs: times.askAgainMs ?? ASK_AGAIN_MS },
        },
        context,
      );
      partitions.add(partition);
      context.signal.addEventListener('abort', () => partitions.delete(partition), { once: true });
      return partition;
    },
  });
  const subscribed = Promise.all([judging, followSuspicions(log, suspicions, 'detect', logger)]);
  const ready = subscribed.then(async (subscriptions) => {
    for (const { failed } of subscriptions) {
      failed.catch((error: Error) => {
        state = 'failed';
        logger.error({ error: error.message }, 'judging stopped');
      });
    }
    await Promise.all(subscriptions.map((one) => one.ready));
    state = 'running';
  });

  return {
    ready,
    health: () => ({ live: state !== 'failed', ready: state === 'running', detail: state }),
    status(key) {
      for (const partition of partitions) {
        const status = partition.status(key);
        if (status) return status;
      }
      return undefined;
    },
    async drain(deadlineMs) {
      if (state === 'stopped') return;
      state = 'stopped';
      await Promise.all((await subscribed).map((one) => one.drain(deadlineMs)));
    },
  };
}
