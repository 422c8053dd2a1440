import { parseProcessKey, type ProcessKey } from '@tidemark/contracts';
import type { GraphContext, GraphSources } from '../sources.js';
import { liveProcessModel, storedProcessModel, type ProcessModel } from './process-model.js';

/**
 * The process of a key: from the live view, else from history when there is one. Null when nothing remembers it or the
 * text is no key.
 */
export async function findProcess(
  { live, history }: GraphSources,
  { loaders }: GraphContext,
  key: string,
): Promise<ProcessModel | null> {
  const present = live.processByKey(key);
  if (present) return liveProcessModel(live, present);
  if (!history || !parseProcessKey(key)) return null;
  const stored = await loaders.storedProcess.load(key as ProcessKey);
  return stored && storedProcessModel(live, stored);
}
