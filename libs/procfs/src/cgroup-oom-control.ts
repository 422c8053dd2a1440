import { malformed } from './errors.js';
import { FigureTable, type FigureField } from './figure-table.js';

/** v1 `memory.oom_control`. */
export interface CgroupOomControl {
  /** `oom_kill_disable`: 1 when tasks wait instead of being killed. */
  killDisabled: number;
  /** `under_oom`: 1 while they wait. */
  underOom?: number;
  /** `oom_kill` (since 4.13): processes killed since the group was made. */
  oomKills?: number;
}

const FIELDS: readonly FigureField<keyof CgroupOomControl>[] = [
  ['oom_kill_disable', 'killDisabled', 1],
  ['under_oom', 'underOom', 1],
  ['oom_kill', 'oomKills', 1],
];

const table = new FigureTable(FIELDS);

export function parseCgroupOomControl(bytes: Uint8Array, length: number = bytes.length): CgroupOomControl {
  const { killDisabled, ...control } = table.read(bytes, length);
  if (killDisabled === undefined) malformed('memory.oom_control', 'a line oom_kill_disable', bytes, 0, length);
  return { killDisabled, ...control };
}
