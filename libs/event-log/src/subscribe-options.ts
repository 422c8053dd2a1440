import { EventLogError } from './errors.js';
import type { SubscribeOptions } from './event-log.js';

const DEFAULTS = { maxInFlightBytes: 8 * 1024 * 1024, maxBatchRecords: 500, maxTries: 5, ephemeral: false };

export type ResolvedSubscribeOptions = SubscribeOptions & typeof DEFAULTS;

/** Fills in the defaults; throws EVENT_LOG_INVALID naming the option that is out of range. */
export function resolveSubscribeOptions(options: SubscribeOptions): ResolvedSubscribeOptions {
  const resolved = { ...DEFAULTS, ...options };
  const { from, group, topic, ephemeral, maxWaitMs } = resolved;
  for (const name of ['maxInFlightBytes', 'maxBatchRecords', 'maxTries'] as const) {
    const value = resolved[name];
    if (!Number.isSafeInteger(value) || value < 1) throw invalid(topic, `${name} is ${value}: must be 1 or more`);
  }
  if (maxWaitMs !== undefined && !(Number.isSafeInteger(maxWaitMs) && maxWaitMs >= 0)) {
    throw invalid(topic, `maxWaitMs is ${maxWaitMs}: must be 0 or more milliseconds`);
  }
  if (!ephemeral && group === '') throw invalid(topic, 'a subscription that is not ephemeral must name its group');
  if (typeof from === 'object' && !(from.sinceMs >= 0)) {
    throw invalid(topic, `from.sinceMs is ${from.sinceMs}: must be 0 or more milliseconds`);
  }
  return resolved;
}

function invalid(topic: string, why: string): EventLogError {
  return new EventLogError('EVENT_LOG_INVALID', `subscription of ${topic.slice(0, 249)}: ${why}`, false);
}
