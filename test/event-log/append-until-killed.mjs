// Appends to a journal and says on standard output what was acknowledged, until somebody kills it.
// Usage: append-until-killed.mjs '{"directory", "seed"}'
import { writeSync } from 'node:fs';
import { createMemoryEventLog } from '@tidemark/event-log';

const { directory, seed } = JSON.parse(process.argv[2]);
let state = seed;

/** A number from 0 up to below `below`; the same sequence for the same seed. */
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

function say(line) {
  writeSync(1, `${line}\n`);
}

const log = await createMemoryEventLog({
  journal: { directory, segmentBytes: 32_768, memoryBytes: 65_536 },
  housekeepingMs: 20,
});
await log.ensureTopics([
  { name: 'numbers', partitions: 3, cleanup: 'delete', retentionMs: 3_600_000 },
  { name: 'latest', partitions: 1, cleanup: 'compact', retentionMs: 3_600_000 },
]);

/** Where each key goes on: behind what earlier runs left, acknowledged or not. */
const next = {};
for (const topic of ['numbers', 'latest']) {
  const lags = (await log.lag(topic, 'nobody')).filter(({ lag }) => lag > 0);
  await Promise.all(lags.map(({ partition, end }) => readTo(topic, partition, end)));
}

async function readTo(topic, partition, end) {
  let view;
  await new Promise((resolve, reject) => {
    const assign = (context) => ({
      async handle(records) {
        for (const { key, value } of records) next[key] = parseInt(value.toString(), 10) + 1;
        const offset = records.at(-1).offset + 1;
        await context.commit(offset);
        if (offset >= end) resolve();
      },
    });
    const others = { handle: () => new Promise(() => {}) };
    view = log.subscribe({
      topic,
      group: '',
      ephemeral: true,
      from: 'earliest',
      assign: (context) => (context.partition === partition ? assign(context) : others),
    });
    view.catch(reject);
  });
  await (await view).drain(0);
}

await log.subscribe({
  topic: 'numbers',
  group: 'reader',
  from: 'earliest',
  assign: (context) => ({
    async handle(records) {
      const offset = records.at(-1).offset + 1;
      await context.commit(offset, `up to ${offset}`);
      say(`committed ${context.partition} ${offset}`);
    },
  }),
});

async function produce(key) {
  for (let number = next[key] ?? 0; ;) {
    const count = 1 + random(20);
    const records = Array.from({ length: count }, (_, index) => ({
      topic: 'numbers',
      key,
      value: Buffer.from(String(number + index).padEnd(random(400), '.')),
    }));
    number += count;
    await log.append(records);
    say(`appended ${key} ${number}`);
  }
}

async function replace(key) {
  for (let number = next[key] ?? 0; ; number++) {
    await log.append([{ topic: 'latest', key, value: Buffer.from(`${number} ${'x'.repeat(random(2_000))}`) }]);
    say(`replaced ${key} ${number}`);
  }
}

say('started');
await Promise.all([
  ...['a', 'b', 'c', 'd', 'e'].map((key) => produce(key)),
  ...['r', 's', 't'].map((key) => replace(key)),
]);
