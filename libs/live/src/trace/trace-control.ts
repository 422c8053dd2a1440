import {
  expiredReason,
  type ControlRecord,
  type TraceRequestRecord,
  type TraceStatusRecord,
} from '@tidemark/contracts';
import type { TraceEntry, TraceStatus } from './trace-entry.js';

/** Takes a request or an answer; they come in the order in which they were written. */
export function applyControl(entry: TraceEntry, record: ControlRecord, receivedAt: number): void {
  if (record.type === 'trace-request') ask(entry, record, receivedAt);
  else answer(entry, record);
}

function ask(entry: TraceEntry, request: TraceRequestRecord, receivedAt: number): void {
  const { id, mode, sampleInterval, requestedAt, expiresAt, action } = request;
  const isStop = action === 'STOP';
  // What runs goes on until the node says otherwise; to stop what does not run changes nothing.
  if (isStop ? !isRunning(entry) && !isWaiting(entry) : isRunning(entry)) return;
  entry.status = {
    ...{ means: null, mode, sampleInterval, ...(isStop ? running(entry) : {}) },
    ...{ state: 'REQUESTED', code: null, reason: isStop ? 'It is to be stopped.' : null, id, at: requestedAt },
    // By this clock, whatever that of whoever asked: all that are asked tell the same within the time that records take.
    expiry: { at: receivedAt + Math.max(0, expiresAt - requestedAt), reason: expiredReason(request), told: false },
  };
}

function answer(entry: TraceEntry, record: TraceStatusRecord): void {
  const { state, means, mode, sampleInterval, reason, code, id, at } = record;
  if (record.key) entry.key = record.key;
  const status: TraceStatus = { state, means, mode, sampleInterval, reason, code, id, expiry: null, at };
  const isOther = (state === 'REFUSED' || state === 'EXPIRED') && id !== currentId(entry);
  // A no to an earlier request does not answer the one that waits.
  if (isOther && isWaiting(entry)) return;
  // A second request that is refused does not end what the first began.
  entry.status = isOther && isRunning(entry) ? { ...status, ...running(entry) } : status;
}

function isWaiting({ status }: TraceEntry): boolean {
  return status?.state === 'REQUESTED';
}

function isRunning({ status, figures }: TraceEntry): boolean {
  return status ? status.state === 'ACTIVE' : figures?.head.state === 'ACTIVE';
}

function currentId({ status, figures }: TraceEntry): string | undefined {
  return status?.id ?? figures?.head.trace;
}

function running({ status, figures }: TraceEntry): Partial<TraceStatus> {
  if (status) {
    const { mode, means, sampleInterval, id } = status;
    return { state: 'ACTIVE', mode, means, sampleInterval, id };
  }
  if (!figures) return {};
  const { mode, means, sampleInterval, trace } = figures.head;
  return { state: 'ACTIVE', mode, means, sampleInterval, id: trace };
}

/**
 * What the newest chunk says of the state. Chunks and answers come by different topics: a chunk from before an answer does
 * not undo it.
 */
export function adoptChunkState({ status, figures }: TraceEntry): TraceStatus | null {
  if (!figures) return status;
  const { state, means, mode, sampleInterval, trace, at } = figures.head;
  const told: TraceStatus = {
    ...{ state, means, mode, sampleInterval, reason: null, code: null, id: trace, expiry: null, at },
  };
  if (!status) return told;
  const isOver = status.state === 'STOPPED' || status.state === 'ENDED';
  if (status.id === trace)
    return isOver && at <= status.at ? status : { ...told, reason: status.reason, code: status.code };
  // Of another request: newer than the answer, it runs in spite of it.
  return at > status.at ? { ...told, reason: status.reason, code: status.code } : status;
}
