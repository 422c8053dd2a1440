import { Command } from 'commander';
import type { ApiClient, Variables } from '../api/client.js';
import { requireNodes } from '../api/known-nodes.js';
import {
  LEAK_STATES,
  PROCESS_FIELDS,
  type LeakState,
  type PageInfo,
  type ProcessFields,
} from '../api/process-fields.js';
import { addCommonOptions, apiClient, optionsOf, type CommandContext } from '../context.js';
import { Exit } from '../exit-codes.js';
import { nonEmpty, oneOf, parseBytes, repeated, someOf, wholeNumber, type CommonOptions } from '../options.js';
import { formatCount } from '../terminal/figures.js';
import type { Output } from '../terminal/output.js';
import { PROCESS_COLUMNS } from '../terminal/process-columns.js';
import { renderTable, type Column } from '../terminal/table.js';
import { stateLetters } from './state-letters.js';

export interface PsProcess extends ProcessFields {
  node: { id: string };
}

export interface PsData {
  processes: { totalCount: number; nodes: PsProcess[]; pageInfo: PageInfo };
}

export const PS_QUERY = /* GraphQL */ `
  query Ps($filter: ProcessFilter, $orderBy: ProcessOrder, $first: Int!, $after: String) {
    processes(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
      totalCount
      nodes { ${PROCESS_FIELDS} node { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

/** What `--sort` takes, with the field of the API and the direction that people mean by it. */
const SORTS = {
  rss: ['RSS', 'DESC'],
  anonymous: ['ANONYMOUS', 'DESC'],
  swap: ['SWAP', 'DESC'],
  'leak-signal': ['LEAK_SIGNAL', 'DESC'],
  pss: ['PSS', 'DESC'],
  uss: ['USS', 'DESC'],
  vms: ['VMS', 'DESC'],
  shared: ['SHARED', 'DESC'],
  dirty: ['DIRTY', 'DESC'],
  growth: ['GROWTH', 'DESC'],
  cpu: ['CPU_PERCENT', 'DESC'],
  time: ['CPU_TIME', 'DESC'],
  faults: ['MAJOR_FAULTS', 'DESC'],
  threads: ['THREADS', 'DESC'],
  started: ['STARTED_AT', 'DESC'],
  pid: ['PID', 'ASC'],
  program: ['PROGRAM', 'ASC'],
} as const;

type SortName = keyof typeof SORTS;

interface PsOptions {
  node?: string[];
  program?: string[];
  user?: string;
  text?: string;
  minBytes?: number;
  state?: string;
  leak?: LeakState[];
  sort?: SortName;
  reverse?: boolean;
  limit?: number;
}

/** Processes asked for at once: within the cost that the API allows a query. */
const PAGE = 1_000;

export function psCommand(context: CommandContext): Command {
  const command = new Command('ps')
    .description('processes of the cluster with their memory, largest first')
    .option('-n, --node <id>', 'only of this node; may be given more than once', repeated)
    .option('-p, --program <name>', 'only programs of exactly this name; may be given more than once', repeated)
    .option('-u, --user <name>', 'only of this user', nonEmpty)
    .option('-t, --text <text>', 'only with this text in program, command line, service or user', nonEmpty)
    .option('-m, --min-bytes <size>', 'only with at least so much RSS: 500M, 1.5G', parseBytes)
    .option('-S, --state <letters>', 'only in one of these states: any of RSDZTtXI', stateLetters)
    .option('-l, --leak <states>', `only in these leak states: ${LEAK_STATES.join(', ')}`, someOf(LEAK_STATES))
    .option(
      '-s, --sort <key>',
      `order by ${Object.keys(SORTS).join(', ')} (default: rss)`,
      oneOf(Object.keys(SORTS) as SortName[]),
    )
    .option('-r, --reverse', 'the other way round')
    .option('-L, --limit <number>', 'at most so many (default: all)', wholeNumber(1, 1_000_000));
  return addCommonOptions(command, true).action(async (_: unknown, self: Command) => {
    await runPs(context, optionsOf<PsOptions>(self));
  });
}

async function runPs(context: CommandContext, options: PsOptions & CommonOptions): Promise<void> {
  const client = apiClient(context, options);
  const { processes, totalCount } = await fetchProcesses(client, options, context.signal);
  if (processes.length === 0 && options.node) await requireNodes(client, options.node, context.signal);
  if (options.json) context.output.json({ totalCount, processes });
  else showProcesses(context.output, processes, totalCount);
  context.finish(Exit.Ok);
}

/** Every page that the limit asks for, each process once although the order may change between pages. */
export async function fetchProcesses(
  client: ApiClient,
  options: PsOptions,
  signal?: AbortSignal,
): Promise<{ processes: PsProcess[]; totalCount: number }> {
  const limit = options.limit ?? Infinity;
  const found = new Map<string, PsProcess>();
  const [field, usual] = SORTS[options.sort ?? 'rss'];
  const direction = options.reverse ? (usual === 'ASC' ? 'DESC' : 'ASC') : usual;
  const filter = {
    nodes: options.node,
    programs: options.program,
    user: options.user,
    text: options.text,
    minBytes: options.minBytes,
    state: options.state,
    leakState: options.leak,
  };
  let after: string | null = null;
  let totalCount: number;
  do {
    const first = Math.min(PAGE, limit - found.size);
    const variables: Variables = { filter, orderBy: { field, direction }, first, after };
    const { processes: page }: PsData = await client.query<PsData>(PS_QUERY, variables, signal);
    totalCount = page.totalCount;
    const known = found.size;
    for (const process of page.nodes) found.set(process.key, process);
    // A page without anything new would be asked for for ever.
    after = page.pageInfo.hasNextPage && found.size > known ? page.pageInfo.endCursor : null;
  } while (after !== null && found.size < limit);
  return { processes: [...found.values()], totalCount };
}

function showProcesses(output: Output, processes: readonly PsProcess[], totalCount: number): void {
  output.lines(renderTable(psColumns(processes), processes, { width: output.width }));
  if (processes.length < totalCount) {
    output.note(`${formatCount(processes.length)} of ${formatCount(totalCount)} processes that match`);
  }
}

function psColumns(processes: readonly PsProcess[]): Column<PsProcess>[] {
  const severalNodes = new Set(processes.map(({ node }) => node.id)).size > 1;
  const node: Column<PsProcess> = { title: 'NODE', cell: (row) => row.node.id, maxWidth: 24 };
  return [...(severalNodes ? [node] : []), ...PROCESS_COLUMNS];
}
