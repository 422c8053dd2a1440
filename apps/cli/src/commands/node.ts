import { Command } from 'commander';
import type { ApiClient } from '../api/client.js';
import { fetchKnownNodes, noSuchNode } from '../api/known-nodes.js';
import { addCommonOptions, apiClient, optionsOf, type CommandContext } from '../context.js';
import { Exit } from '../exit-codes.js';
import { wholeNumber, type CommonOptions } from '../options.js';
import { renderNode, renderNodeList } from './node-page.js';
import { NODE_QUERY, NODES_QUERY, type NodeData, type NodesData, type NodeSummary } from './node-queries.js';

interface NodeOptions {
  limit?: number;
}

const PAGE = 500;
const TOP_PROCESSES = 10;

export function nodeCommand(context: CommandContext): Command {
  const command = new Command('node')
    .description('the nodes, or one of them in full')
    .argument('[id]', 'id of a node; without it, all are listed')
    .option('-L, --limit <number>', 'processes to show of a node', wholeNumber(1, 100), TOP_PROCESSES);
  return addCommonOptions(command, true).action(async (id: string | undefined, _: unknown, self: Command) => {
    const options = optionsOf<NodeOptions>(self);
    const client = apiClient(context, options);
    if (id === undefined) await runList(context, client, options);
    else await runDetail(context, client, id, options);
    context.finish(Exit.Ok);
  });
}

async function runList(context: CommandContext, client: ApiClient, options: CommonOptions): Promise<void> {
  const nodes: NodeSummary[] = [];
  let now = '';
  let after: string | null = null;
  do {
    const page: NodesData = await client.query<NodesData>(NODES_QUERY, { first: PAGE, after }, context.signal);
    nodes.push(...page.nodes.nodes);
    now = page.cluster.now;
    after = page.nodes.pageInfo.hasNextPage && page.nodes.nodes.length > 0 ? page.nodes.pageInfo.endCursor : null;
  } while (after !== null);
  if (options.json) context.output.json({ now, nodes });
  else if (nodes.length === 0) context.output.note('no node has reported yet');
  else context.output.lines(renderNodeList(nodes, Date.parse(now), context.output.width));
}

async function runDetail(
  context: CommandContext,
  client: ApiClient,
  id: string,
  options: NodeOptions & CommonOptions,
): Promise<void> {
  const variables = { id, first: options.limit ?? TOP_PROCESSES };
  const { node, cluster } = await client.query<NodeData>(NODE_QUERY, variables, context.signal);
  if (node === null) throw noSuchNode(id, await fetchKnownNodes(client, context.signal));
  if (options.json) context.output.json(node);
  else context.output.lines(renderNode(node, Date.parse(cluster.now), context.output.width));
}
