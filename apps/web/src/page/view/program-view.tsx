import { PROGRAM, PROGRAM_SERIES } from '../api/queries.js';
import { useQuery } from '../api/use-query.js';
import type { Aggregate, Point } from '../api/types.js';
import { bytes, count, counted, toNumber } from '../format.js';
import { Card, Meter, Name, Problems, Section, Size } from '../part/basics.js';
import { Heading } from '../part/heading.js';
import { ProcessList } from '../part/process-list.js';
import { Series } from '../part/series.js';
import { Table, type Column } from '../part/table.js';
import { chosen } from '../place.js';
import { href } from '../route.js';

const EVERY_MS = 3_000;

const METRICS = [
  ['PSS', 'PSS'],
  ['RSS', 'RSS'],
  ['USS', 'USS'],
  ['LEAK_SIGNAL', 'Anonymous + swap'],
  ['SWAP', 'Swap'],
] as const;

type Share = Aggregate['byNode'][number];

/** What a program takes over all nodes, and how complete the sum is. */
export function ProgramView({ program }: { program: string }) {
  const metric = chosen(
    'metric',
    METRICS.map(([one]) => one),
  );
  const name = METRICS.find(([one]) => one === metric)?.[1] ?? metric;
  const { data, problems, failure, loading } = useQuery<{ clusterAggregate: Aggregate }>(
    PROGRAM,
    { program, metric },
    EVERY_MS,
  );
  const sum = data?.clusterAggregate;
  return (
    <>
      <Heading title={program} over={<a href={href.cluster()}>Cluster</a>} />
      <Problems problems={problems} failure={data === null ? failure : undefined} />
      <Sums sum={sum} name={name} />
      <Series
        query={PROGRAM_SERIES}
        variables={{ program }}
        metrics={METRICS}
        pick={(answer) => (answer as { clusterAggregate: { series: Point[] } }).clusterAggregate.series}
      />
      <Section title="By node">
        <Table
          caption={`${name} of ${program} by node`}
          columns={columnsOf(toNumber(sum?.byNode[0]?.total))}
          rows={sum?.byNode ?? []}
          keyOf={(row) => row.node.id}
          empty="Runs on no node that answers."
          loading={loading}
        />
      </Section>
      <ProcessList program={program} />
    </>
  );
}

function Sums({ sum, name }: { sum: Aggregate | undefined; name: string }) {
  return (
    <>
      <p class="lead">
        {sum ? (
          <>
            {name} of {counted(sum.processes, 'process', 'processes')}; {count(sum.nodesReporting)} of{' '}
            {counted(sum.nodesExpected, 'node')} answered.
            {sum.measured < sum.processes &&
              ` Known of ${count(sum.measured)}; the others have ${bytes(sum.unmeasuredRss)} of RSS, so the true total is at most ${bytes(Number(sum.total) + Number(sum.unmeasuredRss))}.`}
          </>
        ) : (
          '\u00a0'
        )}
      </p>
      <dl class="cards" aria-label="Sums over the cluster">
        <Card title="Total" note={name}>
          <Size of={sum?.total} />
        </Card>
        <Card title="Nodes" note="answered">
          {count(sum?.nodesReporting)} <small>of {count(sum?.nodesExpected)}</small>
        </Card>
        <Card title="Processes" note={`known of ${count(sum?.measured)}`}>
          {count(sum?.processes)}
        </Card>
        <Card title="Largest" note="one process">
          <Size of={sum?.max} />
        </Card>
        <Card title="Mean" note={`95 % below ${bytes(sum?.p95)}`}>
          <Size of={sum?.mean === null || sum?.mean === undefined ? null : Math.round(sum.mean)} />
        </Card>
      </dl>
    </>
  );
}

function columnsOf(largest: number | null): Column<Share>[] {
  return [
    {
      ...{ id: 'node', title: 'Node' },
      cell: (row) => (
        <a href={href.node(row.node.id)}>
          <Name text={row.node.id} />
        </a>
      ),
    },
    {
      ...{ id: 'share', title: 'Share', from: 480 },
      cell: (row) => (
        <div class="share">
          <Meter plain part={toNumber(row.total)} whole={largest} label={`Share of ${row.node.id}, of the largest`} />
        </div>
      ),
    },
    { id: 'total', title: 'Total', number: true, cell: (row) => <Size of={row.total} /> },
    { id: 'processes', title: 'Processes', number: true, cell: (row) => count(row.processes) },
    { id: 'max', title: 'Largest', number: true, cell: (row) => <Size of={row.max} /> },
  ];
}
