import type { ProcessRow } from '../api/types.js';
import { percent } from '../format.js';
import { href } from '../route.js';
import { Name, Size } from './basics.js';
import { GrowthRate } from './growth.js';
import { LeakBadge } from './state.js';
import type { Column } from './table.js';

export const PROCESS_FIELDS = ['RSS', 'PSS', 'GROWTH', 'LEAK_SIGNAL', 'CPU_PERCENT', 'PID', 'PROGRAM'] as const;

/** Of one node, or of all with the node's name in front. */
export function processColumns(withNode: boolean): Column<ProcessRow>[] {
  const node: Column<ProcessRow> = {
    id: 'node',
    title: 'Node',
    cell: (row) => (
      <a href={href.node(row.node.id)}>
        <Name text={row.node.id} />
      </a>
    ),
  };
  return [
    ...(withNode ? [node] : []),
    {
      ...{ id: 'program', title: 'Process', sortBy: 'PROGRAM', ascending: true },
      cell: (row) => (
        <>
          <a href={href.process(row.key)}>
            <Name text={row.program} />
          </a>{' '}
          <span class="quiet">{row.pid}</span>
          <div class="under">
            <Name text={row.commandLine ?? ''} />
          </div>
        </>
      ),
    },
    { id: 'user', title: 'User', from: 1000, cell: (row) => <Name text={row.user} /> },
    {
      ...{ id: 'rss', title: 'RSS', means: 'resident memory', sortBy: 'RSS', number: true },
      cell: (row) => <Size of={row.memory.rss} />,
    },
    {
      ...{ id: 'pss', title: 'PSS', means: 'shared pages divided by their users', sortBy: 'PSS', number: true },
      ...{ from: 720 as const },
      cell: (row) => <Size of={row.memory.pss} />,
    },
    {
      ...{ id: 'growth', title: 'Growth', means: 'of anonymous memory + swap', sortBy: 'GROWTH', number: true },
      cell: (row) => <GrowthRate growth={row.growth} />,
    },
    {
      ...{ id: 'cpu', title: 'CPU', means: 'percent of one CPU', sortBy: 'CPU_PERCENT', number: true },
      ...{ from: 720 as const },
      cell: (row) => percent(row.cpu.percent),
    },
    {
      ...{ id: 'leak', title: 'Leak', from: 480 },
      cell: (row) => <LeakBadge state={row.leak.state} imminent={row.leak.imminent} />,
    },
  ];
}
