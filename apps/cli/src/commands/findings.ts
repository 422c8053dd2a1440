import { Command } from 'commander';
import type { ApiClient } from '../api/client.js';
import { requireNodes } from '../api/known-nodes.js';
import { LEAK_STATES, type LeakState } from '../api/process-fields.js';
import { addCommonOptions, apiClient, optionsOf, type CommandContext } from '../context.js';
import { Exit } from '../exit-codes.js';
import { nonEmpty, repeated, someOf, wholeNumber, type CommonOptions } from '../options.js';
import { renderFinding } from './finding-block.js';
import { FINDINGS_QUERY, type FindingFields, type FindingsData } from './finding-queries.js';
import { followFindings } from './follow-findings.js';

interface FindingsOptions {
  follow?: boolean;
  node?: string[];
  program?: string;
  service?: string;
  state?: LeakState[];
  all?: boolean;
  limit?: number;
}

const PAGE = 100;
const DEFAULT_LIMIT = 100;

/** As the API sees it: growing or worse, or about to run out whatever the state. */
function isOpen({ state, imminent }: FindingFields): boolean {
  return state === 'GROWING' || state === 'SUSPECTED' || state === 'CONFIRMED' || imminent;
}

/** The states of what may be open; the filter of the API cannot say "or imminent". */
const NOT_CLEARED = LEAK_STATES.filter((state) => state !== 'CLEARED');

export function findingsCommand(context: CommandContext): Command {
  const command = new Command('findings')
    .description('what leaks or runs out, newest first')
    .option('-f, --follow', 'print what is open, then every new finding as it is made, until interrupted')
    .option('-n, --node <id>', 'only of this node; may be given more than once', repeated)
    .option('-p, --program <name>', 'only of this program', nonEmpty)
    .option('--service <name>', 'only of this systemd unit or container', nonEmpty)
    .option('-s, --state <states>', `only in these states: ${LEAK_STATES.join(', ')}`, someOf(LEAK_STATES))
    .option('-a, --all', 'also what was cleared')
    .option(
      '-L, --limit <number>',
      `at most so many (default: ${DEFAULT_LIMIT}; not with --follow)`,
      wholeNumber(1, 100_000),
    );
  return addCommonOptions(command, true).action(async (_: unknown, self: Command) => {
    const options = optionsOf<FindingsOptions>(self);
    const client = apiClient(context, options);
    if (options.node) await requireNodes(client, options.node, context.signal);
    if (options.follow) await runFollow(context, client, options);
    else await runList(context, client, options);
    // Following ends by a signal, which makes the exit status.
    if (!context.signal.aborted) context.finish(Exit.Ok);
  });
}

/** What the API shall leave out. */
function filterOf(options: FindingsOptions): Record<string, unknown> {
  return { nodes: options.node, program: options.program, service: options.service };
}

async function runList(
  context: CommandContext,
  client: ApiClient,
  options: FindingsOptions & CommonOptions,
): Promise<void> {
  const everything = options.all === true || options.state !== undefined;
  const { findings, more } = await fetchFindings(
    client,
    { ...filterOf(options), states: options.state ?? (options.all ? undefined : NOT_CLEARED) },
    everything ? () => true : isOpen,
    options.limit ?? DEFAULT_LIMIT,
    context.signal,
  );
  const { output } = context;
  if (options.json) return output.json({ findings, more });
  if (findings.length === 0) return output.note('nothing is known to leak');
  for (const finding of findings) output.lines(renderFinding(finding));
  if (more) output.note(`the newest ${findings.length} findings: see more with --limit`);
}

async function fetchFindings(
  client: ApiClient,
  filter: Record<string, unknown>,
  wanted: (finding: FindingFields) => boolean,
  limit: number,
  signal: AbortSignal,
): Promise<{ findings: FindingFields[]; more: boolean }> {
  const found = new Map<string, FindingFields>();
  let after: string | null = null;
  do {
    const variables: Record<string, unknown> = { filter, first: PAGE, after };
    const { findings: page }: FindingsData = await client.query<FindingsData>(FINDINGS_QUERY, variables, signal);
    for (const finding of page.nodes.filter(wanted)) found.set(finding.id, finding);
    after = page.pageInfo.hasNextPage && page.nodes.length > 0 ? page.pageInfo.endCursor : null;
  } while (after !== null && found.size < limit);
  return { findings: [...found.values()].slice(0, limit), more: after !== null || found.size > limit };
}

async function runFollow(
  context: CommandContext,
  client: ApiClient,
  options: FindingsOptions & CommonOptions,
): Promise<void> {
  const { output } = context;
  await followFindings({
    address: client.address,
    filter: { ...filterOf(options), states: options.state },
    signal: context.signal,
    show: (finding) => (options.json ? output.jsonLine(finding) : output.lines(renderFinding(finding))),
    note: (message) => output.note(message),
  });
}
