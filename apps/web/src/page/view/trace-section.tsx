import { useState } from 'preact/hooks';
import { ask } from '../api/ask.js';
import { START_TRACE, STOP_TRACE, TRACE } from '../api/queries.js';
import { useQuery } from '../api/use-query.js';
import type { Frame, ProcessDetail, Site, Trace } from '../api/types.js';
import { bytes, count, counted, percent, rate, visible } from '../format.js';
import { Choice, Facts, Name, Problems, Section, Size, Time } from '../part/basics.js';
import { LeakBadge } from '../part/state.js';
import { Table, type Column } from '../part/table.js';

const EVERY_MS = 2_000;
const FIRST = 20;

type Mode = 'SAMPLED' | 'EXACT';

const MODES = [
  ['SAMPLED', 'Sampled'],
  ['EXACT', 'Exact'],
] as const;

const STATES: Readonly<Record<Trace['state'], string>> = {
  REQUESTED: 'asked for; the node has not answered yet',
  ACTIVE: 'running',
  STOPPED: 'stopped',
  ENDED: 'ended with the process',
  REFUSED: 'refused',
  EXPIRED: 'the node did not answer in time',
};

/** Which call stacks allocate what is never freed. */
export function TraceSection({ process }: { process: ProcessDetail }) {
  const { data, problems, refresh } = useQuery<{ processByKey: { trace: Trace | null } | null }>(
    TRACE,
    { key: process.key, first: FIRST },
    EVERY_MS,
  );
  const trace = data?.processByKey?.trace ?? null;
  const alive = process.exitedAt === null && process.node.state === 'ACTIVE';
  return (
    <Section
      title="Allocation trace"
      aside={alive ? <Switch process={process} trace={trace} onDone={refresh} /> : null}
    >
      {trace === null ? (
        <p class="quiet">
          {alive ? 'Not traced yet. Start it to see which call stacks allocate what is never freed.' : 'Never traced.'}
        </p>
      ) : (
        <TraceDetail trace={trace} />
      )}
      <Problems problems={problems} />
    </Section>
  );
}

function Switch(props: { process: ProcessDetail; trace: Trace | null; onDone(): void }) {
  const [mode, setMode] = useState<Mode>('SAMPLED');
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | undefined>(undefined);
  const running = props.trace?.state === 'ACTIVE' || props.trace?.state === 'REQUESTED';
  const send = async (mutation: string) => {
    setBusy(true);
    try {
      const { node, pid } = props.process;
      const variables = { node: node.id, pid, ...(mutation === START_TRACE && { mode }) };
      const { problems } = await ask(mutation, variables);
      setFailure(problems[0]?.message);
    } catch (error) {
      setFailure((error as Error).message);
    } finally {
      setBusy(false);
      props.onDone();
    }
  };
  return (
    <div class="tools">
      <Choice label="Mode" name="mode" value={mode} options={MODES} onChoose={(one) => setMode(one)} />
      <button type="button" disabled={busy} onClick={() => void send(START_TRACE)}>
        {running ? 'Change' : 'Start trace'}
      </button>
      <button type="button" disabled={busy || !running} onClick={() => void send(STOP_TRACE)}>
        Stop trace
      </button>
      {failure !== undefined && (
        <span class="failure" role="alert">
          {failure}
        </span>
      )}
    </div>
  );
}

function TraceDetail({ trace }: { trace: Trace }) {
  const error = trace.standardError ? ` ± ${bytes(trace.standardError.liveBytes)}` : '';
  const means = trace.means === 'UPROBES' ? ', kernel probes' : trace.means === 'LIBRARY' ? ', library' : '';
  return (
    <>
      <Facts
        rows={[
          ['State', STATES[trace.state] ?? trace.state],
          ['Mode', `${trace.mode.toLowerCase()}${means}`],
          ['Since', <Time at={trace.startedAt} />],
          ['Live', `${bytes(trace.liveBytes)}${error}`],
          ['Blocks', count(trace.liveCount)],
          ['Allocated', <Size of={trace.allocatedBytes} />],
          ['Explained', trace.explained === null ? '–' : `${percent(trace.explained * 100)} of anonymous memory`],
          ['Lost', trace.dropped === 0 ? 'nothing' : counted(trace.dropped, 'call')],
        ]}
      />
      <Caveats trace={trace} />
      {trace.sites.length > 0 && (
        <>
          <h3>
            Sites{' '}
            <span class="quiet">
              worst first, {count(trace.sites.length)} of {count(trace.sitesTotal)}
            </span>
          </h3>
          <ol class="sites">
            {trace.sites.map((site) => (
              <SiteCard key={site.id} site={site} />
            ))}
          </ol>
        </>
      )}
      {trace.atRisk.length > 0 && (
        <details class="at-risk">
          <summary>
            Blocks at risk: {count(trace.atRisk.length)} of {count(trace.atRiskTotal)} that live for more than 5 s
          </summary>
          <Table
            caption="Blocks that no free was seen of"
            columns={AT_RISK}
            rows={trace.atRisk}
            keyOf={(row) => `${row.address} ${row.time}`}
            empty="None."
          />
        </details>
      )}
    </>
  );
}

function Caveats({ trace }: { trace: Trace }) {
  if (trace.reason === null && trace.warnings.length === 0 && !trace.partial) return null;
  return (
    <ul class="plain warnings">
      {trace.reason !== null && (
        <li>
          <Name text={trace.reason} long />
        </li>
      )}
      {trace.warnings.map((line) => (
        <li key={line}>
          <Name text={line} long />
        </li>
      ))}
      {trace.partial && <li>Some sites may be missing; within a minute all are named again.</li>}
    </ul>
  );
}

const AT_RISK: Column<Trace['atRisk'][number]>[] = [
  { id: 'time', title: 'Allocated', cell: (row) => <Time at={row.time} /> },
  { id: 'size', title: 'Size', number: true, cell: (row) => <Size of={row.size} /> },
  { id: 'address', title: 'Address', from: 480, cell: (row) => <code>{visible(row.address)}</code> },
  { id: 'caller', title: 'Caller', cell: (row) => <Name text={row.caller} /> },
];

function SiteCard({ site }: { site: Site }) {
  const [top] = site.frames;
  return (
    <li class="site">
      <div class="site-head">
        <LeakBadge state={site.verdict} />
        <strong>
          <Name text={top ? nameOf(top) : 'stack not known yet'} />
        </strong>
        <span>
          <Size of={site.liveBytes} /> in {counted(site.liveCount, 'block')}
        </span>
        {site.bytesPerHour !== null && (
          <span title={`95 %: ${rate(site.low)} to ${rate(site.high)}`}>{rate(site.bytesPerHour)}</span>
        )}
      </div>
      {site.message !== null && (
        <p class="quiet">
          <Name text={site.message} long />
        </p>
      )}
      <details>
        <summary>Call stack</summary>
        <ol class="stack">
          {site.frames.map((frame, at) => (
            <li key={at}>
              <code>
                <Name text={nameOf(frame)} long />
              </code>{' '}
              <span class="quiet">
                <Name text={placeOf(frame)} long />
              </span>
            </li>
          ))}
          {site.truncated && <li class="quiet">… the stack goes on</li>}
        </ol>
      </details>
    </li>
  );
}

function nameOf({ function: name, module, offset, inlined }: Frame): string {
  const base = module?.split('/').at(-1) ?? 'generated code';
  return `${name ?? `${base}+${offset}`}${inlined ? ' (inlined)' : ''}`;
}

function placeOf({ file, line, module }: Frame): string {
  if (file !== null) return line === null ? file : `${file}:${line}`;
  return module ?? '';
}
