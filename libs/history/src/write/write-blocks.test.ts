import type { SampleChunk } from '@tidemark/contracts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../connection.js';
import { openTestHistory, type TestHistory } from '../testing/open-history.js';
import { simulateNode } from '../testing/simulated-node.js';
import type { Block } from './block.js';
import { sampleBlocks } from './sample-blocks.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The second UTC midnight before now less a few rounds: its batches lie on two days, both within the retention. */
const acrossMidnight = (): number => Math.floor(Date.now() / DAY) * DAY - 5_000;

const simulate = (node: string, rounds = 10): SampleChunk[] =>
  simulateNode({ node, from: acrossMidnight(), rounds, roundMs: 1_000, processes: 5, seed: 7, keyframeEvery: 4 })
    .chunks;

/** Everything that the tables say of a node, rows of one key folded; without the batch's number. */
async function contents(connection: Connection, node = 'node-a'): Promise<Record<string, unknown[]>> {
  const result: Record<string, unknown[]> = {};
  for (const table of ['process_samples', 'node_samples', 'device_samples']) {
    result[table] = await connection.query(`SELECT * EXCEPT batch FROM ${table} WHERE node = '${node}' ORDER BY ALL`);
  }
  for (const table of ['processes', 'process_samples_1m', 'process_samples_1h', 'node_samples_1m', 'node_samples_1h']) {
    result[table] = await connection.query(`SELECT * FROM ${table} FINAL WHERE node = '${node}' ORDER BY ALL`);
  }
  return result;
}

const rowsOf = (blocks: readonly Block[], table: string): number =>
  blocks.filter((block) => block.table === table).reduce((sum, { rows }) => sum + rows, 0);

describe('writing a batch', () => {
  let test: TestHistory;
  let database = 0;
  beforeAll(async () => {
    test = await openTestHistory('unused');
  });
  afterAll(() => test.close());

  let connection: Connection;
  let write: TestHistory['history']['write'];
  beforeEach(async () => {
    for (const name of await test.connection.query<{ name: string; engine: string }>(
      "SELECT name, engine FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_migrations'",
    )) {
      await test.connection.command(`TRUNCATE TABLE ${name.name}`);
    }
    connection = test.connection;
    write = test.history.write.bind(test.history);
    database++;
  });

  const batch = (): { blocks: Block[]; token: string } => {
    const number = 1024 * (1000 + database);
    return { blocks: sampleBlocks(simulate('node-a'), () => number), token: `samples/3/10-19/${number}` };
  };

  it('puts each row into its table once, and one part per table and day', async () => {
    const { blocks, token } = batch();
    const report = await write(blocks, { token, again: false });
    expect(report).toMatchObject({
      found: 0,
      oddities: [],
      rows: { process_samples: rowsOf(blocks, 'process_samples') },
    });
    const [row] = await connection.query<{ rows: number; days: number; parts: number }>(
      `SELECT count() AS rows, uniqExact(toDate(at)) AS days, uniqExact(_part) AS parts FROM process_samples`,
    );
    expect(row).toEqual({ rows: rowsOf(blocks, 'process_samples'), days: 2, parts: 2 });
  });

  it('changes nothing when the same request comes again', async () => {
    const { blocks, token } = batch();
    await write(blocks, { token, again: false });
    const before = await contents(connection);
    await write(blocks, { token, again: false });
    expect(await contents(connection)).toEqual(before);
    const raw = await connection.query<{ rows: number }>('SELECT count() AS rows FROM process_samples_1m');
    await write(blocks, { token, again: false });
    expect(await connection.query('SELECT count() AS rows FROM process_samples_1m')).toEqual(raw);
  });

  it('changes nothing when a try after an uncertain one finds it all', async () => {
    const { blocks, token } = batch();
    await write(blocks, { token, again: false });
    const before = await contents(connection);
    const report = await write(blocks, { token, again: true });
    expect(report).toMatchObject({ oddities: [], found: blocks.filter(({ trace }) => trace !== null).length });
    expect(await contents(connection)).toEqual(before);
  });

  it('completes what an earlier try left unfinished, wherever that stopped', async () => {
    const { blocks, token } = batch();
    await write(blocks, { token, again: false });
    const whole = await contents(connection);
    for (let done = 0; done <= blocks.length; done += 3) {
      for (const table of Object.keys(whole)) await connection.command(`TRUNCATE TABLE ${table}`);
      await write(blocks.slice(0, done), { token, again: false });
      const report = await write(blocks, { token, again: true });
      expect(report.oddities).toEqual([]);
      expect(await contents(connection)).toEqual(whole);
    }
  });

  it('brings the rollups up to date when the raw rows are there without them', async () => {
    const { blocks, token } = batch();
    await write(blocks, { token, again: false });
    const whole = await contents(connection);
    for (const table of ['process_samples_1m', 'process_samples_1h', 'node_samples_1m', 'node_samples_1h']) {
      await connection.command(`TRUNCATE TABLE ${table}`);
    }
    await write(blocks, { token, again: true });
    expect(await contents(connection)).toEqual(whole);
  });

  it('leaves the last values as they are when a writer that was replaced settles a batch behind later ones', async () => {
    const { token } = batch();
    const chunks = simulate('node-a', 12);
    const batches = [chunks.slice(0, 6), chunks.slice(6)].map((some, index) => ({
      blocks: sampleBlocks(some, () => 1024 * (5_000 + index)),
      token: `${token}/${index}`,
    }));
    for (const { blocks, token: own } of batches) await write(blocks, { token: own, again: false });
    const before = await contents(connection);
    const report = await write(batches[0]!.blocks, { token: batches[0]!.token, again: true });
    expect(report.oddities).toEqual([]);
    expect(await contents(connection)).toEqual(before);
  });

  it('does not double rows whose part is there while their token was lost', async () => {
    const { blocks, token } = batch();
    // Another token stands for the one that the server did not come to write.
    await write(blocks, { token: `${token}-lost`, again: false });
    const before = await contents(connection);
    await write(blocks, { token, again: true });
    expect(await contents(connection)).toEqual(before);
  });

  it('brings rows whose token is there while their part was lost', async () => {
    const { blocks, token } = batch();
    await write(blocks, { token, again: false });
    const whole = await contents(connection);
    for (const table of Object.keys(whole)) await connection.command(`TRUNCATE TABLE ${table}`);
    // Rows of another batch of the same days take the tokens.
    const others = sampleBlocks(simulate('node-b'), () => 77 * 1024);
    await write(others, { token, again: false });
    const report = await write(blocks, { token, again: true });
    expect(report.oddities).toEqual([]);
    expect(await contents(connection)).toEqual(whole);
  });

  it('stops between two blocks when told to', async () => {
    const { blocks, token } = batch();
    const stop = new AbortController();
    const tables: string[] = [];
    const onBlock = ({ table }: Block): void => {
      tables.push(table);
      stop.abort(new Error('enough'));
    };
    await expect(write(blocks, { token, again: false, signal: stop.signal, onBlock })).rejects.toThrow('enough');
    expect(tables).toEqual(['process_samples']);
  });

  it('says that rows older than the retention did not stay', async () => {
    const { chunks } = simulateNode({
      node: 'old',
      from: Date.UTC(2020, 0, 1),
      rounds: 2,
      roundMs: 1_000,
      processes: 2,
      seed: 1,
      keyframeEvery: 1,
    });
    const report = await write(
      sampleBlocks(chunks, () => 1024),
      { token: 'old', again: true },
    );
    expect(report.oddities).toEqual(
      expect.arrayContaining([expect.stringContaining('process_samples has 0 rows of batch 1024')]),
    );
  });
});
