import { type ControlRecord, type TraceRequestRecord, type TraceStatusRecord } from '@tidemark/contracts';
import type { TraceEntry, TraceStatus } from './trace-entry.js';

/** Takes a request or an answer; they come in the order in which they were written. */
export function applyControl(entry: TraceEntry, record: ControlRecord): void {
  if (record.type === 'trace-request') ask(entry, record);
  else answer(entry, record);
}

function ask(entry: TraceEntry, request: TraceRequestRecord): void {
  // What runs goes on until the node says otherwise; to stop what does not run changes nothing.
  if (isRunning(entry) || request.action === 'STOP') return;
  const { id, mode, sampleInterval, requestedAt, expiresAt } = request;
  entry.status = {
    ...{ state: 'REQUESTED', means: null, mode, sampleInterval, reason: null, code: null },
    ...{ id, expiresAt, at: requestedAt },
  };
}

function answer(entry: TraceEntry, record: TraceStatusRecord): void {
  const { state, means, mode, sampleInterval, reason, code, id, at } = record;
  if (record.key) entry.key = record.key;
  const status: TraceStatus = { state, means, mode, sampleInterval, reason, code, id, expiresAt: null, at };
  // A second request that is refused does not end what the first began.
  const keeps = (state === 'REFUSED' || state === 'EXPIRED') && isRunning(entry) && id !== runningId(entry);
  entry.status = keeps ? { ...status, ...running(entry) } : status;
}

function isRunning({ status, figures }: TraceEntry): boolean {
  return status ? status.state === 'ACTIVE' : figures?.head.state === 'ACTIVE';
}

function runningId({ status, figures }: TraceEntry): string | undefined {
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
    ...{ state, means, mode, sampleInterval, reason: null, code: null, id: trace, expiresAt: null, at },
  };
  if (!status) return told;
  const isOver = status.state === 'STOPPED' || status.state === 'ENDED';
  if (status.id === trace)
    return isOver && at <= status.at ? status : { ...told, reason: status.reason, code: status.code };
  // Of another request: newer than the answer, it runs in spite of it.
  return at > status.at ? { ...told, reason: status.reason, code: status.code } : status;
}
