// One drill: the whole system under load, faults by the plan of the seed, then healed, drained and counted.
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import { Topic } from '@tidemark/contracts';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkSystem } from './check.mjs';
import { runFaults } from './faults.mjs';
import { scrape, watchCounters } from './metrics.mjs';
import { planFaults } from './plan.mjs';
import { createSystem, pause, until } from './system.mjs';

const DRAIN_MS = 240_000;
const PLAYER_MS = 150_000;
/** Looks at the log, 0.7 s apart, in which nothing may move. */
const QUIET_LOOKS = 8;
/**
 * Who reads what; the log is drained when none of them lags, and nothing is written any more. The matcher's position stays at the
 * keyframes by intention, so its lag says nothing.
 */
const READERS = [
  [Topic.Samples, 'detect'],
  ...[Topic.Samples, Topic.Nodes, Topic.Allocations, Topic.Findings].map((topic) => [topic, 'record']),
];

/**
 * @param {{ seed: number, seconds: number, brokers: 1 | 3, nodes: number, processes: number, directory: string,
 *   plan?: object[], collect?: Record<string, string | number>, expectDropped?: boolean, say: (line: string) => void,
 *   signal: AbortSignal }} options
 * @returns {Promise<{ problems: string[], figures: Record<string, number> }>}
 */
export async function runSeed(options) {
  const { directory, say, signal } = options;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const system = createSystem(options);
  // A stop that was asked for ends everything at once; whatever waits for it then fails.
  const aborted = new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
  });
  aborted.catch(() => {});
  try {
    return await Promise.race([drill(system, options), aborted]);
  } catch (error) {
    return { problems: [`the drill itself: ${error.message}`], figures: {} };
  } finally {
    await system.stop();
    const left = Object.values(system.parts).filter(({ pid }) => pid !== undefined);
    if (left.length > 0) say(`still there: ${left.map(({ name, pid }) => `${name} (${pid})`).join(', ')}`);
  }
}

async function drill(system, options) {
  const { seed, seconds, directory, say, signal } = options;
  const startedAt = Date.now();
  await system.start();
  const players = system.players();
  for (const name of players) system.parts[name].start();
  const ledgers = players.map((name) => join(directory, `${name}.ledger`));
  await until(() => ledgers.every((file) => statSync(file).size > 0), 'the first chunks of the players');
  say(`everything runs after ${((Date.now() - startedAt) / 1000).toFixed(0)} s; load for ${seconds} s`);
  const counters = watchCounters({
    names: () => system.appNames().filter((name) => !name.startsWith('api')),
    url: system.url,
  });
  const plan = options.plan ?? planFaults({ seed, seconds, parts: system.targets() });
  const begun = Date.now();
  await loadUnderFaults({ system, plan, seconds, say, signal });
  const healed = Date.now();
  const problems = await finishLoad(system, players, say);
  const log = await createKafkaEventLog({ brokers: system.brokers(), clientId: 'tidemark-drill' });
  try {
    problems.push(...(await drainLog(log, say)));
    const counted = await counters.end();
    say(`drained ${((Date.now() - healed) / 1000).toFixed(0)} s after the last fault was healed`);
    const checked = await checkSystem({
      system,
      log,
      ledgers,
      counted,
      expectDropped: options.expectDropped,
      say,
    });
    problems.push(...checked.problems);
    for (const part of Object.values(system.parts)) problems.push(...part.surprises);
    const loadSeconds = Math.round((healed - begun) / 1000);
    return {
      problems,
      figures: {
        ...checked.figures,
        faults: plan.length,
        loadSeconds,
        drainSeconds: Math.round((Date.now() - healed) / 1000),
      },
    };
  } finally {
    await log.close(5_000);
  }
}

/** Resolves when the time is over and all is healed. */
async function loadUnderFaults({ system, plan, seconds, say, signal }) {
  const { parts, links } = system;
  await Promise.all([pause(seconds * 1000), runFaults({ plan, parts, links, say, signal })]);
}

/** Players make nothing new and send what they have; so does the collector. */
async function finishLoad(system, players, say) {
  const problems = [];
  const ended = players.map(async (name) => {
    const part = system.parts[name];
    if (!(await part.stop(PLAYER_MS))) problems.push(`${name} could not send what it had within ${PLAYER_MS / 1000} s`);
  });
  const collector = system.parts['collector-1'];
  const emptied = until(
    async () => (await scrape(system.url('collector-1'))).get('tidemark_collect_spooled_bytes') < 20_000,
    'the spool of the collector to be sent',
    collector,
    PLAYER_MS,
  ).catch((error) => problems.push(error.message));
  await Promise.all([...ended, emptied]);
  if (!(await collector.stop())) problems.push('collector-1 did not stop by itself');
  say('players and collector have sent everything');
  return problems;
}

async function drainLog(log, say) {
  const lags = async () => {
    const all = await Promise.all(
      READERS.map(async ([topic, group]) => [`${topic} ${group}`, await lagOf(log, topic, group)]),
    );
    return all.filter(([, lag]) => lag > 0);
  };
  // A busy machine drains slowly: only standing still is wrong.
  let [end, least] = [Date.now() + DRAIN_MS, Infinity];
  let [quiet, written] = [0, 0];
  let toldAt = Date.now();
  for (;;) {
    const behind = await lags();
    const total = behind.reduce((sum, [, lag]) => sum + lag, 0);
    if (total < least) [end, least] = [Date.now() + DRAIN_MS, total];
    const findings = (await log.lag(Topic.Findings, 'nobody')).reduce((sum, { end }) => sum + end, 0);
    quiet = behind.length === 0 && findings === written ? quiet + 1 : 0;
    written = findings;
    if (quiet === QUIET_LOOKS) return [];
    if (Date.now() > end)
      return behind.map(([reader, lag]) => `${reader} still lags by ${lag}, and did not move for ${DRAIN_MS / 1000} s`);
    if (Date.now() - toldAt > 15_000) {
      toldAt = Date.now();
      say(`waiting for ${behind.map(([reader, lag]) => `${reader} (${lag})`).join(', ')}`);
    }
    await pause(700);
  }
}

async function lagOf(log, topic, group) {
  return (await log.lag(topic, group)).reduce((sum, { lag }) => sum + lag, 0);
}
