import {
  ContractError,
  controlKey,
  decodeControlRecord,
  encodeControlRecord,
  Topic,
  type ControlChannel,
} from '@tidemark/contracts';
import type { EventLog, LogRecord } from '@tidemark/event-log';

/** The control topic without the framework that serves it in the product, for tests of what is done with it. */
export function createLogChannel(log: EventLog): ControlChannel {
  return {
    send: (record) =>
      log.append([{ topic: Topic.Control, key: controlKey(record.node, record.pid), ...encodeControlRecord(record) }]),
    async listen(hear) {
      const waiting = new Map((await log.lag(Topic.Control, 'test')).map(({ partition, end }) => [partition, end]));
      const handle = async (records: readonly LogRecord[]): Promise<void> => {
        for (const { partition, offset, value, headers } of records) {
          try {
            if (value) await hear(decodeControlRecord(value, headers));
          } catch (error) {
            if (!(error instanceof ContractError)) throw error;
          }
          if (offset + 1 >= (waiting.get(partition) ?? 0)) waiting.set(partition, 0);
        }
      };
      const subscription = await log.subscribe({
        ...{ topic: Topic.Control, group: '', ephemeral: true, from: 'earliest', assign: () => ({ handle }) },
      });
      await subscription.ready;
      const caughtUp = (async () => {
        while ([...waiting.values()].some((end) => end > 0)) await new Promise((resolve) => setTimeout(resolve, 5));
      })();
      return { caughtUp, failed: subscription.failed, drain: (deadlineMs) => subscription.drain(deadlineMs) };
    },
  };
}
