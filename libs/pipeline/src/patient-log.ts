import { Topic, type TopicSpec } from '@tidemark/contracts';
import { EventLogError, type EventLog, type EventLogMetrics, type PartitionLag } from '@tidemark/event-log';
import type { Health, Logger } from '@tidemark/service';

export interface PatientLogOptions {
  /** Connects; called again, with growing delays, for as long as it fails with a retriable error. */
  open(): Promise<EventLog>;
  /** Made and checked as soon as the log is there. */
  topics: readonly TopicSpec[];
  logger: Logger;
  /** Ends the waiting for a log that is not there yet: whoever waits is refused with EVENT_LOG_CLOSED. */
  stopping: AbortSignal;
  retry?: { initialMs: number; maxMs: number };
  /** Longest time without a word of the log until it is asked whether it is there. Default 5,000. */
  probeMs?: number;
  /** An answer that takes longer counts as none. Default 10,000. */
  silenceMs?: number;
}

/** An event log that may be away: at the start and at any time later. */
export interface PatientLog {
  /**
   * To be used at once: until the log is there, `append` rejects with EVENT_LOG_UNAVAILABLE, retriable, and what has to
   * be answered by the log waits for it.
   */
  readonly log: EventLog;
  /** Resolves when the log is there with all its topics; rejects when it will never be. */
  readonly opened: Promise<void>;
  /** Ready while the log answers. */
  health(): Health;
}

const RETRY = { initialMs: 250, maxMs: 5_000 };
const PROBE_MS = 5_000;
const SILENCE_MS = 10_000;
const SAY_AGAIN_MS = 60_000;
/** Group that nobody is in: its lag is asked for only to hear the log. */
const PROBE_GROUP = 'probe';

const NOTHING: EventLogMetrics = {
  ...{ appendedRecords: 0, appendedBytes: 0, deadLettered: 0, droppedRecords: 0, retries: 0, rebalances: 0 },
  ...{ inFlightBytes: 0, retainedBytes: 0, journalBytes: 0 },
};

/** What was heard of the log last. */
interface Hearing {
  failure: string | null;
  heardAt: number;
  askedAt: number | undefined;
}

export function openPatiently(options: PatientLogOptions): PatientLog {
  const { probeMs = PROBE_MS, silenceMs = SILENCE_MS } = options;
  const closing = new AbortController();
  const giveUp = AbortSignal.any([closing.signal, options.stopping]);
  const hearing: Hearing = { failure: 'not connected yet', heardAt: -Infinity, askedAt: undefined };
  let inner: EventLog | undefined;

  const opening = connect(options, hearing, giveUp).then((log) => (inner = log));
  const opened = opening.then(() => undefined);
  opened.catch(() => {});

  /** Notes whether the log answered; errors of the question itself say that it is there. */
  async function listened<T>(question: Promise<T>): Promise<T> {
    try {
      const answer = await question;
      heard(hearing);
      return answer;
    } catch (error) {
      if ((error as { code?: unknown }).code === 'EVENT_LOG_UNAVAILABLE') hearing.failure = (error as Error).message;
      throw error;
    }
  }

  function probe(log: EventLog): void {
    if (hearing.askedAt !== undefined || performance.now() - hearing.heardAt < probeMs) return;
    hearing.askedAt = performance.now();
    log
      .lag(Topic.Nodes, PROBE_GROUP)
      .then(
        () => heard(hearing),
        (error: Error) => (hearing.failure = error.message),
      )
      .finally(() => (hearing.askedAt = undefined));
  }

  const log: EventLog = {
    ensureTopics: async (topics) => (await opening).ensureTopics(topics),
    async append(records) {
      if (!inner) throw unavailable(hearing);
      return listened(inner.append(records));
    },
    subscribe: async (subscription) => (await opening).subscribe(subscription),
    lag: async (topic, group): Promise<PartitionLag[]> => listened((await opening).lag(topic, group)),
    metrics: () => inner?.metrics() ?? NOTHING,
    async close(deadlineMs) {
      closing.abort();
      await inner?.close(deadlineMs);
    },
  };
  return {
    log,
    opened,
    health() {
      if (inner && !closing.signal.aborted) probe(inner);
      const waited = hearing.askedAt === undefined ? 0 : performance.now() - hearing.askedAt;
      const silent = waited > silenceMs ? `it has not answered for ${Math.round(waited / 1000)} s` : null;
      const failure = hearing.failure ?? silent;
      return { live: true, ready: failure === null, detail: failure ?? 'connected' };
    },
  };
}

function heard(hearing: Hearing): void {
  hearing.failure = null;
  hearing.heardAt = performance.now();
}

function unavailable({ failure }: Hearing): EventLogError {
  return new EventLogError('EVENT_LOG_UNAVAILABLE', `the event log is not there: ${failure ?? 'closed'}`, true);
}

async function connect(options: PatientLogOptions, hearing: Hearing, giveUp: AbortSignal): Promise<EventLog> {
  const { open, topics, logger, retry = RETRY } = options;
  let log: EventLog | undefined;
  let pause = retry.initialMs;
  let sayAgainAt = 0;
  for (;;) {
    try {
      log ??= await unlessAborted(open(), giveUp);
      await unlessAborted(log.ensureTopics(topics), giveUp);
      heard(hearing);
      logger.info({}, 'event log is there');
      return log;
    } catch (error) {
      const { message, retriable } = error as Error & { retriable?: boolean };
      if (giveUp.aborted || retriable !== true) {
        hearing.failure = message;
        await log?.close(0).catch(() => {});
        throw error;
      }
      // Texts of one outage differ from try to try.
      if (performance.now() >= sayAgainAt) {
        logger.warn({ reason: message }, 'event log is away; trying again until it is there');
        sayAgainAt = performance.now() + SAY_AGAIN_MS;
      }
      hearing.failure = message;
    }
    await pauseFor(pause, giveUp);
    pause = Math.min(pause * 2, retry.maxMs);
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () =>
      reject(new EventLogError('EVENT_LOG_CLOSED', 'the event log was closed while it was opened', false));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
