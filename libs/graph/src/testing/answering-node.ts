import {
  decodeControlRecord,
  Topic,
  type ControlRecord,
  type TraceRequestRecord,
  type TraceStatusRecord,
} from '@tidemark/contracts';
import type { TestGraph } from './test-graph.js';

/** A node that answers trace requests as it is told; undefined does not answer. */
export async function answerRequests(
  graph: TestGraph,
  answer: (request: TraceRequestRecord) => Partial<TraceStatusRecord> | undefined,
): Promise<{ records: ControlRecord[]; stop(): Promise<void> }> {
  const records: ControlRecord[] = [];
  const subscription = await graph.log.subscribe({
    ...{ topic: Topic.Control, group: 'node', from: 'earliest', ephemeral: true },
    assign: () => ({
      async handle(batch) {
        for (const { value, headers } of batch) {
          const record = decodeControlRecord(value!, headers);
          records.push(record);
          const given = record.type === 'trace-request' ? answer(record) : undefined;
          if (given) await graph.sendControl({ ...statusOf(record as TraceRequestRecord), ...given });
        }
      },
    }),
  });
  await subscription.ready;
  return { records, stop: () => subscription.drain(1_000) };
}

function statusOf({ id, node, pid, action, mode, sampleInterval }: TraceRequestRecord): TraceStatusRecord {
  return {
    ...{ v: 1, type: 'trace-status', id, node, pid, key: null, state: action === 'START' ? 'ACTIVE' : 'STOPPED' },
    ...{ means: 'LIBRARY', mode, sampleInterval, maxFrames: null, reason: null, code: null, at: Date.now() },
  };
}
