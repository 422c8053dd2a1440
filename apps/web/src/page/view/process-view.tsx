import { useEffect } from 'preact/hooks';
import { PROCESS, PROCESS_KEY, PROCESS_SERIES } from '../api/queries.js';
import { useQuery } from '../api/use-query.js';
import type { Point, ProcessDetail } from '../api/types.js';
import { bytes, count, duration, percent, rate } from '../format.js';
import { Card, Facts, Name, Problems, Section, Size, Time } from '../part/basics.js';
import { FindingCard } from '../part/finding-card.js';
import { Exhaustion, intervalOf } from '../part/growth.js';
import { Heading } from '../part/heading.js';
import { Series } from '../part/series.js';
import { LeakBadge } from '../part/state.js';
import { href } from '../route.js';
import { Nothing } from './nothing.js';
import { TraceSection } from './trace-section.js';

const EVERY_MS = 2_000;

const METRICS = [
  ['LEAK_SIGNAL', 'Anonymous + swap'],
  ['RSS', 'RSS'],
  ['PSS', 'PSS'],
  ['USS', 'USS'],
  ['ANONYMOUS', 'Anonymous'],
  ['FILE', 'File'],
  ['SHARED', 'Shared'],
  ['SWAP', 'Swap'],
  ['DATA', 'Data'],
  ['DIRTY', 'Dirty'],
  ['VMS', 'Virtual size'],
] as const;

/** One process, from its start to its exit. */
export function ProcessView({ processKey }: { processKey: string }) {
  const { data, problems, failure, loading } = useQuery<{ processByKey: ProcessDetail | null }>(
    PROCESS,
    { key: processKey },
    EVERY_MS,
  );
  const process = data?.processByKey;
  if (!loading && data && !process && problems.length === 0) {
    return <Nothing title="Process" text="Nothing remembers this process: it ended, and its history has expired." />;
  }
  if (!process) {
    return (
      <>
        <Heading title="Process" />
        <Problems problems={problems} failure={failure} />
      </>
    );
  }
  return (
    <>
      <ProcessHeading key={process.key} process={process} />
      <Problems problems={problems} />
      <p class="lead command">
        <Name text={process.commandLine ?? 'no command line: a kernel thread, or not to be read'} long />
      </p>
      {process.node.state !== 'ACTIVE' && process.exitedAt === null && (
        <p class="lead">Its node is silent: these are the last known values.</p>
      )}
      <ProcessCards process={process} />
      {process.findings.length > 0 && (
        <Section title="Findings">
          {process.findings.map((finding) => (
            <FindingCard key={finding.id} finding={finding} />
          ))}
        </Section>
      )}
      <Series
        query={PROCESS_SERIES}
        variables={{ key: processKey }}
        metrics={METRICS}
        pick={(answer) => (answer as { processByKey: { series: Point[] } | null }).processByKey?.series}
      />
      <TraceSection process={process} />
      <Particulars process={process} />
      <Children process={process} />
    </>
  );
}

function ProcessHeading({ process }: { process: ProcessDetail }) {
  return (
    <Heading
      title={`${process.program} (${process.pid})`}
      over={
        <>
          <a href={href.cluster()}>Cluster</a> ›{' '}
          <a href={href.node(process.node.id)}>
            <Name text={process.node.id} />
          </a>
        </>
      }
    >
      <LeakBadge state={process.leak.state} imminent={process.leak.imminent} />
      {process.exitedAt !== null && <span class="badge quiet">exited</span>}
    </Heading>
  );
}

