import type { Finding, NodeId, NodeRecord, SampleChunk } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { openTestHistory, type TestHistory } from '../testing/open-history.js';
import { block } from './block.js';
import { findingBlocks } from './finding-blocks.js';
import {
  nativeBlock,
  nullableCountColumn,
  textColumn,
  textListColumn,
  dictionaryColumn,
  countColumn,
  nullableFloatColumn,
} from './native-columns.js';
import { nodeBlocks } from './node-blocks.js';
import { sampleBlocks } from './sample-blocks.js';

const MAX = Number.MAX_SAFE_INTEGER;
const NASTY = "'; DROP TABLE process_samples; -- \\ \0 \n\n\t é 😀";

const chunk = (over: Partial<SampleChunk>): SampleChunk => ({
  v: 1,
  node: 'n' as NodeId,
  boot: 'b',
  run: 'r',
  seq: 0,
  at: Date.now(),
  keyframe: true,
  part: 0,
  parts: 1,
  procs: { pid: [], start: [] },
  facts: {
    pid: [],
    start: [],
    startedAt: [],
    program: [],
    commandLine: [],
    uid: [],
    gid: [],
    user: [],
    cgroup: [],
    service: [],
  },
  exits: { pid: [], start: [] },
  system: {},
  ...over,
});

