import { isNodeId, type NodeId } from '@tidemark/contracts';
import type { LiveView, ProcessOrder, ProcessPosition } from '@tidemark/live';
import { GraphError } from '../graph-error.js';
import { pageSize, toConnection, type Connection, type PageInput } from '../paging/connection.js';
import { decodeCursor, encodeCursor } from '../paging/cursor.js';
import { toProcessOrder, toSelection, type ProcessFilterInput, type ProcessOrderInput } from './process-input.js';
import { liveProcessModel, type ProcessModel } from './process-model.js';

export interface ProcessListInput extends PageInput {
  filter?: ProcessFilterInput | null;
  orderBy?: ProcessOrderInput | null;
}

/** A page of the processes of one node, or of all that report. Throws GraphError. */
export function listProcesses(live: LiveView, input: ProcessListInput, node?: NodeId): Connection<ProcessModel> {
  const size = pageSize(input.first);
  const order = toProcessOrder(input.orderBy);
  const after = input.after ? decodePosition(order, input.after) : null;
  const selection = toSelection(input.filter);
  // One more than the page, to know whether there is another.
  const page = live.select(node === undefined ? { selection } : { selection, node }, { order, after, limit: size + 1 });
  const rows = page.rows.map(({ process, position }) => ({
    cursor: encodeCursor(listName(order), [position.value, position.node, position.pid, position.start]),
    node: liveProcessModel(live, process),
  }));
  return toConnection(rows, { size, after: input.after }, page.total);
}

function listName({ field, direction }: ProcessOrder): string {
  return `p.${field}.${direction}`;
}

function decodePosition(order: ProcessOrder, cursor: string): ProcessPosition {
  const [value = null, node, pid, start] = decodeCursor(listName(order), cursor, 4);
  const kind = order.field === 'program' ? 'string' : 'number';
  const sound = value === null || typeof value === kind;
  if (sound && typeof node === 'string' && isNodeId(node) && typeof pid === 'number' && typeof start === 'number') {
    return { value, node, pid, start };
  }
  throw new GraphError('BAD_CURSOR', 'after: this cursor was not made by this server');
}
