import { expect, test } from 'vitest';
import { createMemoryEventLog } from './memory-event-log.js';

test('a record appended reaches a subscriber of the topic', async () => {
  const log = await createMemoryEventLog();
  await log.ensureTopics([{ name: 'a', partitions: 4, cleanup: 'delete', retentionMs: 60_000 }]);
  const seen: string[] = [];
  const subscription = await log.subscribe({
    topic: 'a',
    group: 'g',
    from: 'earliest',
    assign: (context) => ({
      async handle(records) {
        for (const record of records) {
          seen.push(`${record.key}=${Buffer.from(record.value!).toString()}`);
          context.acknowledge(record.offset);
        }
      },
    }),
  });
  await subscription.ready;
  await log.append([{ topic: 'a', key: 'k', value: Buffer.from('1') }]);
  await expect.poll(() => seen).toEqual(['k=1']);
  await log.close();
  expect(log.metrics().inFlightBytes).toBe(0);
});
