import { CLUSTER } from '../api/queries.js';
import { useQuery } from '../api/use-query.js';
import type { ClusterAnswer, GrowingRow, ProgramRow } from '../api/types.js';
import { Card, Name, Problems, Section, Size } from '../part/basics.js';
import { Exhaustion, GrowthRate } from '../part/growth.js';
import { Heading } from '../part/heading.js';
import { countsInWords, LeakBadge } from '../part/state.js';
import { Table, type Column } from '../part/table.js';
import { bytes, count, counted, percent, toNumber } from '../format.js';
import { href } from '../route.js';
import { NodeTable } from './node-table.js';

const EVERY_MS = 3_000;

/** Which host is short of memory, who takes it, who grows. */
export function ClusterView() {
  const { data, problems, failure, loading } = useQuery<ClusterAnswer>(CLUSTER, {}, EVERY_MS);
  return (
    <>
      <Heading title="Cluster" />
      <Problems problems={problems} failure={data === null ? failure : undefined} />
      <Cards answer={data} />
      <NodeTable />
      <div class="columns">
        <Section title="Who grows">
          <Table
            caption="Processes that grow fastest"
            columns={GROWING}
            rows={(data?.growing.nodes ?? []).filter(({ growth }) => growth !== null && growth.bytesPerHour > 0)}
            keyOf={(row) => row.key}
            empty="Nothing grows."
            loading={loading}
          />
        </Section>
        <Section title="Who takes it">
          <Table
            caption="Programs with the most memory over all nodes"
            columns={PROGRAMS}
            rows={data?.cluster.programs ?? []}
            keyOf={(row) => row.program}
            empty="Nothing is known of any program yet."
            loading={loading}
          />
        </Section>
      </div>
    </>
  );
}

function Cards({ answer }: { answer: ClusterAnswer | null }) {
  const cluster = answer?.cluster;
  const memory = cluster?.memory;
  const total = toNumber(memory?.total);
  const share = (value: number | null) =>
    total && value !== null ? `${percent((value / total) * 100)} of the total` : ' ';
  const swapUsed =
    memory && memory.swapTotal !== null && memory.swapFree !== null
      ? Number(memory.swapTotal) - Number(memory.swapFree)
      : null;
  const open = cluster && cluster.findings.confirmed + cluster.findings.suspected;
  const silent = cluster ? cluster.nodesExpected - cluster.nodesReporting : 0;
  const awaited = cluster?.nodesAwaited.length ?? 0;
  return (
    <dl class="cards" aria-label="Sums over reporting nodes">
      <Card
        title="Nodes reporting"
        note={
          (silent > 0 ? `${counted(silent, 'node')} silent` : 'all that are expected') +
          (awaited > 0 ? `, ${count(awaited)} awaited` : '')
        }
      >
        {cluster ? (
          <>
            {count(cluster.nodesReporting)} <small>of {count(cluster.nodesExpected)}</small>
          </>
        ) : (
          '–'
        )}
      </Card>
      <Card title="Memory" note={swapUsed === null ? 'in all' : `in all; ${bytes(swapUsed)} of swap used`}>
        <Size of={memory?.total} />
      </Card>
      <Card title="Used" note={share(toNumber(memory?.used))}>
        <Size of={memory?.used} />
      </Card>
      <Card title="Available" note={share(toNumber(memory?.available))}>
        <Size of={memory?.available} />
      </Card>
      <Card title="Processes" note="alive">
        {count(cluster?.processes)}
      </Card>
      <Card title="Open findings" note={cluster ? countsInWords(cluster.findings) : ' '}>
        <a href={href.findings()}>{count(open)}</a>
      </Card>
    </dl>
  );
}

const GROWING: Column<GrowingRow>[] = [
  {
    ...{ id: 'program', title: 'Process' },
    cell: (row) => (
      <>
        <a href={href.process(row.key)}>
          <Name text={row.program} />
        </a>{' '}
        <span class="quiet">{row.pid}</span>
        <div class="under">
          <Name text={row.node.id} />
        </div>
      </>
    ),
  },
  { id: 'rss', title: 'RSS', number: true, from: 480, cell: (row) => <Size of={row.memory.rss} /> },
  {
    ...{ id: 'growth', title: 'Growth, exhausted', number: true },
    cell: (row) => (
      <>
        <GrowthRate growth={row.growth} />
        <div class="under">
          <Exhaustion seconds={row.growth?.secondsToExhaustion} />
        </div>
      </>
    ),
  },
  {
    ...{ id: 'leak', title: 'Leak' },
    cell: (row) => <LeakBadge state={row.leak.state} imminent={row.leak.imminent} />,
  },
];

const PROGRAMS: Column<ProgramRow>[] = [
  {
    ...{ id: 'program', title: 'Program' },
    cell: (row) => (
      <a href={href.program(row.program)}>
        <Name text={row.program} />
      </a>
    ),
  },
  {
    ...{ id: 'total', title: 'PSS', means: 'shared pages divided by their users', number: true },
    cell: (row) => <Size of={row.total} />,
  },
  { id: 'processes', title: 'Processes', number: true, cell: (row) => count(row.processes) },
  { id: 'nodes', title: 'Nodes', number: true, cell: (row) => count(row.nodes) },
];
