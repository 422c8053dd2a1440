import { useEffect } from 'preact/hooks';
import { alerts } from './api/alerts.js';
import { STATUS } from './api/queries.js';
import { clockAhead, token } from './api/session.js';
import type { FindingCounts } from './api/types.js';
import { useQuery } from './api/use-query.js';
import { count, counted } from './format.js';
import { Alerts } from './part/alerts.js';
import { Connection } from './part/connection.js';
import { TokenForm } from './part/token-form.js';
import { place } from './place.js';
import { href, type Route } from './route.js';
import { ClusterView } from './view/cluster-view.js';
import { FindingsView, FindingView } from './view/findings-view.js';
import { NodeView } from './view/node-view.js';
import { Nothing } from './view/nothing.js';
import { PidView, ProcessView } from './view/process-view.js';
import { ProgramView } from './view/program-view.js';

const EVERY_MS = 5_000;

interface StatusAnswer {
  cluster: { version: string; now: string; nodesReporting: number; nodesExpected: number; findings: FindingCounts };
}

export function App() {
  const { route } = place.value;
  return (
    <>
      <button type="button" class="skip" onClick={() => document.querySelector<HTMLElement>('main')?.focus()}>
        Skip to the content
      </button>
      <Header route={route} />
      <Connection />
      <TokenForm />
      <main tabIndex={-1} class={alerts.value.length > 0 ? 'alerted' : ''}>
        <View key={keyOf(route)} route={route} />
      </main>
      <Alerts />
    </>
  );
}

/** Another subject is another view with nothing of the last one in it. */
function keyOf(route: Route): string {
  return JSON.stringify(route);
}

function View({ route }: { route: Route }) {
  switch (route.view) {
    case 'cluster':
      return <ClusterView />;
    case 'node':
      return <NodeView id={route.node} />;
    case 'process':
      return <ProcessView processKey={route.key} />;
    case 'pid':
      return <PidView node={route.node} pid={route.pid} />;
    case 'findings':
      return route.id === undefined ? <FindingsView /> : <FindingView id={route.id} />;
    case 'program':
      return <ProgramView program={route.program} />;
    default:
      return <Nothing title="No such page" text={`There is nothing at ${route.path}.`} />;
  }
}

function Header({ route }: { route: Route }) {
  const { data } = useQuery<StatusAnswer>(STATUS, {}, EVERY_MS);
  const now = data?.cluster.now;
  useEffect(() => {
    if (now !== undefined) clockAhead.value = Date.parse(now) - Date.now();
  }, [now]);
  const alarming = data ? data.cluster.findings.suspected + data.cluster.findings.confirmed : 0;
  const current = (view: Route['view']) => (route.view === view ? 'page' : undefined);
  return (
    <header class="top">
      <a class="brand" href={href.cluster()}>
        <img src="./favicon.svg" alt="" width="24" height="24" />
        Tidemark
      </a>
      <nav aria-label="Views">
        <a href={href.cluster()} aria-current={current('cluster')}>
          Cluster
        </a>
        <a href={href.findings()} aria-current={current('findings')}>
          Findings
          {alarming > 0 && (
            <span class="count" title="suspected and confirmed">
              {count(alarming)}
              <span class="unseen"> suspected or confirmed</span>
            </span>
          )}
        </a>
      </nav>
      <span class="quiet version">
        {data ? `${count(data.cluster.nodesReporting)} of ${counted(data.cluster.nodesExpected, 'node')}` : ''}
      </span>
      {token.value !== '' && <TokenForm.Forget />}
    </header>
  );
}
