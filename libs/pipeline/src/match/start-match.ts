import { Topic, type ProcessKey } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import { SITE_PROFILE, type SiteProfile, type SiteVerdict } from '@tidemark/leak';
import type { Logger, Registry } from '@tidemark/service';
import { noDetectorHistory, type DetectorHistory } from '../detect/detector-history.js';
import { createSiteSuspicions, followSuspicions } from '../detect/site-suspicions.js';
import { MAX_WAIT_MS, type Stage } from '../stage.js';
import { createMatchMetrics } from './match-metrics.js';
import { createMatchPartition, type MatchPartition } from './match-partition.js';
import type { MatchedProcess } from './matched-process.js';

export interface MatchDeps {
  log: EventLog;
  /** Null judges from the newest keyframes after a restart. */
  history: DetectorHistory | null;
  logger: Logger;
  registry: Registry;
  /** That of libs/leak when left out. */
  profile?: SiteProfile;
  /** Milliseconds between two commits of a partition, at least. Default 1,000. */
  commitEveryMs?: number;
  /** How long judging waits for history that is away, milliseconds. Default 30,000. */
  waitForHistoryMs?: number;
}

export interface MatchStage extends Stage {
  /** What is thought of a site of a process that is traced now; undefined when it is not known. */
  verdict(key: ProcessKey, site: number): SiteVerdict | undefined;
  /** What is known of a process that is traced now. */
  process(key: ProcessKey): MatchedProcess | undefined;
}

/** A group without a position begins with the last two keyframes of every trace. */
const LOOK_BACK_MS = 120_000;
/** No collector is silent for longer about a trace that goes on. */
const FORGET_AFTER_MS = 600_000;

/** A group gives a member ten seconds to give a partition up. */
const CLOSE_MS = 7_000;
const WAIT_FOR_HISTORY_MS = 30_000;

/** Chunks in, findings on allocation sites out: `mem.allocations.v1` → `mem.findings.v1`, group `match`. */
export function startMatch(given: MatchDeps): MatchStage {
  const { log, history, logger, registry, profile, commitEveryMs, waitForHistoryMs } = given;
  const partitions = new Set<MatchPartition>();
  const metrics = createMatchMetrics(registry, () => figuresOf(partitions));
  const suspicions = createSiteSuspicions();
  const deps = {
    ...{ log, logger, metrics, suspicions, profile: profile ?? SITE_PROFILE, history: history ?? noDetectorHistory },
    ...{ forgetAfterMs: FORGET_AFTER_MS, commitEveryMs: commitEveryMs ?? 1_000, closeMs: CLOSE_MS },
    waitForHistoryMs: waitForHistoryMs ?? WAIT_FOR_HISTORY_MS,
  };
  let state: 'starting' | 'running' | 'stopped' | 'failed' = 'starting';

  const judging = log.subscribe({
    topic: Topic.Allocations,
    group: 'match',
    from: { sinceMs: LOOK_BACK_MS },
    maxWaitMs: MAX_WAIT_MS,
    assign(context) {
      const partition = createMatchPartition(deps, context);
      partitions.add(partition);
      context.signal.addEventListener('abort', () => partitions.delete(partition), { once: true });
      return partition;
    },
  });
  const subscribed = Promise.all([judging, followSuspicions(log, suspicions, 'match', logger)]);
  const ready = subscribed.then(async (subscriptions) => {
    for (const { failed } of subscriptions) {
      failed.catch((error: Error) => {
        state = 'failed';
        logger.error({ error: error.message }, 'matching of allocations stopped');
      });
    }
    await Promise.all(subscriptions.map((one) => one.ready));
    state = 'running';
  });

  const find = (key: ProcessKey): MatchedProcess | undefined => {
    for (const partition of partitions) {
      const process = partition.process(key);
      if (process) return process;
    }
    return undefined;
  };
  return {
    ready,
    health: () => ({ live: state !== 'failed', ready: state === 'running', detail: state }),
    process: find,
    verdict: (key, site) => find(key)?.verdict(site),
    async drain(deadlineMs) {
      if (state === 'stopped') return;
      state = 'stopped';
      await Promise.all((await subscribed).map((one) => one.drain(deadlineMs)));
    },
  };
}

function figuresOf(partitions: Iterable<MatchPartition>) {
  const figures = { processes: 0, sites: 0, unmatched: 0 };
  for (const partition of partitions) {
    for (const { sites, survivors } of partition.processes()) {
      figures.processes++;
      figures.sites += sites.size;
      figures.unmatched += survivors.size;
    }
  }
  return figures;
}