describe('values at the edge of the contracts', () => {
  let test: TestHistory;
  beforeAll(async () => {
    test = await openTestHistory();
  });
  afterAll(() => test.close());
  const write = (blocks: Parameters<TestHistory['history']['write']>[0]) =>
    test.history.write(blocks, { token: NASTY, again: false });

  it('come back from ClickHouse as they were, whatever the columns hold', async () => {
    await test.connection.command(
      `CREATE TABLE any_values (i UInt64, word LowCardinality(String), text String, list Array(String),
       count Nullable(UInt64), ratio Nullable(Float64)) ENGINE = Memory`,
    );
    const text = fc.string({ unit: 'grapheme', maxLength: 200 });
    const row = fc.record({
      word: text,
      text,
      list: fc.array(text, { maxLength: 4 }),
      count: fc.option(fc.maxSafeNat(), { nil: null }),
      ratio: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: null }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 400 }), async (rows) => {
        const columns = [
          countColumn(
            'i',
            rows.map((_, index) => index),
          ),
          dictionaryColumn(
            'word',
            rows.map(({ word }) => ({ text: word, rows: 1 })),
          ),
          textColumn(
            'text',
            rows.map(({ text }) => text),
          ),
          textListColumn(
            'list',
            rows.map(({ list }) => list),
          ),
          nullableCountColumn(
            'count',
            rows.map(({ count }) => count),
          ),
          nullableFloatColumn(
            'ratio',
            rows.map(({ ratio }) => ratio),
          ),
        ];
        await test.connection.command('TRUNCATE TABLE any_values');
        await test.connection.insert(
          `INSERT INTO any_values (${columns.map(({ name }) => name).join(', ')}) FORMAT Native`,
          nativeBlock(rows.length, columns),
        );
        const back = await test.connection.query<Record<string, unknown>>(
          `SELECT word, text, list, toString(count) AS count, ratio FROM any_values ORDER BY i`,
        );
        expect(back).toEqual(
          rows.map(({ count, ratio, ...same }) => ({
            ...same,
            count: count === null ? null : String(count),
            ratio: ratio === 0 ? expect.closeTo(0) : ratio,
          })),
        );
      }),
      { numRuns: 25 },
    );
  });

  it('takes the largest numbers and the strangest text of a sample chunk', async () => {
    const at = Date.now();
    await write(
      sampleBlocks(
        [
          chunk({
            at,
            procs: { pid: [0, 0xffff_ffff], start: [0, MAX], state: ['é', null], rss: [MAX, 0], vms: [null, null] },
            facts: {
              pid: [0xffff_ffff],
              start: [MAX],
              startedAt: [MAX],
              program: [NASTY],
              commandLine: ['x'.repeat(65_536)],
              uid: [MAX],
              gid: [null],
              user: ['\ud800'],
              cgroup: [''],
              service: [NASTY],
            },
            exits: { pid: [1], start: [MAX] },
            system: {
              memory: { total: 1e300, available: 0.4, used: MAX, free: 0 },
              cgroups: [{ path: NASTY, usage: 1.5, limit: 1e308 }],
              cpus: Array.from({ length: 300 }, (_, index) => ({
                name: `cpu${index}`,
                user: 1,
                nice: 1,
                system: 1,
                idle: 1,
              })),
            },
          }),
        ],
        () => 1024,
      ),
    );
    const rows = await test.connection.query(
      "SELECT pid, toString(start) AS start, toString(rss) AS rss, vms, state FROM process_samples WHERE node = 'n' ORDER BY pid",
    );
    expect(rows).toEqual([
      { pid: 0, start: '0', rss: String(MAX), vms: null, state: 'é' },
      { pid: 0xffff_ffff, start: String(MAX), rss: '0', vms: null, state: null },
    ]);
    const [facts] = await test.connection.query<Record<string, unknown>>(
      "SELECT program, length(command_line) AS length, user, service, toYear(started_at) AS year FROM processes WHERE node = 'n' AND program IS NOT NULL",
    );
    expect(facts).toEqual({ program: NASTY, length: 65_536, user: '\ufffd', service: NASTY, year: 2261 });
    const [memory] = await test.connection.query(
      "SELECT total, available, toString(used) AS used FROM node_samples WHERE node = 'n'",
    );
    expect(memory).toEqual({ total: null, available: 0, used: String(MAX) });
    const [cgroup] = await test.connection.query(
      "SELECT path, usage, limit_bytes FROM cgroup_samples WHERE node = 'n'",
    );
    expect(cgroup).toEqual({ path: NASTY, usage: 2, limit_bytes: null });
    const [cpus] = await test.connection.query("SELECT count() AS cpus FROM cpu_samples WHERE node = 'n'");
    expect(cpus).toEqual({ cpus: 300 });
  });

  it('writes nothing for a chunk that tells nothing', () => {
    expect(sampleBlocks([chunk({})], () => 1024)).toEqual([]);
    expect(nodeBlocks([], () => 1024)).toEqual([]);
    expect(findingBlocks([], () => 1024)).toEqual([]);
  });

  it('keeps heartbeats and findings with text that looks like SQL', async () => {
    const at = Date.now();
    const record: NodeRecord = {
      v: 1,
      node: 'n' as NodeId,
      boot: 'b',
      run: 'r',
      at,
      state: 'UP',
      hostname: NASTY,
      kernel: NASTY,
      architecture: 'x64',
      cpus: 2,
      pageSize: 4096,
      bootedAt: 1,
      interval: 1000,
      processes: 3,
      limitations: [NASTY, ''],
      collector: {
        version: '0',
        pid: 1,
        startedAt: MAX,
        rounds: MAX,
        cpuMs: 1.5,
        rss: 1,
        reads: 1,
        opens: 1,
        bytesRead: 1,
        bytesSent: 1,
        spooledBytes: 0,
        droppedBytes: 0,
        droppedChunks: 0,
        latenessMs: 0.25,
        skippedRounds: 0,
        clockJumps: 0,
      },
    };
    const finding: Finding = {
      v: 1,
      type: 'finding',
      id: NASTY,
      kind: 'PROCESS_LEAK',
      subject: NASTY,
      node: 'n' as NodeId,
      process: null,
      service: NASTY,
      state: 'SUSPECTED',
      previous: 'GROWING',
      imminent: true,
      confidence: 0.5,
      openedAt: at,
      at,
      bytes: MAX,
      limit: null,
      growth: null,
      secondsToExhaustion: null,
      message: NASTY,
      evidence: { [NASTY]: null },
    };
    await write([...nodeBlocks([record], () => 1024), ...findingBlocks([finding], () => 1024)]);
    const [node] = await test.history.lastNodes();
    expect(node).toMatchObject({ node: 'n', hostname: NASTY, limitations: [NASTY, ''], at });
    await expect(test.history.finding(NASTY)).resolves.toEqual({ finding, acknowledgement: null });
  });

  it('names columns that a table lacks as a fault of the schema', async () => {
    const wrong = block('findings', 0, 1, [countColumn('no_such_column', [1])], null);
    await expect(write([wrong])).rejects.toMatchObject({ code: 'HISTORY_SCHEMA', retriable: false });
    const nowhere = block('no_such_table', 0, 1, [countColumn('a', [1])], null);
    await expect(write([nowhere])).rejects.toMatchObject({ code: 'HISTORY_SCHEMA', retriable: false });
  });
});
