import { PROCESS_NUMBERS, type ProcessNumber, type SampleChunk } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestHistory, type TestHistory } from '../testing/open-history.js';
import { randomSource, simulateNode } from '../testing/simulated-node.js';
import { columnName } from './block.js';
import { sampleBlocks } from './sample-blocks.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const EXTREMES: readonly ProcessNumber[] = ['rss', 'rssAnon', 'swap', 'pss', 'uss'];

type Row = Record<string, string | null>;

/** What a rollup must say, from the definition: least, greatest and last known value of each figure per key and grain. */
function recompute(chunks: readonly SampleChunk[], grainMs: number): Map<string, Row> {
  const rows = new Map<string, Row>();
  for (const { node, boot, at, procs } of chunks) {
    procs.pid.forEach((pid, index) => {
      const key = [node, boot, pid, procs.start[index], Math.floor(at / grainMs) * (grainMs / 1000)].join(' ');
      const row = rows.get(key) ?? {};
      rows.set(key, row);
      row['last_at'] = String(Math.max(at, Number(row['last_at'] ?? 0)));
      for (const figure of PROCESS_NUMBERS) {
        const value = procs[figure]?.[index];
        if (value === null || value === undefined) continue;
        const column = columnName(figure);
        row[`${column}_last`] = String(value);
        if (!EXTREMES.includes(figure)) continue;
        row[`${column}_min`] = String(Math.min(value, Number(row[`${column}_min`] ?? Infinity)));
        row[`${column}_max`] = String(Math.max(value, Number(row[`${column}_max`] ?? -Infinity)));
      }
    });
  }
  return rows;
}

describe('the rollups of process samples', () => {
  let test: TestHistory;
  let chunks: SampleChunk[];
  beforeAll(async () => {
    test = await openTestHistory();
    const from = Math.floor(Date.now() / HOUR) * HOUR - HOUR - 3 * MINUTE;
    const nodes = ['a', 'b', 'c'].map((node, index) =>
      simulateNode({ node, from, rounds: 240, roundMs: 1_500, processes: 4, seed: 11 + index, keyframeEvery: 40 }),
    );
    chunks = nodes.flatMap((node) => node.chunks);
    const random = randomSource(99);
    // Batches of all sizes, as a busy and a quiet log would cut them.
    let batch = 1_000;
    for (const node of nodes) {
      for (let index = 0; index < node.chunks.length;) {
        const size = 1 + Math.floor(random() * 60);
        const blocks = sampleBlocks(node.chunks.slice(index, index + size), () => batch * 1024);
        await test.history.write(blocks, { token: `r/${batch}`, again: random() < 0.3 });
        batch++;
        index += size;
      }
    }
    // And one so large that the server would sort it out of the order of time.
    const large = simulateNode({
      node: 'd',
      from,
      rounds: 1_500,
      roundMs: 500,
      processes: 20,
      seed: 1,
      keyframeEvery: 60,
    });
    await test.history.write(
      sampleBlocks(large.chunks, () => batch * 1024),
      { token: `r/${batch}`, again: false },
    );
    chunks.push(...large.chunks);
  });
  afterAll(() => test.close());

  async function stored(table: string): Promise<Map<string, Row>> {
    const columns = await test.connection.query<{ name: string }>(
      'SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}',
      { table },
    );
    const figures = columns.map(({ name }) => name).filter((name) => /_(last|min|max)$/.test(name));
    const rows = await test.connection.query<Row>(
      `SELECT concatWithSeparator(' ', node, boot, toString(pid), toString(start), toString(toUnixTimestamp(time))) AS key,
         toString(toUnixTimestamp64Milli(last_at)) AS last_at, ${figures.map((name) => `toString(${name}) AS ${name}`).join(', ')}
       FROM ${table} FINAL`,
    );
    return new Map(
      rows.map(({ key, ...row }) => [
        String(key),
        Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)),
      ]),
    );
  }

  it.each([
    ['process_samples_1m', MINUTE],
    ['process_samples_1h', HOUR],
  ])('%s equal the least, greatest and last of the samples, before and after merges', async (table, grainMs) => {
    const wanted = recompute(chunks, grainMs);
    expect(wanted.size).toBeGreaterThan(20);
    expect(await stored(table)).toEqual(wanted);
    await test.connection.command(`OPTIMIZE TABLE ${table} FINAL`);
    expect(await stored(table)).toEqual(wanted);
    const [row] = await test.connection.query<{ rows: number }>(`SELECT count() AS rows FROM ${table}`);
    expect(row?.rows).toBe(wanted.size);
  });

  it('keep in the raw table what was told, cell by cell', async () => {
    const rows = await test.connection.query<Record<string, string | null>>(
      `SELECT toString(toUnixTimestamp64Milli(at)) AS at, node, toString(pid) AS pid, ${PROCESS_NUMBERS.map(columnName)
        .map((name) => `toString(${name}) AS ${name}`)
        .join(', ')}
       FROM process_samples ORDER BY node, at, pid`,
    );
    const wanted = chunks
      .flatMap(({ node, at, procs }) =>
        procs.pid.map((pid, index) => ({
          at: String(at),
          node: node as string,
          pid: String(pid),
          ...Object.fromEntries(
            PROCESS_NUMBERS.map((figure) => {
              const cell = procs[figure]?.[index];
              return [columnName(figure), cell === null || cell === undefined ? null : String(cell)];
            }),
          ),
        })),
      )
      .sort((a, b) => a.node.localeCompare(b.node) || Number(a.at) - Number(b.at) || Number(a.pid) - Number(b.pid));
    expect(
      rows.sort(
        (a, b) =>
          a['node']!.localeCompare(b['node']!) ||
          Number(a['at']) - Number(b['at']) ||
          Number(a['pid']) - Number(b['pid']),
      ),
    ).toEqual(wanted);
  });
});
