// A player of the drill: plays its hosts, and writes down what it made and what the log acknowledged before it goes on.
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import { openSync, writeSync } from 'node:fs';
import { playLoad } from '../load/play.mjs';

const { brokers, ledger, ...load } = JSON.parse(process.argv[2]);
const file = openSync(ledger, 'a');
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
process.on('SIGINT', () => stop.abort());
// What a killed process had written is in the kernel and stays.
const note = (word, entry) => writeSync(file, `${word} ${JSON.stringify(entry)}\n`);

let log;
while (!log) {
  try {
    log = await createKafkaEventLog({
      ...{ brokers, clientId: 'tidemark-drill-player' },
      onWarning: (line) => process.stderr.write(`warning: ${line}\n`),
    });
  } catch (error) {
    if (stop.signal.aborted) process.exit(1);
    process.stderr.write(`no log yet: ${error.message}\n`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
const result = await playLoad({
  ...load,
  log,
  ...{
    figures: true,
    lingerMs: 1_000,
    drainMs: 120_000,
    waitingBytes: 64 * 1024 * 1024,
    at: Date.now(),
    signal: stop.signal,
  },
  onMade: (entry) => note('made', entry),
  onAcknowledged: ({ kind, node, run, seq, at, id, trace }) => note('taken', { kind, node, run, seq, at, id, trace }),
  onRefused: (error) => process.stderr.write(`refused: ${error.message}\n`),
});
process.stdout.write(`done ${JSON.stringify(result)}\n`);
await log.close(5_000);
process.exit(result.drained ? 0 : 1);
