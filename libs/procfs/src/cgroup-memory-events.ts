import { malformed } from './errors.js';
import { FigureTable, type FigureField } from './figure-table.js';

/** v2 `memory.events`: counts since the group was made, groups below included. */
export interface CgroupMemoryEvents {
  /** `low`: reclaimed although below its protection. */
  low?: number;
  /** `high`: throttled for being above `memory.high`. */
  high?: number;
  /** `max`: was about to pass `memory.max`. */
  max?: number;
  /** `oom`: could not be reclaimed below it. */
  oom?: number;
  /** `oom_kill` (since 4.13): processes killed for it. */
  oomKills?: number;
}

const FIELDS: readonly FigureField<keyof CgroupMemoryEvents>[] = [
  ['low', 'low', 1],
  ['high', 'high', 1],
  ['max', 'max', 1],
  ['oom', 'oom', 1],
  ['oom_kill', 'oomKills', 1],
];

const table = new FigureTable(FIELDS);

export function parseCgroupMemoryEvents(bytes: Uint8Array, length: number = bytes.length): CgroupMemoryEvents {
  const events: CgroupMemoryEvents = table.read(bytes, length);
  if (events.max === undefined) malformed('memory.events', 'a line max', bytes, 0, length);
  return events;
}
