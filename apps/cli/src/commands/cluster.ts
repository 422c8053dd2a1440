import { Command } from 'commander';
import type { ApiClient } from '../api/client.js';
import { MEMORY_METRICS, toNumber, type Bytes, type MemoryMetric } from '../api/process-fields.js';
import { addCommonOptions, apiClient, optionsOf, type CommandContext } from '../context.js';
import { CliError, Exit } from '../exit-codes.js';
import { nearest, nonEmpty, oneOf, type CommonOptions } from '../options.js';
import { bar } from '../terminal/bars.js';
import { formatBytes, formatBytesShort, formatCount, formatShare } from '../terminal/figures.js';
import type { Output } from '../terminal/output.js';
import { span, type Line } from '../terminal/style.js';
import { renderTable, type Column } from '../terminal/table.js';

interface NodeShare {
  node: { id: string; state: string };
  processes: number;
  total: Bytes;
  max: Bytes;
}

export interface ProgramData {
  clusterAggregate: {
    metric: MemoryMetric;
    total: Bytes;
    processes: number;
    measured: number;
    unmeasuredRss: Bytes;
    max: Bytes;
    mean: number | null;
    p95: Bytes;
    nodesReporting: number;
    nodesExpected: number;
    byNode: NodeShare[];
  };
}

export const PROGRAM_QUERY = /* GraphQL */ `
  query Program($program: String!, $metric: MemoryMetric!) {
    clusterAggregate(filter: { program: $program }, metric: $metric) {
      metric
      total
      processes
      measured
      unmeasuredRss
      max
      mean
      p95
      nodesReporting
      nodesExpected
      byNode(first: 100) {
        node {
          id
          state
        }
        processes
        total
        max
      }
    }
  }
`;

export interface ClusterData {
  cluster: {
    version: string;
    nodesReporting: number;
    nodesExpected: number;
    nodesAwaited: string[];
    processes: number;
    memory: { total: Bytes; available: Bytes; used: Bytes; free: Bytes; swapTotal: Bytes; swapFree: Bytes };
    findings: { growing: number; suspected: number; confirmed: number; imminent: number };
    programs: { program: string; processes: number; nodes: number; total: Bytes; max: Bytes }[];
  };
}

export const CLUSTER_QUERY = /* GraphQL */ `
  query Cluster($metric: MemoryMetric!, $first: Int!) {
    cluster {
      version
      nodesReporting
      nodesExpected
      nodesAwaited
      processes
      memory {
        total
        available
        used
        free
        swapTotal
        swapFree
      }
      findings {
        growing
        suspected
        confirmed
        imminent
      }
      programs(first: $first, metric: $metric) {
        program
        processes
        nodes
        total
        max
      }
    }
  }
`;

interface ClusterOptions {
  program?: string;
  metric?: MemoryMetric;
}

/** Programs in the overview, and names to choose a suggestion from. */
const PROGRAMS = 20;
const SUGGESTED_FROM = 100;

export function clusterCommand(context: CommandContext): Command {
  const command = new Command('cluster')
    .description('memory of one program, or of all, over all nodes')
    .option('-p, --program <name>', 'exact name of the program, such as chrome (default: an overview of all)', nonEmpty)
    .option(
      '-M, --metric <metric>',
      `what to add up: ${MEMORY_METRICS.join(', ')} (default: PSS)`,
      oneOf(MEMORY_METRICS),
    );
  return addCommonOptions(command, true).action(async (_: unknown, self: Command) => {
    const options = optionsOf<ClusterOptions>(self);
    const client = apiClient(context, options);
    if (options.program === undefined) await runOverview(context, client, options);
    else await runProgram(context, client, options.program, options);
    context.finish(Exit.Ok);
  });
}

async function runProgram(
  context: CommandContext,
  client: ApiClient,
  program: string,
  options: ClusterOptions & CommonOptions,
): Promise<void> {
  const variables = { program, metric: options.metric ?? 'PSS' };
  const { clusterAggregate } = await client.query<ProgramData>(PROGRAM_QUERY, variables, context.signal);
  if (clusterAggregate.processes === 0) throw await noSuchProgram(client, program, clusterAggregate, context.signal);
  if (options.json) context.output.json({ program, ...clusterAggregate });
  else showProgram(context.output, program, clusterAggregate);
}

async function noSuchProgram(
  client: ApiClient,
  program: string,
  { nodesReporting, nodesExpected }: ProgramData['clusterAggregate'],
  signal: AbortSignal,
): Promise<CliError> {
  const { cluster } = await client.query<ClusterData>(CLUSTER_QUERY, { metric: 'RSS', first: SUGGESTED_FROM }, signal);
  const near = nearest(
    program,
    cluster.programs.map((share) => share.program),
  );
  const where = `on ${nodesReporting} of ${nodesExpected} nodes`;
  return new CliError(
    Exit.NotFound,
    `no living process of a program "${program}" ${where}`,
    near === undefined ? 'names are exact: see "tidemark cluster" or "tidemark ps"' : `did you mean ${near}?`,
  );
}

const METRIC_WORDS: Partial<Record<MemoryMetric, string>> = {
  LEAK_SIGNAL: 'anonymous + swap',
  ANONYMOUS: 'anonymous memory',
};

function metricWord(metric: MemoryMetric): string {
  return METRIC_WORDS[metric] ?? (metric.length <= 4 ? metric : metric.toLowerCase());
}

