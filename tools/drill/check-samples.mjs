// Are the samples of the log in the tables once, cell by cell?
import { Topic } from '@tidemark/contracts';
import { chunkFigures, FIGURES_SQL } from '../load/ledger.mjs';

const SUMS = ['rows', 'pids', 'rss', 'utime', 'mix'];

/** The chunks of the log, each once, and what the log says of the order in which they came. */
export function distinctChunks(contents) {
  const chunks = new Map();
  const newest = new Map();
  const problems = [];
  let repeats = 0;
  for (const { item: chunk } of contents[Topic.Samples]) {
    const run = `${chunk.node} ${chunk.run}`;
    const name = `${run} ${chunk.seq}`;
    if (chunks.has(name)) repeats++;
    else {
      if (chunk.seq < (newest.get(run) ?? -1))
        problems.push(`log: node ${chunk.node} run ${chunk.run}: seq ${chunk.seq} came after ${newest.get(run)}`);
      newest.set(run, Math.max(chunk.seq, newest.get(run) ?? -1));
      chunks.set(name, chunk);
    }
  }
  return { chunks: [...chunks.values()], repeats, problems };
}

/**
 * Compares what the players wrote down with the log: what was acknowledged must be in it, what is in it must have been made as
 * it stands there. What was made and is not in it must be of a run that was killed.
 */
export function checkLedger(ledger, chunks, killedRuns) {
  const problems = [];
  const inLog = new Map(chunks.map((chunk) => [`${chunk.node} ${chunk.run} ${chunk.seq}`, chunk]));
  let unsent = 0;
  for (const [name, { made, taken }] of ledger.samples) {
    const chunk = inLog.get(name);
    if (chunk && !same(chunkFigures(chunk), made.figures)) problems.push(`log: chunk ${name} is not what was made`);
    if (chunk) continue;
    if (taken) problems.push(`log: chunk ${name} was acknowledged and is not there`);
    else if (killedRuns.has(made.run)) unsent++;
    else problems.push(`log: chunk ${name} was made, never acknowledged, and its player was not killed`);
  }
  const players = new Set([...ledger.samples.values()].map(({ made }) => made.run));
  for (const chunk of chunks) {
    const name = `${chunk.node} ${chunk.run} ${chunk.seq}`;
    if (players.has(chunk.run) && !ledger.samples.has(name)) problems.push(`log: chunk ${name} was never made`);
  }
  return { problems, unsent };
}

/** Chunks that are missing within a run; `dropped` are those that the collector itself counted, by run. */
export function checkGaps(chunks, dropped, killedRuns) {
  const runs = new Map();
  for (const { node, run, seq } of chunks) {
    const known = runs.get(run) ?? { node, seqs: new Set() };
    known.seqs.add(seq);
    runs.set(run, known);
  }
  const problems = [];
  let lost = 0;
  for (const [run, { node, seqs }] of runs) {
    const last = Math.max(...seqs);
    const missing = [];
    for (let seq = 0; seq <= last; seq++) if (!seqs.has(seq)) missing.push(seq);
    lost += missing.length;
    const counted = dropped.get(run) ?? 0;
    if (missing.length > counted && !killedRuns.has(run)) {
      problems.push(
        `log: node ${node} run ${run}: seq ${missing.slice(0, 10)} missing (${missing.length}), ${counted} counted as dropped`,
      );
    }
  }
  return { problems, lost };
}

/** Raw rows of every round against what its chunk says. */
export async function checkSampleRows(chunks, ask) {
  const rounds = new Map();
  for (const chunk of chunks) {
    const name = `${chunk.node} ${chunk.boot} ${chunk.at}`;
    const figures = chunkFigures(chunk);
    const round = rounds.get(name) ?? { ...zero(), node: chunk.node, at: chunk.at, runs: new Set(), seqs: [] };
    for (const key of Object.keys(figures)) round[key] += figures[key];
    round.runs.add(chunk.run);
    round.seqs.push(chunk.seq);
    rounds.set(name, round);
  }
  const problems = [
    ...(await compareProcesses(rounds, ask)),
    ...(await compareCounts(rounds, ask, 'node_samples', 'nodeRows')),
    ...(await compareCounts(rounds, ask, 'device_samples', 'deviceRows')),
    ...(await compareFacts(chunks, ask)),
  ];
  return { problems, rows: [...rounds.values()].reduce((sum, { rows }) => sum + rows, 0) };
}

