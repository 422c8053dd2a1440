// Do the rollups say what the raw rows say? Least, greatest and last value of every column, computed anew.
import { lines } from './check-samples.mjs';

const ROLLUPS = [
  {
    raw: 'process_samples',
    table: 'process_samples_1m',
    key: ['node', 'boot', 'pid', 'start'],
    unit: 'toStartOfMinute',
  },
  { raw: 'process_samples', table: 'process_samples_1h', key: ['node', 'boot', 'pid', 'start'], unit: 'toStartOfHour' },
  { raw: 'node_samples', table: 'node_samples_1m', key: ['node'], unit: 'toStartOfMinute' },
  { raw: 'node_samples', table: 'node_samples_1h', key: ['node'], unit: 'toStartOfHour' },
];
/** Columns of rollups that are computed of others. */
const COMPUTED = { swap_used: 'toUInt64(if(swap_total >= swap_free, swap_total - swap_free, NULL))' };
const MOST_TOLD = 5;

export async function checkRollups(ask) {
  const problems = [];
  let rows = 0;
  for (const rollup of ROLLUPS) {
    const columns = await valueColumns(rollup, ask);
    rows += Number(await ask(`SELECT count() FROM tidemark.${rollup.table} FINAL`));
    const different = lines(await ask(comparison(rollup, columns)));
    problems.push(...describe(rollup, different));
  }
  return { problems, rows };
}

/** Both sides of a row in one line, with the cells that differ. */
function describe({ table, key }, rows) {
  const byPlace = new Map();
  for (const row of rows) {
    const place = [...key.map((name) => row[name]), row.time].join(' ');
    byPlace.set(place, { ...byPlace.get(place), [row.side]: row });
  }
  return [...byPlace].map(([place, { raw, rollup }]) => {
    if (!raw || !rollup) return `${table}: ${place}: only the ${raw ? 'raw rows have it' : 'rollup has it'}`;
    const cells = Object.keys(raw).filter((name) => name !== 'side' && raw[name] !== rollup[name]);
    const told = cells.map((name) => `${name} is ${rollup[name]}, raw rows say ${raw[name]}`);
    return `${table}: ${place}: ${told.join('; ')}`;
  });
}

async function valueColumns({ table, key }, ask) {
  const names = lines(
    await ask(`SELECT name FROM system.columns WHERE database = 'tidemark' AND table = '${table}' FORMAT JSONEachRow`),
  ).map(({ name }) => name);
  return names.filter((name) => !key.includes(name) && name !== 'time');
}

/** Rows that both sides have alike come twice; what comes once is told with the side that has it. */
function comparison({ raw, table, key, unit }, columns) {
  const keys = key.join(', ');
  const computed = columns.map((name) => `${computedAnew(name)} AS ${name}`).join(', ');
  const all = `${keys}, time, ${columns.join(', ')}`;
  return `SELECT any(side) AS side, ${keys}, time, ${columns.join(', ')} FROM (
      SELECT 'raw' AS side, ${all} FROM (SELECT ${keys}, ${unit}(r.at) AS time, ${computed} FROM tidemark.${raw} AS r GROUP BY ${keys}, time)
      UNION ALL SELECT 'rollup' AS side, ${all} FROM tidemark.${table} FINAL
    ) GROUP BY ${all} HAVING count() != 2 ORDER BY ${keys}, time LIMIT ${2 * MOST_TOLD} FORMAT JSONEachRow`;
}

function computedAnew(column) {
  if (column === 'last_at') return 'max(r.at)';
  const [, name, kind] = /^(.*)_(last|min|max)$/.exec(column) ?? [];
  if (!name) throw new Error(`rollup column ${column}: neither _last nor _min nor _max`);
  const value = COMPUTED[name] ?? `r.${name}`;
  return kind === 'last' ? `argMax(${value}, r.at)` : `${kind}(${value})`;
}