function ProcessCards({ process }: { process: ProcessDetail }) {
  const { growth, leak, memory } = process;
  const learning = growth?.source === 'RECENT' ? ' (still learning)' : '';
  return (
    <dl class="cards" aria-label="Figures of the process">
      <Card title="RSS" note="resident">
        <Size of={memory['rss']} />
      </Card>
      <Card title="PSS" note={`USS ${bytes(memory['uss'])}`}>
        <Size of={memory['pss']} />
      </Card>
      <Card title="Growth" note={growth ? `${rate(growth.low)} to ${rate(growth.high)}${learning}` : 'not known yet'}>
        <span title={growth ? intervalOf(growth) : undefined}>{rate(growth?.bytesPerHour)}</span>
      </Card>
      <Card title="Exhausted" note="at the fastest of the interval">
        <Exhaustion seconds={growth?.secondsToExhaustion} />
      </Card>
      <Card
        title="Leak"
        note={
          <>
            {leak.confidence !== null && `${Math.round(leak.confidence * 100)} % sure`}
            {leak.since !== null && (
              <>
                , since <Time at={leak.since} />
              </>
            )}
          </>
        }
      >
        <LeakBadge state={leak.state} imminent={leak.imminent} />
      </Card>
      <Card
        title="CPU"
        note={process.threads === null ? 'of one CPU' : `of one CPU, ${count(process.threads)} threads`}
      >
        {percent(process.cpu.percent)}
      </Card>
    </dl>
  );
}

const MEMORY: readonly (readonly [string, string])[] = [
  ['rss', 'RSS'],
  ['pss', 'PSS'],
  ['uss', 'USS'],
  ['anonymous', 'Anonymous'],
  ['file', 'File'],
  ['shmem', 'Shared memory'],
  ['swap', 'Swap'],
  ['shared', 'Shared'],
  ['text', 'Text'],
  ['data', 'Data'],
  ['lib', 'Libraries'],
  ['dirty', 'Dirty'],
  ['vms', 'Virtual size'],
];

function Particulars({ process }: { process: ProcessDetail }) {
  const { parent, cpu, faults } = process;
  const cpuTime = cpu.user === null || cpu.system === null ? null : (cpu.user + cpu.system) / 1000;
  return (
    <Section title="In detail">
      <Facts
        rows={[
          ...MEMORY.map(([name, text]) => [text, <Size of={process.memory[name]} />] as const),
          [
            'Program',
            <a href={href.program(process.program)}>
              <Name text={process.program} />
            </a>,
          ],
          ['Service', <Name text={process.service} />],
          ['User', <Name text={process.user} />],
          ['Control group', <Name text={process.cgroup} />],
          ['State', process.state ?? '–'],
          ['Started', <Time at={process.startedAt} />],
          ['Exited', process.exitedAt === null ? 'no' : <Time at={process.exitedAt} />],
          ['CPU time', duration(cpuTime)],
          ['Page faults', `${count(faults.minor)} minor, ${count(faults.major)} major`],
          [
            'Parent',
            parent ? (
              <a href={href.process(parent.key)}>
                <Name text={parent.program} /> ({parent.pid})
              </a>
            ) : (
              (process.ppid ?? '–')
            ),
          ],
        ]}
      />
    </Section>
  );
}

function Children({ process }: { process: ProcessDetail }) {
  if (process.children.length === 0) return null;
  return (
    <Section title="Children">
      <ul class="plain children">
        {process.children.map((child) => (
          <li key={child.key}>
            <a href={href.process(child.key)}>
              <Name text={child.program} /> ({child.pid})
            </a>{' '}
            <span class="quiet">
              <Size of={child.memory.rss} />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** The living process of a pid: goes on to its own address. */
export function PidView({ node, pid }: { node: string; pid: number }) {
  const { data, problems, failure, loading } = useQuery<{ process: { key: string } | null }>(
    PROCESS_KEY,
    { node, pid },
    EVERY_MS,
  );
  const key = data?.process?.key;
  useEffect(() => {
    if (key !== undefined) location.replace(href.process(key));
  }, [key]);
  if (!loading && data && key === undefined && problems.length === 0) {
    return <Nothing title={`${pid} on ${node}`} text="No process with this pid is alive there." />;
  }
  return <Problems problems={problems} failure={failure} />;
}
