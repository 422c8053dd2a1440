import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestHistory, type TestHistory } from '../testing/open-history.js';
import { simulateNode } from '../testing/simulated-node.js';
import { sampleBlocks } from './sample-blocks.js';

interface Part {
  table: string;
  rows: string;
  path: string;
}

/** Of one table: data, marks, primary index, and what describes the part. */
const MOST_FILES = 20;

describe('an insert of the size that a busy writer makes', () => {
  let test: TestHistory;
  beforeAll(async () => {
    test = await openTestHistory();
  });
  afterAll(() => test.close());

  it('makes few files, whatever the number of columns: wide parts would be hundreds', async () => {
    const { connection, history } = test;
    await connection.command('SYSTEM STOP MERGES');
    // Full rows: every round is a keyframe.
    const { chunks } = simulateNode({
      ...{ node: 'a', from: Date.now() - 600_000, rounds: 25, roundMs: 1_000, processes: 2_000, seed: 5 },
      keyframeEvery: 1,
    });
    await history.write(
      sampleBlocks(chunks, () => 1024),
      { token: 'compact', again: false },
    );
    const parts = await connection.query<Part>(
      'SELECT table, rows, path FROM system.parts WHERE active AND database = currentDatabase()',
    );
    const rows = (table: string): number =>
      parts.reduce((sum, part) => sum + (part.table === table ? Number(part.rows) : 0), 0);
    expect(rows('process_samples')).toBeGreaterThanOrEqual(50_000);
    expect(rows('process_samples_1m')).toBeGreaterThanOrEqual(2_000);
    for (const { table, path } of parts) {
      expect(readdirSync(path).length, `files of a part of ${table}`).toBeLessThanOrEqual(MOST_FILES);
    }
  });
});
