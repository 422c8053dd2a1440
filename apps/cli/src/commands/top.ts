import { hostname } from 'node:os';
import { Command } from 'commander';
import type { ApiClient } from '../api/client.js';
import { addCommonOptions, apiClient, optionsOf, type CommandContext } from '../context.js';
import { Exit } from '../exit-codes.js';
import { nonEmpty, oneOf, wholeNumber, type CommonOptions } from '../options.js';
import { chooseNode, fetchSnapshot } from '../top/feed.js';
import { renderOnce } from '../top/frame.js';
import { runLive } from '../top/live.js';
import { initialState, SORT_KEYS, withSnapshot, type SortName } from '../top/model.js';

export interface TopOptions {
  node?: string;
  sort?: SortName;
  filter?: string;
  interval?: number;
  limit?: number;
  once?: boolean;
}

const SORT_NAMES = Object.keys(SORT_KEYS) as SortName[];
const ROWS_ONCE = 25;
const INTERVAL_MS = 1_000;
/** A live picture that waits longer is better told so. */
const DEADLINE_MS = 5_000;

export function topCommand(context: CommandContext): Command {
  const command = new Command('top')
    .description('live view of one node: its memory, its processes, what grows (? shows the keys)')
    .option('-n, --node <id>', 'the node to show (default: this host, else the first)', nonEmpty)
    .option('-s, --sort <key>', `order by ${SORT_NAMES.join(', ')} (default: rss)`, oneOf(SORT_NAMES))
    .option('-t, --filter <text>', 'only with this text in program, command line, service or user', nonEmpty)
    .option(
      '-i, --interval <ms>',
      `milliseconds between two refreshes (default: ${INTERVAL_MS})`,
      wholeNumber(100, 3_600_000),
    )
    .option('-1, --once', 'print one picture and end; so it is too when standard output is no terminal')
    .option('-L, --limit <number>', `processes with --once (default: ${ROWS_ONCE})`, wholeNumber(1, 500));
  return addCommonOptions(command, true).action(async (_: unknown, self: Command) => {
    const options = optionsOf<TopOptions>(self);
    const client = apiClient(context, options, DEADLINE_MS);
    const node = options.node ?? (await chooseNode(client, hostname(), context.signal));
    const live = !options.once && !options.json && context.output.isTerminal && process.stdin.isTTY;
    if (live) await runLive(context, client, node, { ...options, interval: options.interval ?? INTERVAL_MS });
    else await runOnce(context, client, node, options);
    if (!context.signal.aborted) context.finish(Exit.Ok);
  });
}

async function runOnce(
  context: CommandContext,
  client: ApiClient,
  node: string,
  options: TopOptions & CommonOptions,
): Promise<void> {
  const state = initialState(client.address.url, node, options.sort ?? 'rss', options.filter ?? '');
  const snapshot = await fetchSnapshot(client, { ...state, node }, options.limit ?? ROWS_ONCE, context.signal);
  if (options.json) context.output.json(snapshot.node);
  else context.output.lines(renderOnce(withSnapshot(state, snapshot), context.output.width, new Date()));
}
