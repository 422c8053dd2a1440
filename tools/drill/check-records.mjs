// Findings, heartbeats and allocation chunks of the log against their tables.
import { siteId, Topic } from '@tidemark/contracts';
import { lines } from './check-samples.mjs';

const STRETCH_MS = 10_000;
const NUMBERS = 'SETTINGS output_format_json_quote_64bit_integers = 0';

export async function checkFindings(contents, ledger, ask) {
  const wanted = new Map();
  const newest = new Map();
  for (const { item } of contents[Topic.Findings]) {
    if (item.type !== 'finding') continue;
    wanted.set(`${item.id} ${item.at} ${item.state} ${item.imminent}`, 1);
    newest.set(item.id, Math.max(item.at, newest.get(item.id) ?? 0));
  }
  const problems = [];
  const inLog = new Set(contents[Topic.Findings].map(({ item }) => item.id));
  for (const [id, { taken }] of ledger.findings) {
    if (taken && !inLog.has(id)) problems.push(`log: finding ${id} was acknowledged and is not there`);
  }
  const rows = lines(
    await ask(
      `SELECT id, toUnixTimestamp64Milli(at) AS at_ms, state, imminent, count() AS rows FROM tidemark.findings
       GROUP BY id, at, state, imminent FORMAT JSONEachRow ${NUMBERS}`,
    ),
  );
  const found = new Map(
    rows.map(({ id, at_ms, state, imminent, rows }) => [`${id} ${at_ms} ${state} ${imminent}`, rows]),
  );
  problems.push(...differences('findings', wanted, found));
  const current = lines(
    await ask(
      `SELECT id, toUnixTimestamp64Milli(at) AS at_ms FROM tidemark.findings_current FINAL FORMAT JSONEachRow ${NUMBERS}`,
    ),
  );
  problems.push(...differences('findings_current', newest, new Map(current.map(({ id, at_ms }) => [id, at_ms]))));
  return { problems, count: wanted.size };
}

export async function checkHeartbeats(contents, ask) {
  const wanted = new Map(
    contents[Topic.Nodes].map(({ item }) => [`${item.node} ${item.at} ${item.run} ${item.state}`, 1]),
  );
  const rows = lines(
    await ask(
      `SELECT node, toUnixTimestamp64Milli(at) AS at_ms, run, state, count() AS rows FROM tidemark.heartbeats
       GROUP BY node, at, run, state FORMAT JSONEachRow ${NUMBERS}`,
    ),
  );
  const found = new Map(rows.map(({ node, at_ms, run, state, rows }) => [`${node} ${at_ms} ${run} ${state}`, rows]));
  const problems = differences('heartbeats', wanted, found);
  const newest = new Map();
  for (const { item } of contents[Topic.Nodes]) newest.set(item.node, Math.max(item.at, newest.get(item.node) ?? 0));
  const nodes = lines(
    await ask(
      `SELECT node, toUnixTimestamp64Milli(at) AS at_ms FROM tidemark.nodes FINAL FORMAT JSONEachRow ${NUMBERS}`,
    ),
  );
  problems.push(...differences('nodes', newest, new Map(nodes.map(({ node, at_ms }) => [node, at_ms]))));
  return { problems, count: wanted.size };
}

/** The newest word of each key: chunks are cumulative. */
export async function checkAllocations(contents, ledger, ask) {
  const chunks = contents[Topic.Allocations].map(({ item }) => item).sort((a, b) => a.at - b.at || a.seq - b.seq);
  const wanted = { sites: new Map(), survivors: new Map(), traces: new Map(), names: new Map() };
  for (const chunk of chunks) addChunk(wanted, chunk);
  const problems = [];
  const inLog = new Set(chunks.map(({ trace, run, seq }) => `${trace} ${run} ${seq}`));
  for (const [name, { taken }] of ledger.allocations) {
    if (taken && !inLog.has(name)) problems.push(`log: allocation chunk ${name} was acknowledged and is not there`);
  }
  const tables = [
    [
      'allocation_sites',
      wanted.sites,
      'run, toString(site), toString(toUnixTimestamp(time))',
      'toString(allocations), toString(live_bytes), toString(toUnixTimestamp64Milli(at))',
    ],
    [
      'unmatched_allocations',
      wanted.survivors,
      'run, toString(address), toString(toUnixTimestamp64Micro(time))',
      'toString(freed), toString(size)',
    ],
    [
      'allocation_traces',
      wanted.traces,
      "''",
      'state, toString(allocations), toString(live_bytes), toString(survivors_total), toString(toUnixTimestamp64Milli(at))',
    ],
    ['allocation_site_names', wanted.names, 'run, toString(site)', 'site_id'],
  ];
  for (const [table, expected, key, value] of tables) {
    const text = await ask(
      `SELECT arrayStringConcat([node, boot, toString(pid), toString(start), trace, ${key}], ' ') AS key,
       arrayStringConcat([${value}], ' ') AS value FROM tidemark.${table} FINAL FORMAT JSONEachRow`,
    );
    problems.push(...differences(table, expected, new Map(lines(text).map((row) => [row.key, row.value]))));
  }
  return { problems, count: inLog.size };
}

function addChunk({ sites, survivors, traces, names }, chunk) {
  const { node, boot, pid, start, trace, run, at, totals } = chunk;
  const key = `${node} ${boot} ${pid} ${start} ${trace}`;
  const time = Math.floor(at);
  for (const one of chunk.sites) {
    const stretch = (Math.floor(time / STRETCH_MS) * STRETCH_MS) / 1000;
    sites.set(`${key} ${run} ${one.site} ${stretch}`, `${one.allocations} ${one.liveBytes} ${time}`);
  }
  for (const { address, time } of chunk.freed)
    survivors.set(`${key} ${run} ${address} ${Math.round(time * 1000)}`, 'true 0');
  for (const { address, time, size } of chunk.survivors) {
    survivors.set(`${key} ${run} ${address} ${Math.round(time * 1000)}`, `false ${size}`);
  }
  traces.set(`${key} `, `${chunk.state} ${totals.allocations} ${totals.liveBytes} ${chunk.survivorsTotal} ${time}`);
  for (const { site, frames } of chunk.stacks) names.set(`${key} ${run} ${site}`, siteId(frames));
}

function differences(table, wanted, found) {
  const problems = [];
  for (const [key, value] of wanted) {
    if (!found.has(key)) problems.push(`${table}: ${key} is missing`);
    else if (found.get(key) !== value) problems.push(`${table}: ${key}: is ${found.get(key)}, must be ${value}`);
  }
  for (const key of found.keys()) if (!wanted.has(key)) problems.push(`${table}: ${key} is not in the log`);
  return problems;
}
