// Everything that the event log holds, read once from its beginning.
import {
  decodeAllocationChunk,
  decodeFindingRecord,
  decodeNodeRecord,
  decodeSampleChunk,
  deadLetterTopic,
  Topic,
} from '@tidemark/contracts';

const DECODERS = {
  [Topic.Samples]: decodeSampleChunk,
  [Topic.Allocations]: decodeAllocationChunk,
  [Topic.Nodes]: decodeNodeRecord,
  [Topic.Findings]: decodeFindingRecord,
};
const QUIET_MS = 120_000;

/** Records of each topic with `offset`, `partition` and what they say, in the order of their partitions; dead letters too. */
export async function readLog(log) {
  const contents = {};
  const damaged = [];
  for (const [topic, decode] of Object.entries(DECODERS)) {
    const items = [];
    for (const record of await readTopic(log, topic)) {
      if (record.value === null) continue;
      const { partition, offset } = record;
      try {
        items.push({ partition, offset, item: decode(record.value, record.headers) });
      } catch (error) {
        damaged.push({ topic, partition, offset, reason: error.message });
      }
    }
    contents[topic] = items;
  }
  const deadLetters = [];
  for (const topic of Object.keys(DECODERS)) deadLetters.push(...(await readTopic(log, deadLetterTopic(topic))));
  return { contents, damaged, deadLetters };
}

async function readTopic(log, topic) {
  const lags = await log.lag(topic, 'nobody');
  const left = new Map(lags.filter(({ end, lag }) => end > 0 && lag > 0).map(({ partition, end }) => [partition, end]));
  const records = [];
  if (left.size === 0) return records;
  let heard = Date.now();
  const view = await log.subscribe({
    ...{ topic, group: 'nobody', ephemeral: true, from: 'earliest', maxInFlightBytes: 64 * 1024 * 1024 },
    assign: (context) => ({
      async handle(batch) {
        records.push(...batch);
        heard = Date.now();
        for (const { offset } of batch) context.acknowledge(offset);
        if (batch.at(-1).offset + 1 >= (left.get(context.partition) ?? 0)) left.delete(context.partition);
      },
    }),
  });
  while (left.size > 0) {
    if (Date.now() - heard > QUIET_MS)
      throw new Error(`${topic}: partitions ${[...left.keys()]} were not read to their end`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await view.drain(2_000);
  return records;
}
