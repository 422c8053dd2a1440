import type { LiveNode, LiveView } from '@tidemark/live';
import { pageSize, toConnection, type Connection, type PageInput } from '../paging/connection.js';
import { decodeCursor, encodeCursor } from '../paging/cursor.js';
import { GraphError } from '../graph-error.js';
import { nodeModel, type NodeModel } from './node-model.js';

/** Input `NodeFilter`; null is the same as left out. */
export interface NodeFilterInput {
  ids?: string[] | null;
  state?: LiveNode['state'][] | null;
  text?: string | null;
  maxAvailablePercent?: number | null;
}

export interface NodeOrderInput {
  field: keyof typeof ORDER_VALUES;
  direction: 'ASC' | 'DESC';
}

export interface NodeListInput extends PageInput {
  filter?: NodeFilterInput | null;
  orderBy?: NodeOrderInput | null;
}

type OrderValue = number | string | null;

const ORDER_VALUES = {
  ID: () => null,
  TOTAL: ({ system }) => system.memory?.total ?? null,
  AVAILABLE: ({ system }) => system.memory?.available ?? null,
  USED: ({ system }) => system.memory?.used ?? null,
  AVAILABLE_PERCENT: availablePercent,
  LOAD: ({ system }) => system.load?.one ?? null,
  PROCESSES: ({ processCount }) => processCount,
  LAST_SEEN: ({ lastSeen }) => lastSeen,
} satisfies Record<string, (node: LiveNode) => number | null>;

interface Place {
  value: OrderValue;
  id: string;
}

/** A page of the nodes of which memory is known. Throws GraphError. */
export function listNodes(live: LiveView, input: NodeListInput): Connection<NodeModel> {
  const size = pageSize(input.first);
  const { field, direction } = input.orderBy ?? { field: 'ID', direction: 'ASC' };
  const list = `n.${field}.${direction}`;
  const compare = compareBy(direction === 'ASC' ? 1 : -1);
  const after = input.after ? decodePlace(list, input.after) : null;
  const placed = live
    .nodes()
    .filter((node) => node.system.memory && allows(input.filter, node))
    .map((node) => ({ node, value: ORDER_VALUES[field](node), id: node.id }))
    .sort(compare);
  const rows = after ? placed.filter((place) => compare(place, after) > 0) : placed;
  return toConnection(
    rows
      .slice(0, size + 1)
      .map(({ node, value, id }) => ({ cursor: encodeCursor(list, [value, id]), node: nodeModel(node) })),
    { size, after: input.after },
    placed.length,
  );
}

/** The unknown comes last in both directions; without a value (order by id) the direction is the id's. */
function compareBy(sign: 1 | -1): (a: Place, b: Place) => number {
  return (a, b) => {
    if (a.value !== b.value) {
      if (a.value === null) return 1;
      if (b.value === null) return -1;
      return a.value < b.value ? -sign : sign;
    }
    return a.id === b.id ? 0 : a.id < b.id ? -sign : sign;
  };
}

function availablePercent({ system: { memory } }: LiveNode): number | null {
  return memory && memory.total > 0 ? (100 * memory.available) / memory.total : null;
}

function allows(filter: NodeFilterInput | null | undefined, node: LiveNode): boolean {
  const { ids, state, text, maxAvailablePercent } = filter ?? {};
  if (ids && !ids.includes(node.id)) return false;
  if (state && !state.includes(node.state)) return false;
  if (typeof maxAvailablePercent === 'number' && !((availablePercent(node) ?? Infinity) < maxAvailablePercent)) {
    return false;
  }
  if (typeof text !== 'string') return true;
  const part = text.toLowerCase();
  return [node.id, node.record?.hostname ?? ''].some((name) => name.toLowerCase().includes(part));
}

function decodePlace(list: string, cursor: string): Place {
  const [value = null, id] = decodeCursor(list, cursor, 2);
  if (typeof id === 'string' && typeof value !== 'string') return { value, id };
  throw new GraphError('BAD_CURSOR', 'after: this cursor was not made by this server');
}
