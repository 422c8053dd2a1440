import { useState } from 'preact/hooks';
import { ask } from '../api/ask.js';
import { putAway } from '../api/alerts.js';
import { ACKNOWLEDGE } from '../api/queries.js';
import { epoch } from '../api/session.js';
import type { Finding } from '../api/types.js';
import { count, rate } from '../format.js';
import { href } from '../route.js';
import { Facts, Name, Size, Time } from './basics.js';
import { Exhaustion, intervalOf } from './growth.js';
import { LeakBadge } from './state.js';

const KINDS: Readonly<Record<Finding['kind'], string>> = {
  PROCESS_LEAK: 'leak of a process',
  SERVICE_LEAK: 'leak of a service, over restarts',
  EXHAUSTION: 'memory runs out',
  SITE_LEAK: 'leak of a place in the code',
};

/** One finding with its evidence, and the way to acknowledge it. */
export function FindingCard({ finding }: { finding: Finding }) {
  const { growth, acknowledgement } = finding;
  return (
    <article class={`finding ${toneOf(finding)}`} aria-label={`Finding on ${finding.program ?? finding.service}`}>
      <header>
        <LeakBadge state={finding.state} imminent={finding.imminent} />
        <h3>
          <Subject finding={finding} />
        </h3>
        <span class="quiet">
          since <Time at={finding.openedAt} />
        </span>
      </header>
      <p class="message">
        <Name text={finding.message} long />
      </p>
      <Facts
        rows={[
          ['Kind', KINDS[finding.kind] ?? finding.kind],
          ['Now', <Size of={finding.bytes} />],
          ['Growth', growth ? <span title={intervalOf(growth)}>{rate(growth.bytesPerHour)}</span> : '–'],
          ['Exhausted', <Exhaustion seconds={finding.secondsToExhaustion} />],
          ['Limit', <Size of={finding.limit} />],
          ['State since', <Time at={finding.at} />],
          ['Confidence', `${Math.round(finding.confidence * 100)} %`],
        ]}
      />
      <div class="finding-foot">
        {acknowledgement ? (
          <p class="acknowledged">
            Acknowledged <Time at={acknowledgement.at} />
            {acknowledgement.note !== null && (
              <>
                : <Name text={acknowledgement.note} long />
              </>
            )}
          </p>
        ) : (
          <Acknowledge finding={finding} />
        )}
        {finding.evidence.length > 0 && (
          <details>
            <summary>Evidence</summary>
            <Facts rows={finding.evidence.map(({ name, value }) => [name, evidence(value)] as const)} />
          </details>
        )}
      </div>
    </article>
  );
}

export function Subject({ finding }: { finding: Finding }) {
  const { processKey, program, pid, service, nodeId } = finding;
  return (
    <>
      {processKey === null ? (
        <Name text={program ?? service} />
      ) : (
        <a href={href.process(processKey)}>
          <Name text={program ?? service} />
          {pid !== null && ` (pid ${pid})`}
        </a>
      )}{' '}
      on{' '}
      <a href={href.node(nodeId)}>
        <Name text={nodeId} />
      </a>
    </>
  );
}

function Acknowledge({ finding }: { finding: Finding }) {
  const [note, setNote] = useState('');
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | undefined>(undefined);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const { problems } = await ask(ACKNOWLEDGE, { id: finding.id, note: note.trim() === '' ? null : note.trim() });
      setFailure(problems[0]?.message);
      if (problems.length > 0) return;
      putAway(finding.id);
      epoch.value++;
    } catch (error) {
      setFailure((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="acknowledge" onSubmit={(event) => void submit(event)}>
      <label class="field">
        <span class="unseen">Note on the finding</span>
        <input
          type="text"
          placeholder="Note, if any"
          value={note}
          maxLength={1000}
          onInput={(event) => setNote(event.currentTarget.value)}
        />
      </label>
      <button type="submit" disabled={busy}>
        Acknowledge
      </button>
      {failure !== undefined && (
        <span class="failure" role="alert">
          {failure}
        </span>
      )}
    </form>
  );
}

export function toneOf({ state, imminent }: Finding): string {
  if (imminent || state === 'CONFIRMED') return 'bad';
  return state === 'SUSPECTED' ? 'warn' : state === 'CLEARED' ? 'quiet' : 'info';
}

function evidence(value: number | null): string {
  if (value === null) return '–';
  return Number.isInteger(value) ? count(value) : value.toPrecision(4);
}
