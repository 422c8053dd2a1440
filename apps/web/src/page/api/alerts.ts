import { effect, signal } from '@preact/signals';
import { createClient, type Client } from 'graphql-ws/client';
import { API_URL, ask } from './ask.js';
import { FINDINGS, LEAK_SUSPECTED } from './queries.js';
import { deafSince, epoch, token, tokenWanted } from './session.js';
import type { Connection, Finding } from './types.js';

/** Findings that came while the page was open and nobody put away yet, newest first. */
export const alerts = signal<readonly Finding[]>([]);

const FORBIDDEN = 4403;
const LONGEST_WAIT_MS = 10_000;
const CAUGHT_UP = 100;
const KEPT = 50;

/** What was told of each finding, so that a new connection tells nothing twice. */
const told = new Map<string, string>();

export function putAway(id: string): void {
  alerts.value = alerts.value.filter((one) => one.id !== id);
}

export function putAllAway(): void {
  alerts.value = [];
}

/** Listens from now on; connects anew by itself, with the token as it is then. */
export function listenForAlerts(): void {
  let first = true;
  effect(() => {
    const listening = listen(token.value, () => {
      void catchUp(first);
      first = false;
    });
    return () => listening.end();
  });
}

interface Listening {
  end(): void;
}

function listen(shown: string, onConnected: () => void): Listening {
  const url = new URL(API_URL);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const client = createClient({
    url: url.href,
    lazy: false,
    connectionParams: shown === '' ? {} : { token: shown },
    retryAttempts: Infinity,
    shouldRetry: (why) => (why as Partial<CloseEvent>).code !== FORBIDDEN,
    retryWait: (retries) => {
      const ms = Math.min(LONGEST_WAIT_MS, 500 * 2 ** retries);
      return new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random() / 2)));
    },
    keepAlive: 15_000,
    onNonLazyError: () => undefined,
    on: {
      connected: () => {
        deafSince.value = undefined;
        onConnected();
      },
      closed: (event) => {
        const { code, reason } = event as CloseEvent;
        if (code === FORBIDDEN) tokenWanted.value = reason;
        else if (code !== 1000) deafSince.value ??= Date.now();
      },
    },
  });
  return { end: keepSubscribed(client) };
}

/** A server that stops says that the stream is complete, and the next one knows nothing of it. */
function keepSubscribed(client: Client): () => void {
  let ended = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const again = () => {
    if (!ended) timer = setTimeout(subscribe, 1_000);
  };
  const subscribe = () => {
    const next = ({ data }: { data?: { leakSuspected: Finding } | null }) => {
      if (!data) return;
      tell(data.leakSuspected);
      epoch.value++;
    };
    client.subscribe<{ leakSuspected: Finding }>({ query: LEAK_SUSPECTED }, { next, error: again, complete: again });
  };
  subscribe();
  return () => {
    ended = true;
    clearTimeout(timer);
    void client.dispose();
  };
}

/** What was found while nobody listened; at the first time it is no news. */
async function catchUp(silently: boolean): Promise<void> {
  const filter = { states: ['SUSPECTED', 'CONFIRMED'] };
  const answer = await ask<{ findings: Connection<Finding> }>(FINDINGS, { filter, first: CAUGHT_UP }).catch(() => null);
  for (const finding of answer?.data?.findings.nodes.toReversed() ?? []) {
    if (silently) told.set(finding.id, stateOf(finding));
    else tell(finding);
  }
}

function tell(finding: Finding): void {
  if (told.get(finding.id) === stateOf(finding)) return;
  told.set(finding.id, stateOf(finding));
  alerts.value = [finding, ...alerts.value.filter((one) => one.id !== finding.id)].slice(0, KEPT);
}

function stateOf({ state, imminent }: Finding): string {
  return imminent ? `${state} imminent` : state;
}
