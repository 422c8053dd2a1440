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

/** Leave out what has ended. */
const OPEN: readonly LeakState[] = ['GROWING', 'SUSPECTED', 'CONFIRMED', 'SATURATING'];

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
  const states = options.state ?? (options.all ? undefined : OPEN);
  const { findings, totalCount } = await fetchFindings(
    client,
    { ...filterOf(options), states },
    options.limit ?? DEFAULT_LIMIT,
    context.signal,
  );
  const { output } = context;
  if (options.json) return output.json({ totalCount, findings });
  if (findings.length === 0) return output.note('nothing is known to leak');
  for (const finding of findings) output.lines(renderFinding(finding));
  if (totalCount !== null && findings.length < totalCount) {
    output.note(`${findings.length} of ${totalCount} findings: see more with --limit`);
  }
}

async function fetchFindings(
  client: ApiClient,
  filter: Record<string, unknown>,
  limit: number,
  signal: AbortSignal,
): Promise<{ findings: FindingFields[]; totalCount: number | null }> {
  const found = new Map<string, FindingFields>();
  let totalCount: number | null = null;
  let after: string | null = null;
  do {
    const variables: Record<string, unknown> = { filter, first: Math.min(PAGE, limit - found.size), after };
    const { findings: page }: FindingsData = await client.query<FindingsData>(FINDINGS_QUERY, variables, signal);
    totalCount = page.totalCount;
    const known = found.size;
    for (const finding of page.nodes) found.set(finding.id, finding);
    after = page.pageInfo.hasNextPage && found.size > known ? page.pageInfo.endCursor : null;
  } while (after !== null && found.size < limit);
  return { findings: [...found.values()], totalCount };
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
