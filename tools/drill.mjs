// `npm run drill`: load on the whole system while its parts are killed, paused and cut off by turns; then everything is counted.
import { join, resolve } from 'node:path';
import { tmpdir } from 'node:os';
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runSeed } from './drill/run-seed.mjs';
import { outagePlan } from './drill/outage.mjs';
import { whyNoKafka } from './kafka/distribution.mjs';

const USAGE = `Usage: npm run drill -- [options]

Starts Kafka, ClickHouse, two processors, two writers, two APIs, a collector and players of load; kills, pauses and cuts
them off by turns, as the seed has it; heals everything and checks that history has each acknowledged record once.

  --seed N          what is done to whom, and the load (default 1)
  --seeds A-B       one after the other
  --minutes M       load under faults (default 1.5)
  --brokers N       one or three (default 3)
  --nodes N         hosts that are played (default 16)
  --processes N     processes of each (default 100)
  --outage S        instead of faults: all brokers are gone for S seconds
  --data DIR        where everything is kept (default a directory of its own in the temporary one)
  --keep            do not remove it afterwards; it is kept in any case when something is wrong
`;

const MOST_TOLD = 40;
// Brokers that live for minutes do not win back what the second compiler takes.
process.env._JAVA_OPTIONS ??= '-XX:TieredStopAtLevel=1';
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    say(`Stopping on ${signal}…`);
    stop.abort();
  });
}
const options = readOptions();
const reason = whyNoKafka();
if (reason) {
  process.stderr.write(`drill: ${reason}\n`);
  process.exit(1);
}
const verdicts = [];
for (const seed of options.seeds) {
  if (stop.signal.aborted) break;
  verdicts.push(await drillSeed(seed));
}
for (const verdict of verdicts) say(verdict.line);
process.exit(stop.signal.aborted ? 130 : verdicts.every(({ passed }) => passed) ? 0 : 1);

async function drillSeed(seed) {
  const { minutes, outage, data, keep, ...rest } = options;
  const directory = join(data ?? join(tmpdir(), 'tidemark-drill'), `seed-${seed}-${process.pid}`);
  const seconds = outage ? outage + 30 : minutes * 60;
  const startedAt = Date.now();
  say(`Seed ${seed}, in ${directory}`);
  const special = outage ? { plan: outagePlan(rest.brokers, outage) } : {};
  const { problems, figures } = await runSeed({
    ...rest,
    ...special,
    seed,
    seconds,
    directory,
    say,
    signal: stop.signal,
  });
  for (const problem of problems.slice(0, MOST_TOLD)) say(`  WRONG ${problem}`);
  if (problems.length > MOST_TOLD) say(`  … and ${problems.length - MOST_TOLD} more`);
  const passed = problems.length === 0;
  if (passed && !keep) rmSync(directory, { recursive: true, force: true });
  const took = Math.round((Date.now() - startedAt) / 1000);
  const told = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  const line = `seed ${seed}: ${passed ? 'PASSED' : `FAILED (${problems.length} problems, see ${directory})`} in ${took} s; ${told.join(', ')}`;
  say(line);
  return { passed, line };
}

function readOptions() {
  try {
    const text = { type: 'string' };
    const { values } = parseArgs({
      options: {
        ...{
          seed: text,
          seeds: text,
          minutes: text,
          brokers: text,
          nodes: text,
          processes: text,
          outage: text,
          data: text,
        },
        ...{ keep: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const number = (name, fallback, least, most) => {
      const value = Number(values[name] ?? fallback);
      if (value >= least && value <= most) return value;
      throw new Error(`--${name} ${values[name]}: must be a number from ${least} to ${most}`);
    };
    const brokers = number('brokers', 3, 1, 3);
    if (brokers === 2) throw new Error('--brokers 2: must be 1 or 3');
    return {
      ...{ brokers, nodes: number('nodes', 16, 2, 1_000), processes: number('processes', 100, 1, 20_000) },
      ...{ minutes: number('minutes', 1.5, 0.2, 600), seeds: seedsOf(values), keep: values.keep },
      outage: values.outage === undefined ? undefined : number('outage', 0, 5, 7_200),
      data: values.data === undefined ? undefined : resolve(values.data),
    };
  } catch (error) {
    process.stderr.write(`drill: ${error.message.split('\n')[0]}; --help lists the options\n`);
    process.exit(2);
  }
}

function seedsOf({ seed = '1', seeds }) {
  const [, from, to] = /^(\d{1,9})-(\d{1,9})$/.exec(seeds ?? `${seed}-${seed}`) ?? [];
  if (from === undefined || Number(to) < Number(from))
    throw new Error(`--seeds ${seeds ?? seed}: must be as 3 or 1-20`);
  return Array.from({ length: Number(to) - Number(from) + 1 }, (_, index) => Number(from) + index);
}

function say(line) {
  process.stdout.write(`${line}\n`);
}
