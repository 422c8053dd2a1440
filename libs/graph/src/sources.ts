import type { Acknowledgement, TraceRequestRecord } from '@tidemark/contracts';
import type { LiveView, TraceBook } from '@tidemark/live';
import type { Logger } from '@tidemark/service';
import type { Answers } from './feed/answers.js';
import type { FanOut } from './feed/fan-out.js';
import { GraphError } from './graph-error.js';
import type { HistoryQueries } from './history-port.js';
import type { Loaders } from './loaders.js';

/** All that the resolvers know of the world. */
export interface GraphSources {
  readonly live: LiveView;
  readonly traces: TraceBook;
  readonly updates: FanOut;
  readonly answers: Answers;
  /** Null: this server has no history; series and exited processes are then refused or absent. */
  readonly history: HistoryQueries | null;
  readonly logger: Logger;
  /** Version of the product. */
  readonly version: string;
  /** Resolves when the log has the record. */
  acknowledge(record: Acknowledgement): Promise<void>;
  /** Resolves when the log has the record. */
  requestTrace(record: TraceRequestRecord): Promise<void>;
  /** Epoch milliseconds. */
  now(): number;
}

/** Injection token of GraphSources. */
export const GRAPH_SOURCES = Symbol('GraphSources');

/** What one request (or one subscription) brings along. */
export interface GraphContext {
  /** The token was shown, or none is needed. */
  readonly authorized: boolean;
  readonly loaders: Loaders;
  /** The same for all fields of one request, so that `last` means the same stretch in each; of a subscription, now. */
  now(): number;
}

/** ClickHouse gives up before; this is for a connection that hangs. */
const HISTORY_DEADLINE_MS = 25_000;

/** Asks history; throws GraphError HISTORY_UNAVAILABLE naming the field when there is none or it does not answer. */
export async function askHistory<T>(
  { history, logger }: Pick<GraphSources, 'history' | 'logger'>,
  field: string,
  ask: (history: HistoryQueries) => Promise<T>,
): Promise<T> {
  if (!history) throw unavailable(field, 'this server has no history');
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${HISTORY_DEADLINE_MS} ms`)), HISTORY_DEADLINE_MS);
    });
    return await Promise.race([ask(history), late]);
  } catch (error) {
    // What was asked is too much for history; its message says of what, and how much is allowed.
    if (isOutOfRange(error)) throw new GraphError('RANGE_TOO_LONG', `${field}: ${error.message}`);
    logger.warn({ field, error: (error as Error).message }, 'history did not answer a query');
    throw unavailable(field, 'history does not answer now');
  } finally {
    clearTimeout(timer);
  }
}

function isOutOfRange(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'HISTORY_RANGE';
}

function unavailable(field: string, why: string): GraphError {
  return new GraphError('HISTORY_UNAVAILABLE', `${field}: ${why}; present values are not affected`, { status: 503 });
}