async function compareProcesses(rounds, ask) {
  const text = await ask(
    `SELECT node, boot, toUnixTimestamp64Milli(at) AS at_ms, ${FIGURES_SQL} FROM tidemark.process_samples AS s
     GROUP BY node, boot, at FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0`,
  );
  const problems = [];
  const found = new Map(lines(text).map((row) => [`${row.node} ${row.boot} ${row.at_ms}`, row]));
  for (const [name, round] of rounds) {
    const row = found.get(name) ?? zero();
    found.delete(name);
    if (SUMS.every((key) => Number(row[key] ?? 0) === round[key])) continue;
    const what = row.rows === round.rows ? 'other figures' : `${row.rows} rows instead of ${round.rows}`;
    problems.push(`process_samples: ${where(round)}: ${what}`);
  }
  for (const [name, { rows }] of found) problems.push(`process_samples: ${name}: ${rows} rows that the log has not`);
  return problems;
}

async function compareCounts(rounds, ask, table, key) {
  const text = await ask(
    `SELECT node, toUnixTimestamp64Milli(at) AS at_ms, count() AS rows FROM tidemark.${table}
     GROUP BY node, at FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0`,
  );
  const problems = [];
  const found = new Map(lines(text).map((row) => [`${row.node} ${row.at_ms}`, row.rows]));
  for (const round of rounds.values()) {
    const name = `${round.node} ${round.at}`;
    const rows = found.get(name) ?? 0;
    found.delete(name);
    if (rows !== round[key]) problems.push(`${table}: ${where(round)}: ${rows} rows instead of ${round[key]}`);
  }
  for (const [name, rows] of found) problems.push(`${table}: ${name}: ${rows} rows that the log has not`);
  return problems;
}

/** Every process that facts or an exit were told of, with the time of its exit. */
async function compareFacts(chunks, ask) {
  const wanted = new Map();
  for (const { node, boot, at, facts, exits } of chunks) {
    facts.pid.forEach((pid, index) => {
      const key = `${node} ${boot} ${pid} ${facts.start[index]}`;
      wanted.set(key, { exit: 0, ...wanted.get(key), program: facts.program[index] });
    });
    exits.pid.forEach((pid, index) => {
      const key = `${node} ${boot} ${pid} ${exits.start[index]}`;
      const known = wanted.get(key) ?? { program: null, exit: 0 };
      wanted.set(key, { ...known, exit: Math.max(known.exit, at) });
    });
  }
  const text = await ask(
    `SELECT node, boot, pid, start, program, toUnixTimestamp64Milli(exited_at) AS exit FROM tidemark.processes FINAL
     FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0`,
  );
  const problems = [];
  for (const { node, boot, pid, start, program, exit } of lines(text)) {
    const key = `${node} ${boot} ${pid} ${start}`;
    const known = wanted.get(key);
    wanted.delete(key);
    if (!known) problems.push(`processes: ${key} is not in the log, or twice in the table`);
    else if (known.program !== program || known.exit !== Number(exit ?? 0)) {
      problems.push(`processes: ${key}: ${program}, exit ${exit}; the log has ${known.program}, ${known.exit}`);
    }
  }
  for (const key of wanted.keys()) problems.push(`processes: ${key} is missing`);
  return problems;
}

export function lines(text) {
  return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line));
}

function where({ node, runs, seqs, at }) {
  return `node ${node} run ${[...runs]} seq ${seqs.slice(0, 8)} at ${at}`;
}

function zero() {
  return { rows: 0, facts: 0, exits: 0, nodeRows: 0, deviceRows: 0, pids: 0, rss: 0, utime: 0, mix: 0 };
}

function same(left, right) {
  return Object.keys(left).every((key) => left[key] === right[key]);
}
