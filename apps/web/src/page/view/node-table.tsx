import { NODES } from '../api/queries.js';
import { useQuery } from '../api/use-query.js';
import type { NodeRow, NodesAnswer } from '../api/types.js';
import { count, percent, toNumber } from '../format.js';
import { Meter, Name, Problems, Section, Select, Size, Time } from '../part/basics.js';
import { Pager, usePaging } from '../part/pager.js';
import { SearchField } from '../part/search-field.js';
import { LeakBadge, NodeBadge } from '../part/state.js';
import { Table, type Column } from '../part/table.js';
import { chosen, place, setSearch } from '../place.js';
import { href } from '../route.js';

const PAGE_SIZE = 50;
const EVERY_MS = 3_000;
const FIELDS = ['AVAILABLE_PERCENT', 'ID', 'TOTAL', 'AVAILABLE', 'USED', 'LOAD', 'PROCESSES', 'LAST_SEEN'] as const;
const SHOW = ['ALL', 'SHORT', 'ACTIVE', 'INACTIVE', 'LEFT'] as const;
const SHOWN: readonly (readonly [(typeof SHOW)[number], string])[] = [
  ['ALL', 'All nodes'],
  ['SHORT', 'Short of memory'],
  ['ACTIVE', 'Active'],
  ['INACTIVE', 'Inactive'],
  ['LEFT', 'Left'],
];
/** Percent of the memory that is still available on a node that is short of it. */
const SHORT_PERCENT = 15;

/** The nodes, those short of memory first. */
export function NodeTable() {
  const { search } = place.value;
  const field = chosen('sort', FIELDS);
  const direction = search.get('dir') === 'DESC' ? 'DESC' : 'ASC';
  const show = chosen('show', SHOW);
  const text = search.get('text') ?? '';
  const paging = usePaging(`${field} ${direction} ${show} ${text}`);
  const filter = {
    ...(text !== '' && { text }),
    ...(show === 'SHORT' && { maxAvailablePercent: SHORT_PERCENT }),
    ...(show !== 'SHORT' && show !== 'ALL' && { state: [show] }),
  };
  const variables = { filter, orderBy: { field, direction }, first: PAGE_SIZE, after: paging.after };
  const { data, problems, loading } = useQuery<NodesAnswer>(NODES, variables, EVERY_MS);
  const tools = (
    <div class="tools">
      <Select label="Show" value={show} options={SHOWN} onChoose={(one) => setSearch({ show: one })} />
      <SearchField label="Filter nodes" value={text} onSearch={(value) => setSearch({ text: value })} />
    </div>
  );
  return (
    <Section title="Nodes" aside={tools}>
      <Table
        caption="Nodes of the cluster"
        columns={COLUMNS}
        rows={data?.nodes.nodes ?? []}
        keyOf={(row) => row.id}
        sort={{ field, direction }}
        onSort={(sort) => setSearch({ sort: sort.field, dir: sort.direction })}
        empty="No node matches."
        loading={loading}
        rowClass={(row) => (row.state === 'ACTIVE' ? '' : 'silent')}
      />
      <Pager
        paging={paging}
        pageSize={PAGE_SIZE}
        shown={data?.nodes.nodes.length ?? 0}
        total={data?.nodes.totalCount ?? null}
        pageInfo={data?.nodes.pageInfo}
        what={['node', 'nodes']}
      />
      <Problems problems={problems} />
    </Section>
  );
}

const COLUMNS: Column<NodeRow>[] = [
  {
    ...{ id: 'node', title: 'Node', sortBy: 'ID', ascending: true },
    cell: (row) => (
      <>
        <a href={href.node(row.id)}>
          <Name text={row.id} />
        </a>
        {row.hostname !== row.id && (
          <div class="under">
            <Name text={row.hostname} />
          </div>
        )}
      </>
    ),
  },
  { id: 'state', title: 'State', cell: (row) => <NodeBadge state={row.state} stale={row.stale} /> },
  {
    ...{ id: 'used', title: 'Memory', means: 'used of total; sorted by the share available' },
    ...{ sortBy: 'AVAILABLE_PERCENT', ascending: true },
    cell: (row) => (
      <div class="memory-cell">
        <Meter part={toNumber(row.memory.used)} whole={toNumber(row.memory.total)} label={`Memory used of ${row.id}`} />
        <span class="under">
          <Size of={row.memory.used} /> of <Size of={row.memory.total} />
        </span>
      </div>
    ),
  },
  {
    ...{ id: 'available', title: 'Available', sortBy: 'AVAILABLE', ascending: true, number: true, from: 480 },
    cell: (row) => <Size of={row.memory.available} />,
  },
  {
    ...{ id: 'pressure', title: 'Pressure', means: 'share of the last 10 s in which tasks waited for memory' },
    ...{ number: true, from: 720 as const },
    cell: (row) => percent(row.pressure?.some.avg10),
  },
  {
    ...{ id: 'load', title: 'Load', means: 'tasks over 1 minute, of CPUs', sortBy: 'LOAD', number: true, from: 720 },
    cell: (row) => (
      <>
        {row.load ? row.load.one.toFixed(2) : '–'}
        {row.cpuCount !== null && <span class="quiet"> / {row.cpuCount}</span>}
      </>
    ),
  },
  {
    ...{ id: 'processes', title: 'Processes', sortBy: 'PROCESSES', number: true, from: 1000 },
    cell: (row) => count(row.processCount),
  },
  {
    ...{ id: 'top', title: 'Largest process', from: 1000 },
    cell: (row) => {
      const [top] = row.top.nodes;
      if (!top) return '–';
      return (
        <>
          <a href={href.process(top.key)}>
            <Name text={top.program} />
          </a>{' '}
          <span class="quiet">
            <Size of={top.memory.rss} />
          </span>
        </>
      );
    },
  },
  {
    ...{ id: 'findings', title: 'Findings', from: 720 },
    cell: (row) => {
      const [worst] = row.findings.toSorted((a, b) => badness(b) - badness(a));
      return worst ? <LeakBadge state={worst.state} imminent={worst.imminent} /> : <span class="quiet">none</span>;
    },
  },
  {
    ...{ id: 'seen', title: 'Last seen', sortBy: 'LAST_SEEN', ascending: true, from: 480 },
    cell: (row) => <Time at={row.lastSeen} />,
  },
];

function badness({ state, imminent }: NodeRow['findings'][number]): number {
  return (imminent ? 10 : 0) + ['GROWING', 'SUSPECTED', 'CONFIRMED'].indexOf(state);
}
