import { encodeNodeRecord, Topic, type NodeRecord } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';

/** Says that the node is there. */
export interface Heartbeat {
  /** Sends the newest word; when the last one is still on its way, this one takes its place in the queue. */
  beat(record: NodeRecord): void;
  /** Sends the last word and waits for it until the deadline. */
  leave(record: NodeRecord, deadlineMs: number): Promise<void>;
}

/**
 * Only the newest heartbeat is worth anything, so none is spooled and none waits behind another. A log that takes none
 * is told of elsewhere: the samples go to the same log.
 */
export function createHeartbeat(log: EventLog): Heartbeat {
  let sending: Promise<void> | undefined;
  let next: NodeRecord | undefined;

  async function sendAll(): Promise<void> {
    while (next) {
      const record = next;
      next = undefined;
      const { value, headers } = encodeNodeRecord(record);
      await log
        .append([{ topic: Topic.Nodes, key: record.node, value, headers, timestamp: record.at }])
        .catch(() => undefined);
    }
  }

  function beat(record: NodeRecord): Promise<void> {
    next = record;
    sending ??= sendAll().finally(() => (sending = undefined));
    return sending;
  }

  return {
    beat: (record) => void beat(record),
    async leave(record, deadlineMs) {
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, deadlineMs)));
      await Promise.race([beat(record), deadline]);
      clearTimeout(timer);
    },
  };
}
