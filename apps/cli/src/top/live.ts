import type { ApiClient } from '../api/client.js';
import type { CommandContext } from '../context.js';
import { CliError, Exit } from '../exit-codes.js';
import { fetchSnapshot } from './feed.js';
import { pageRows, renderFrame, type Size } from './frame.js';
import { pressKey, scrollTo, type Key } from './keys.js';
import { initialState, rowsOf, selectedIndex, withSnapshot, type SortName, type TopState } from './model.js';
import { openScreen, type Screen } from './screen.js';

export interface LiveOptions {
  sort?: SortName;
  filter?: string;
  /** Milliseconds between two refreshes. */
  interval: number;
}

/** Rows asked for beyond those in view, so that a little scrolling shows known rows. */
const SPARE_ROWS = 20;
const MOST_ROWS = 200;

/**
 * Shows the node until `q`, or until the context's signal. An API that goes away is said in the picture and asked again;
 * only a denied request or an unknown node ends it.
 *
 * The feed asks instead of subscribing: one request holds everything of a picture, of one moment and in the order that
 * the keys chose, and a request that fails needs no state to be built anew.
 */
export async function runLive(
  context: CommandContext,
  client: ApiClient,
  node: string,
  options: LiveOptions,
): Promise<void> {
  const view = createView(context, client, node, options);
  try {
    await view.ended;
  } finally {
    view.close();
  }
}

interface View {
  /** Resolves when the user or a signal ended it; rejects with what no refresh can mend. */
  readonly ended: Promise<void>;
  close(): void;
}

function createView(context: CommandContext, client: ApiClient, node: string, options: LiveOptions): View {
  let state = initialState(client.address.url, node, options.sort ?? 'rss', options.filter ?? '');
  let end!: () => void;
  let fail!: (error: unknown) => void;
  const ended = new Promise<void>((resolve, reject) => ([end, fail] = [resolve, reject]));
  const closed = new AbortController();
  const screen: Screen = openScreen(process.stdin, process.stdout, context.output.colours, {
    key: (key) => onKey(key),
    resized: () => show(keepMarkInView(state, screen.size())),
  });
  const refresher = createRefresher(async (signal) => {
    if (state.paused) return;
    const asked = { ...state, node: state.node ?? node };
    try {
      const rows = Math.min(MOST_ROWS, asked.offset + pageRows(screen.size()) + SPARE_ROWS);
      const snapshot = await fetchSnapshot(client, asked, rows, signal);
      // Meanwhile another node or filter may have been chosen: then this answer is of no use.
      if (isSameQuestion(asked, state)) show(keepMarkInView(withSnapshot(state, snapshot), screen.size()));
    } catch (error) {
      if (signal.aborted) return;
      const lost = lostBy(error, state);
      if (lost === undefined) fail(error);
      else show(lost);
    }
  }, options.interval);

  function show(next: TopState): void {
    state = next;
    if (!closed.signal.aborted) screen.draw(renderFrame(state, screen.size(), new Date()));
  }
  function onKey(key: Key): void {
    const { state: next, effect } = pressKey(state, key, pageRows(screen.size()));
    show(next);
    if (effect === 'quit') end();
    else if (effect === 'suspend') screen.suspend();
    else if (effect === 'refresh') refresher.now();
  }

  context.signal.addEventListener('abort', () => end(), { once: true, signal: closed.signal });
  show(state);
  refresher.now();
  return {
    ended,
    close() {
      closed.abort();
      refresher.stop();
      screen.close();
    },
  };
}

interface Refresher {
  /** Drops what is under way and begins anew. */
  now(): void;
  stop(): void;
}

/** Runs `refresh` again and again, `interval` after the last began, never twice at once. */
function createRefresher(refresh: (signal: AbortSignal) => Promise<void>, interval: number): Refresher {
  let timer: NodeJS.Timeout | undefined;
  let running: AbortController | undefined;
  const now = (): void => {
    clearTimeout(timer);
    running?.abort();
    const mine = (running = new AbortController());
    const began = performance.now();
    void refresh(mine.signal).then(() => {
      if (mine.signal.aborted) return;
      timer = setTimeout(now, Math.max(0, interval - (performance.now() - began)));
    });
  };
  return {
    now,
    stop() {
      clearTimeout(timer);
      running?.abort();
    },
  };
}

function isSameQuestion(asked: TopState, state: TopState): boolean {
  return (
    asked.node === state.node &&
    asked.filter === state.filter &&
    asked.sort === state.sort &&
    asked.reverse === state.reverse &&
    !state.paused
  );
}

/** The state after a refresh that failed; undefined when asking again would not help. */
function lostBy(error: unknown, state: TopState): TopState | undefined {
  if (!(error instanceof CliError) || error.exit === Exit.Denied || error.exit === Exit.NotFound) return undefined;
  const { connection } = state;
  const since = connection.state === 'lost' ? connection.since : Date.now();
  const why = /\(([^)]*)\)/.exec(error.message)?.[1] ?? error.message;
  return { ...state, connection: { state: 'lost', why, since } };
}

/** Rows can become fewer, move, or the terminal smaller. */
function keepMarkInView(state: TopState, size: Size): TopState {
  const page = pageRows(size);
  const last = Math.max(0, rowsOf(state).length - page);
  const index = selectedIndex(state);
  const bounded = state.offset > last ? { ...state, offset: last } : state;
  return index < 0 ? bounded : scrollTo(bounded, index, page);
}
