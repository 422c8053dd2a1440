import { toNumber, type Bytes, type ProcessFields, type ProcessMemory } from '../api/process-fields.js';
import { formatBytesShort, formatGrowth, UNKNOWN } from './figures.js';
import { leakCell } from './leak-cell.js';
import type { Column } from './table.js';

/** The columns of a process in `ps` and `node`. */
export const PROCESS_COLUMNS: readonly Column<ProcessFields>[] = [
  { title: 'PID', align: 'right', cell: (row) => String(row.pid), minWidth: 7 },
  { title: 'USER', cell: (row) => row.user ?? UNKNOWN, maxWidth: 12, priority: 6 },
  { title: 'S', cell: (row) => row.state ?? UNKNOWN, priority: 5 },
  { title: 'PROGRAM', cell: (row) => ({ text: row.program, style: 'strong' }), maxWidth: 20 },
  size('RSS', (memory) => memory.rss),
  size('ANON', (memory) => memory.anonymous, 8),
  size('SWAP', (memory) => memory.swap, 4),
  size('PSS', (memory) => memory.pss, 7),
  size('USS', (memory) => memory.uss, 2),
  size('VMS', (memory) => memory.vms, 1),
  {
    title: 'GROWTH/H',
    align: 'right',
    cell: (row) => formatGrowth(row.growth?.bytesPerHour),
    priority: 9,
  },
  { title: 'LEAK', cell: (row) => leakCell(row.leak), minWidth: 10, priority: 10 },
  {
    title: 'COMMAND',
    cell: (row) => ({ text: row.commandLine ?? `[${row.program}]`, style: 'dim' }),
    flexible: true,
    minWidth: 12,
    priority: 3,
  },
];

function size(title: string, pick: (memory: ProcessMemory) => Bytes, priority?: number): Column<ProcessFields> {
  return {
    title,
    align: 'right',
    minWidth: 6,
    cell: (row) => formatBytesShort(toNumber(pick(row.memory))),
    ...(priority === undefined ? {} : { priority }),
  };
}
