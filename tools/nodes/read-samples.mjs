// `node read-samples.mjs BROKERS NODE` prints the chunks of samples that the log has of a node, in its order, as JSON.
import { decodeSampleChunk, Topic } from '@tidemark/contracts';
import { createKafkaEventLog } from '@tidemark/event-log/kafka';

const [brokers = '', node] = process.argv.slice(2);
const log = await createKafkaEventLog({ brokers: brokers.split(',') });
const open = new Map();
for (const { partition, end } of await log.lag(Topic.Samples, 'nobody')) if (end > 0) open.set(partition, end);
const chunks = [];
let done = () => {};
const all = new Promise((resolve) => (done = resolve));
if (open.size === 0) done();
const subscription = await log.subscribe({
  ...{ topic: Topic.Samples, group: 'audit', ephemeral: true, from: 'earliest' },
  assign: (context) => ({
    async handle(records) {
      for (const { key, value, headers, partition, offset } of records) {
        if (value && key === node) {
          const { run, seq, at, keyframe, procs } = decodeSampleChunk(value, headers);
          chunks.push({ run, seq, at, keyframe, rows: procs.pid.length });
        }
        if (offset >= (open.get(partition) ?? 0) - 1) open.delete(partition);
      }
      context.acknowledge(records.at(-1).offset);
      if (open.size === 0) done();
    },
  }),
});
await all;
await subscription.drain(2_000);
await log.close(2_000);
process.stdout.write(`${JSON.stringify(chunks)}\n`);