function showProgram(output: Output, program: string, aggregate: ProgramData['clusterAggregate']): void {
  const { processes, measured, nodesReporting, nodesExpected } = aggregate;
  const lines: Line[] = [
    [
      span(program, 'heading'),
      span('  '),
      span(formatBytes(toNumber(aggregate.total)), 'strong'),
      span(
        ` ${metricWord(aggregate.metric)} in ${formatCount(processes)} ${plural(processes, 'process', 'processes')}, `,
      ),
      span(
        `${nodesReporting} of ${nodesExpected} nodes reporting`,
        nodesReporting < nodesExpected ? 'warning' : 'plain',
      ),
    ],
    [
      span(`mean ${formatBytes(aggregate.mean)} · p95 ${formatBytes(toNumber(aggregate.p95))} · `),
      span(`largest ${formatBytes(toNumber(aggregate.max))}`),
    ],
  ];
  if (measured < processes) {
    const rest = formatBytes(toNumber(aggregate.unmeasuredRss));
    lines.push([
      span(
        `${metricWord(aggregate.metric)} is known of ${formatCount(measured)}; the others have ${rest} RSS at most`,
        'warning',
      ),
    ]);
  }
  const total = toNumber(aggregate.total) ?? 0;
  lines.push([], ...renderTable(nodeColumns(total), aggregate.byNode, { width: output.width }));
  output.lines(lines);
}

function nodeColumns(total: number): Column<NodeShare>[] {
  return [
    {
      title: 'NODE',
      cell: ({ node }) => ({
        text: node.state === 'ACTIVE' ? node.id : `${node.id} (${node.state.toLowerCase()})`,
        style: node.state === 'ACTIVE' ? 'strong' : 'warning',
      }),
    },
    { title: 'PROCESSES', align: 'right', cell: (row) => formatCount(row.processes) },
    { title: 'TOTAL', align: 'right', minWidth: 6, cell: (row) => formatBytesShort(toNumber(row.total)) },
    { title: 'SHARE', align: 'right', minWidth: 6, cell: (row) => formatShare(toNumber(row.total), total) },
    { title: 'LARGEST', align: 'right', cell: (row) => formatBytesShort(toNumber(row.max)), priority: 1 },
  ];
}

async function runOverview(
  context: CommandContext,
  client: ApiClient,
  options: ClusterOptions & CommonOptions,
): Promise<void> {
  const variables = { metric: options.metric ?? 'PSS', first: PROGRAMS };
  const { cluster } = await client.query<ClusterData>(CLUSTER_QUERY, variables, context.signal);
  if (options.json) context.output.json(cluster);
  else showOverview(context.output, cluster, variables.metric);
}

function showOverview(output: Output, cluster: ClusterData['cluster'], metric: MemoryMetric): void {
  const { memory, findings, nodesReporting, nodesExpected, nodesAwaited } = cluster;
  const used = toNumber(memory.used) ?? 0;
  const total = toNumber(memory.total) ?? 0;
  const complete = nodesReporting === nodesExpected && nodesAwaited.length === 0;
  const awaited = nodesAwaited.length === 0 ? '' : ` (waiting for ${nodesAwaited.join(', ')})`;
  const swapTotal = toNumber(memory.swapTotal) ?? 0;
  output.lines([
    [
      span('nodes     ', 'dim'),
      span(`${nodesReporting} of ${nodesExpected} reporting${awaited}`, complete ? 'plain' : 'warning'),
      span(` · ${formatCount(cluster.processes)} processes`),
    ],
    [
      span('memory    ', 'dim'),
      ...bar([{ value: used, style: 'accent' }], total, 24),
      span(` ${formatBytes(used)} of ${formatBytes(total)} used (${formatShare(used, total)})`),
      span(
        swapTotal > 0
          ? ` · swap ${formatBytes(swapTotal - (toNumber(memory.swapFree) ?? 0))} of ${formatBytes(swapTotal)}`
          : '',
      ),
    ],
    [
      span('findings  ', 'dim'),
      span(`${findings.confirmed} confirmed`, findings.confirmed > 0 ? 'alarm' : 'plain'),
      span(' · '),
      span(`${findings.suspected} suspected`, findings.suspected > 0 ? 'danger' : 'plain'),
      span(' · '),
      span(`${findings.growing} growing`, findings.growing > 0 ? 'warning' : 'plain'),
      span(' · '),
      span(`${findings.imminent} running out soon`, findings.imminent > 0 ? 'alarm' : 'plain'),
    ],
    [],
    ...renderTable(programColumns(metric), cluster.programs, { width: output.width }),
  ]);
}

function programColumns(metric: MemoryMetric): Column<ClusterData['cluster']['programs'][number]>[] {
  return [
    { title: 'PROGRAM', cell: (row) => ({ text: row.program, style: 'strong' }), maxWidth: 40 },
    { title: 'PROCESSES', align: 'right', cell: (row) => formatCount(row.processes) },
    { title: 'NODES', align: 'right', cell: (row) => formatCount(row.nodes) },
    { title: metric, align: 'right', minWidth: 6, cell: (row) => formatBytesShort(toNumber(row.total)) },
    { title: 'LARGEST', align: 'right', cell: (row) => formatBytesShort(toNumber(row.max)), priority: 1 },
  ];
}

function plural(count: number, one: string, many: string): string {
  return count === 1 ? one : many;
}
