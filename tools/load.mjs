// `npm run load` plays many hosts of many processes into a Kafka cluster, as their collectors would.
import { TOPICS } from '@tidemark/contracts';
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import { parseArgs } from 'node:util';
import { playLoad } from './load/play.mjs';

const USAGE = `Usage: npm run load -- [options]

Plays hosts of processes into Kafka: samples, heartbeats, allocation chunks, a leak here and there.

  --brokers LIST    host:port, separated by commas (default 127.0.0.1:9092)
  --prefix TEXT     stands before the name of every topic
  --nodes N         hosts (default 100)
  --processes N     processes of each (default 500)
  --seconds N       how long (default 60)
  --interval MS     between two rounds of a host (default 1000)
  --changing SHARE  of the processes that change in a round (default 0.2)
  --leaks N         processes that leak (default one in 5000)
  --traces N        processes that are traced (default one in ten nodes)
  --findings N      verdicts a minute and host (default 0)
  --seed N          the same seed plays the same (default 1)
  --first N         number of the first host (default 0)
  --linger MS       a host's small round waits so long for the next, as a collector's does (default 1000)
  --prepare SECONDS make all records in this time, before the first one is due (default 0: each when it is due)
  --unpaced         as fast as the log takes it
`;

const NUMBERS = {
  nodes: [1, 100_000],
  processes: [1, 20_000],
  seconds: [1, 1e6],
  interval: [100, 3_600_000],
  changing: [0, 1],
  leaks: [0, 1e9],
  traces: [0, 1e6],
  findings: [0, 600],
  seed: [0, 2 ** 31],
  first: [0, 1e6],
  linger: [0, 60_000],
  prepare: [0, 3600],
};

const { brokers, prefix, unpaced, findings, linger = 1_000, prepare = 0, ...numbers } = readOptions();
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop.abort());
let log;
try {
  const warn = (line) => process.stderr.write(`load: ${line}\n`);
  log = await createKafkaEventLog({ brokers: brokers.split(','), prefix, clientId: 'tidemark-load', onWarning: warn });
  await log.ensureTopics(TOPICS);
  await play();
} catch (error) {
  process.stderr.write(`load: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  await log?.close(5_000);
}

async function play() {
  let [toldAt, before] = [performance.now(), 0];
  const onProgress = ({ acknowledged, bytes, lateMs, refusals }) => {
    const now = performance.now();
    if (now - toldAt < 2_000) return;
    const rate = Math.round(((acknowledged.samples - before) * 1000) / (now - toldAt));
    [toldAt, before] = [now, acknowledged.samples];
    say(
      `${number(rate)} samples/s, ${number(acknowledged.samples)} acknowledged, ${(bytes / 1e6).toFixed(1)} MB, ${refusals} refusals, late by ${Math.round(lateMs)} ms at most`,
    );
  };
  const findingsPerMinute = findings ?? 0;
  const result = await playLoad({
    log,
    ...numbers,
    findingsPerMinute,
    lingerMs: linger,
    prepareMs: prepare * 1000,
    paced: !unpaced,
    signal: stop.signal,
    onProgress,
  });
  const { acknowledged, made, seconds, drainSeconds, cpuSeconds, bytes, drained } = result;
  const rate = acknowledged.samples / (seconds + drainSeconds);
  say(
    `${number(acknowledged.samples)} process samples in ${number(acknowledged.chunks)} chunks, ${acknowledged.heartbeats} heartbeats, ${acknowledged.allocations} allocation chunks, ${acknowledged.findings} findings`,
    `${number(Math.round(rate))} samples/s over ${(seconds + drainSeconds).toFixed(1)} s, ${(bytes / made.samples).toFixed(1)} bytes each; own CPU ${cpuSeconds.toFixed(1)} s, ${((cpuSeconds * 1e6) / made.samples).toFixed(2)} µs a sample`,
  );
  if (drained) return;
  process.stderr.write(`load: the log did not take ${made.chunks - acknowledged.chunks} chunks in time\n`);
  process.exitCode = 1;
}

function readOptions() {
  try {
    const text = { type: 'string' };
    const options = Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, text]));
    const { values } = parseArgs({
      options: { ...options, brokers: text, prefix: text, unpaced: { type: 'boolean' }, help: { type: 'boolean' } },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const given = Object.keys(NUMBERS).flatMap((name) =>
      values[name] === undefined ? [] : [[name, read(name, values)]],
    );
    const { brokers = '127.0.0.1:9092', prefix = '', unpaced = false } = values;
    return { nodes: 100, processes: 500, seconds: 60, ...Object.fromEntries(given), brokers, prefix, unpaced };
  } catch (error) {
    process.stderr.write(`load: ${error.message.split('\n')[0]}; --help lists the options\n`);
    process.exit(2);
  }
}

function read(name, values) {
  const value = Number(values[name]);
  const [least, most] = NUMBERS[name];
  if (values[name] !== '' && value >= least && value <= most) return value;
  throw new Error(`--${name} ${values[name]}: must be a number from ${least} to ${most}`);
}

function number(value) {
  return value.toLocaleString('en');
}

function say(...lines) {
  for (const line of lines) process.stdout.write(`${line}\n`);
}
