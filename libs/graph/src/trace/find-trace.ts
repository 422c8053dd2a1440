import type { ProcessKey } from '@tidemark/contracts';
import type { GraphContext, GraphSources } from '../sources.js';
import { liveTraceModel, type TraceModel } from './trace-model.js';

/** The trace of a process: the newest that was heard of, else what history remembers. Null when there was none. */
export async function findTrace(
  { traces, history, now }: GraphSources,
  { loaders }: GraphContext,
  key: ProcessKey,
): Promise<TraceModel | null> {
  const present = traces.trace(key, now());
  if (present) return liveTraceModel(present);
  return history ? loaders.storedTrace.load(key) : null;
}
