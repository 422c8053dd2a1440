// What must be true when everything is healed and drained.
import { Topic } from '@tidemark/contracts';
import { checkApis } from './check-api.mjs';
import { checkAllocations, checkFindings, checkHeartbeats } from './check-records.mjs';
import { checkRollups } from './check-rollups.mjs';
import { checkGaps, checkLedger, checkSampleRows, distinctChunks } from './check-samples.mjs';
import { readLedgers } from './ledger-file.mjs';
import { readLog } from './log-contents.mjs';

export { distinctChunks, readLog };

/** @returns {Promise<{ problems: string[], figures: Record<string, number> }>} */
export async function checkSystem({ system, log, ledgers, counted, expectDropped = false, say }) {
  const { ask } = system;
  const ledger = readLedgers(ledgers);
  const { contents, damaged, deadLetters } = await readLog(log);
  const { chunks, repeats, problems: disorder } = distinctChunks(contents);
  const killedRuns = runsThatMayEndEarly(contents, ledger, system);
  const told = checkLedger(ledger, chunks, killedRuns);
  const gaps = checkGaps(chunks, droppedByRun(contents), killedRuns);
  const tables = await checkTables({ contents, chunks, ledger, ask });
  const apis = await checkApis(
    system
      .appNames()
      .filter((name) => name.startsWith('api'))
      .map(system.url),
    {
      nodes: new Set(chunks.map(({ node }) => node)),
      findings: new Set(contents[Topic.Findings].flatMap(({ item }) => (item.type === 'finding' ? [item.id] : []))),
    },
  );
  const problems = [
    ...[disorder, told.problems, gaps.problems, tables.problems, apis.problems].flat(),
    ...damaged.map(
      ({ topic, partition, offset, reason }) => `log: ${topic}/${partition} offset ${offset} is damaged: ${reason}`,
    ),
    ...deadLetters.map(({ topic, headers }) => `${topic}: ${headers['dlq-reason']}`),
    ...counted
      .filter(({ name }) => !(expectDropped && name.includes('_dropped_')))
      .map(({ name, value }) => `${name} is ${value}`),
  ];
  const figures = {
    ...{ chunks: chunks.length, repeats, gaps: gaps.lost, unsent: told.unsent, ...tables.figures },
    deadLetters: deadLetters.length,
  };
  say(
    `${figures.chunks} chunks with ${figures.samples} samples, ${figures.findings} findings, ${figures.allocationChunks} allocation chunks, ${figures.heartbeats} heartbeats; ${repeats} chunks twice in the log; ${figures.unsent} chunks died unsent with a killed player, ${figures.gaps} missing in the log and counted`,
  );
  return { problems, figures };
}

/**
 * What the log says against every table.
 *
 * @returns {Promise<{ problems: string[], figures: Record<string, number> }>}
 */
export async function checkTables({ contents, chunks, ledger, ask }) {
  const samples = await checkSampleRows(chunks, ask);
  const rollups = await checkRollups(ask);
  const findings = await checkFindings(contents, ledger, ask);
  const heartbeats = await checkHeartbeats(contents, ask);
  const allocations = await checkAllocations(contents, ledger, ask);
  return {
    problems: [samples, rollups, findings, heartbeats, allocations].flatMap(({ problems }) => problems),
    figures: {
      ...{ samples: samples.rows, rollupRows: rollups.rows, findings: findings.count },
      ...{ heartbeats: heartbeats.count, allocationChunks: allocations.count },
    },
  };
}

/**
 * Runs of players and collectors that were killed: what they had in memory went with them. A player numbers its runs; of a
 * collector's runs all but the last ended by a kill, since nothing else ends one.
 */
function runsThatMayEndEarly(contents, ledger, system) {
  const runs = new Set();
  for (const { made, player } of ledger.samples.values()) {
    if (Number(made.run.split('-').at(-1)) < system.parts[player].starts - 1) runs.add(made.run);
  }
  const known = new Set([...ledger.samples.values()].map(({ made }) => made.run));
  const others = new Map();
  for (const { item } of contents[Topic.Samples]) {
    if (!known.has(item.run)) others.set(item.node, (others.get(item.node) ?? new Set()).add(item.run));
  }
  for (const list of others.values()) for (const run of [...list].slice(0, -1)) runs.add(run);
  return runs;
}

/** What collectors themselves say that they dropped. */
function droppedByRun(contents) {
  const dropped = new Map();
  for (const { item } of contents[Topic.Nodes]) {
    dropped.set(item.run, Math.max(dropped.get(item.run) ?? 0, item.collector.droppedChunks));
  }
  return dropped;
}
