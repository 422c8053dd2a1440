import type { ApiClient } from '../api/client.js';
import { fetchKnownNodes, noSuchNode } from '../api/known-nodes.js';
import { PROCESS_FIELDS } from '../api/process-fields.js';
import { CliError, Exit } from '../exit-codes.js';
import { ascending } from './frame.js';
import { SORT_KEYS, type TopNode, type TopSnapshot, type TopState } from './model.js';

export const TOP_QUERY = /* GraphQL */ `
  query Top($node: ID!, $filter: ProcessFilter, $orderBy: ProcessOrder, $first: Int!) {
    nodes(first: 100) { nodes { id } }
    node(id: $node) {
      id hostname state stale kernel cpuCount uptime processCount
      memory { total available used free active inactive buffers cached shared swapTotal swapFree }
      load { one five fifteen running total }
      pressure { some { avg10 avg60 avg300 } full { avg10 avg60 avg300 } }
      cpu { busyPercent }
      findings { state imminent }
      processes(first: $first, filter: $filter, orderBy: $orderBy) {
        totalCount
        nodes { ${PROCESS_FIELDS} cgroup }
      }
    }
  }
`;

export interface TopData {
  nodes: { nodes: { id: string }[] };
  node: TopNode | null;
}

/** What a refresh depends on. */
export type TopQuestion = Pick<TopState, 'node' | 'sort' | 'reverse' | 'filter'>;

/** One snapshot of a node. Throws CliError: NotFound when there is no such node, and what the client throws. */
export async function fetchSnapshot(
  client: ApiClient,
  question: TopQuestion & { node: string },
  first: number,
  signal?: AbortSignal,
): Promise<TopSnapshot> {
  const variables = {
    node: question.node,
    first,
    filter: question.filter === '' ? undefined : { text: question.filter },
    orderBy: { field: SORT_KEYS[question.sort].field, direction: ascending(question) ? 'ASC' : 'DESC' },
  };
  const data = await client.query<TopData>(TOP_QUERY, variables, signal);
  if (data.node === null) throw noSuchNode(question.node, await fetchKnownNodes(client, signal));
  return { node: data.node, nodes: data.nodes.nodes.map(({ id }) => id), receivedAt: Date.now() };
}

/** The node to show when none was named: this host when it is one, else the first that is alive. */
export async function chooseNode(client: ApiClient, hostname: string, signal?: AbortSignal): Promise<string> {
  const { nodes } = await fetchKnownNodes(client, signal);
  const chosen = nodes.find(({ id }) => id === hostname) ?? nodes.find(({ state }) => state === 'ACTIVE') ?? nodes[0];
  if (!chosen)
    throw new CliError(Exit.NotFound, 'no node has reported yet', 'a collector needs a moment after its start');
  return chosen.id;
}
