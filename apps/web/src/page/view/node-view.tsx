import { NODE, NODE_SERIES } from '../api/queries.js';
import { useQuery } from '../api/use-query.js';
import type { NodeDetail, Point } from '../api/types.js';
import { bytes, count, duration, percent, toNumber } from '../format.js';
import { Card, Facts, Meter, Name, Problems, Section, Size, Time } from '../part/basics.js';
import { FindingCard } from '../part/finding-card.js';
import { Heading } from '../part/heading.js';
import { ProcessList } from '../part/process-list.js';
import type { Measure } from '../part/scale.js';
import { Series } from '../part/series.js';
import { NodeBadge } from '../part/state.js';
import { href } from '../route.js';
import { Nothing } from './nothing.js';

const EVERY_MS = 2_000;

const METRICS = [
  ['USED', 'Used'],
  ['AVAILABLE', 'Available'],
  ['FREE', 'Free'],
  ['ACTIVE', 'Active'],
  ['INACTIVE', 'Inactive'],
  ['BUFFERS', 'Buffers'],
  ['CACHED', 'Cached'],
  ['SHARED', 'Shared'],
  ['SWAP_USED', 'Swap used'],
  ['PRESSURE_SOME', 'Pressure'],
  ['LOAD_ONE', 'Load'],
] as const;

type Metric = (typeof METRICS)[number][0];

/** One host: what it has, who takes it, how it went. */
export function NodeView({ id }: { id: string }) {
  const { data, problems, failure, loading } = useQuery<{ node: NodeDetail | null }>(NODE, { id }, EVERY_MS);
  const node = data?.node;
  if (!loading && data && !node) return <Nothing title={id} text="No node of this name was ever heard of." />;
  const total = toNumber(node?.memory['total']);
  return (
    <>
      <Heading title={id} over={<a href={href.cluster()}>Cluster</a>}>
        {node && <NodeBadge state={node.state} stale={node.stale} />}
      </Heading>
      <Problems problems={problems} failure={data === null ? failure : undefined} />
      <p class="lead">
        {node ? (
          <>
            {node.state === 'ACTIVE' ? '' : 'These are the last known values. '}
            Last seen <Time at={node.lastSeen} />
            {node.kernel !== null && `, Linux ${node.kernel} on ${node.architecture ?? 'unknown'}`}
            {node.uptime !== null && `, up for ${duration(node.uptime)}`}.
          </>
        ) : (
          '\u00a0'
        )}
      </p>
      <NodeCards node={node ?? null} />
      {node && node.findings.length > 0 && (
        <Section title="Findings">
          {node.findings.map((finding) => (
            <FindingCard key={finding.id} finding={finding} />
          ))}
        </Section>
      )}
      <Series<Metric>
        query={NODE_SERIES}
        variables={{ id }}
        metrics={METRICS}
        measureOf={measureOf}
        lineOf={(metric) =>
          total !== null && (metric === 'USED' || metric === 'AVAILABLE')
            ? { value: total, text: `total ${bytes(total)}` }
            : undefined
        }
        pick={(answer) => (answer as { node: { series: Point[] } | null }).node?.series}
      />
      <ProcessList node={id} />
      {node && <Particulars node={node} />}
    </>
  );
}

function measureOf(metric: Metric): Measure {
  if (metric === 'PRESSURE_SOME') return 'percent';
  return metric === 'LOAD_ONE' ? 'tasks' : 'bytes';
}

function NodeCards({ node }: { node: NodeDetail | null }) {
  const memory = node?.memory ?? {};
  const total = toNumber(memory['total']);
  const used = toNumber(memory['used']);
  const swapTotal = toNumber(memory['swapTotal']);
  const swapFree = toNumber(memory['swapFree']);
  const swapUsed = swapTotal !== null && swapFree !== null ? swapTotal - swapFree : null;
  return (
    <dl class="cards" aria-label="Figures of the node">
      <Card
        title="Used"
        note={
          <>
            of {bytes(memory['total'])}
            <Meter part={used} whole={total} label="Memory used" />
          </>
        }
      >
        <Size of={memory['used']} />
      </Card>
      <Card title="Available" note={total && used !== null ? percent((1 - used / total) * 100) : ' '}>
        <Size of={memory['available']} />
      </Card>
      <Card
        title="Swap used"
        note={
          swapTotal === 0 ? (
            'there is none'
          ) : (
            <>
              of {bytes(swapTotal)}
              <Meter part={swapUsed} whole={swapTotal} label="Swap used" />
            </>
          )
        }
      >
        {bytes(swapUsed)}
      </Card>
      <Card title="Pressure" note={`${percent(node?.pressure?.some.avg60)} over 60 s`}>
        {percent(node?.pressure?.some.avg10)}
      </Card>
      <Card title="Load" note={`of ${count(node?.cpuCount)} CPUs, ${percent(node?.cpu?.busyPercent)} busy`}>
        {node?.load ? node.load.one.toFixed(2) : '–'}
      </Card>
      <Card title="Processes" note={`${count(node?.counters?.oomKills)} killed for memory since boot`}>
        {count(node?.processCount)}
      </Card>
    </dl>
  );
}

function Particulars({ node }: { node: NodeDetail }) {
  const names = ['free', 'active', 'inactive', 'buffers', 'cached', 'shared', 'swapTotal', 'swapFree', 'swapCached'];
  const { missedChunks, droppedChunks } = node.dataLoss;
  return (
    <Section title="Memory in detail">
      <Facts
        rows={[
          ...['total', 'available', 'used', ...names].map(
            (name) => [words(name), <Size of={node.memory[name]} />] as const,
          ),
          ['Host name', <Name text={node.hostname} />],
          ['Booted', <Time at={node.bootedAt} />],
          ['Data lost', missedChunks + (droppedChunks ?? 0) === 0 ? 'none' : `${count(missedChunks)} chunks missed`],
        ]}
      />
      {node.limitations.length > 0 && (
        <>
          <h3>What this host cannot show</h3>
          <ul class="plain">
            {node.limitations.map((line) => (
              <li key={line}>
                <Name text={line} long />
              </li>
            ))}
          </ul>
        </>
      )}
    </Section>
  );
}

/** `swapTotal` → `Swap total`. */
function words(name: string): string {
  const spaced = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return spaced[0]!.toUpperCase() + spaced.slice(1);
}
