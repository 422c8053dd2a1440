import { CliError, Exit } from '../exit-codes.js';
import { listNames, nearest } from '../options.js';
import type { ApiClient } from './client.js';

export interface KnownNodesData {
  nodes: { totalCount: number; nodes: { id: string; state: string }[] };
}

export const KNOWN_NODES_QUERY = /* GraphQL */ `
  query KnownNodes($first: Int!) {
    nodes(first: $first) {
      totalCount
      nodes {
        id
        state
      }
    }
  }
`;

/** Names for a message or a default; more are not worth fetching. */
const MOST = 100;

export async function fetchKnownNodes(client: ApiClient, signal?: AbortSignal): Promise<KnownNodesData['nodes']> {
  return (await client.query<KnownNodesData>(KNOWN_NODES_QUERY, { first: MOST }, signal)).nodes;
}

/** Throws CliError that names the nodes there are when one of `ids` is not among them. */
export async function requireNodes(client: ApiClient, ids: readonly string[], signal?: AbortSignal): Promise<void> {
  const known = await fetchKnownNodes(client, signal);
  // With more nodes than were fetched, an absent name proves nothing.
  if (known.totalCount > known.nodes.length) return;
  const missing = ids.find((id) => !known.nodes.some((node) => node.id === id));
  if (missing !== undefined) throw noSuchNode(missing, known);
}

export function noSuchNode(id: string, known: KnownNodesData['nodes']): CliError {
  const names = known.nodes.map((node) => node.id);
  if (names.length === 0) return new CliError(Exit.NotFound, `no node "${id}": no node has reported yet`);
  const near = nearest(id, names);
  const guess = near === undefined ? '' : ` (did you mean ${near}?)`;
  const others = known.totalCount - names.length;
  const rest = others > 0 ? ` and ${others} more` : '';
  return new CliError(Exit.NotFound, `no node "${id}"${guess}`, `known: ${listNames(names)}${rest}`);
}
