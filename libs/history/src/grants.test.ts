import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeId, ProcessKey } from '@tidemark/contracts';
import { processKey } from '@tidemark/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createConnection, type Connection } from './connection.js';
import { startEmbeddedServer, type EmbeddedServer } from './embedded/index.js';
import { HISTORY_ROLES, historyGrants, type Grant, type HistoryRole } from './grants.js';
import { createHistory, type History, type HistoryOptions } from './history.js';
import { readMigrations } from './migration-files.js';
import { simulateNode } from './testing/simulated-node.js';
import { sampleBlocks } from './write/sample-blocks.js';

const DATABASE = 'granted';
const NOW = Date.now();
const NODE = 'node-a' as NodeId;
const BOOT = 'boot-of-node-a';
const WINDOW = { from: NOW - 60_000, to: NOW, stepMs: 1_000 };

const statement = ({ right, on }: Grant): string => `GRANT ${right} ON ${on}`;
const grantsOf = (role: HistoryRole): Grant[] => historyGrants(role, DATABASE, false);
/** A migrator has to make what it is tried on. */
const databaseOf = (role: HistoryRole, index: number): string => (role === 'migrator' ? `fresh_${index}` : DATABASE);
const without = (role: HistoryRole, index: number): string => `${role}_without_${index}`;

/** A statement of every call that history offers, but for those that do not ask the server with rights. */
const CALLS: Record<Exclude<keyof History, 'preflight' | 'ping' | 'close'>, (history: History) => Promise<unknown>> = {
  migrate: (history) => history.migrate(),
  write: async (history) => {
    const from = NOW - 20_000;
    const { chunks } = simulateNode({
      ...{ node: NODE, from, rounds: 5, roundMs: 1_000, processes: 3, seed: 7, keyframeEvery: 4 },
    });
    const blocks = sampleBlocks(chunks, () => NOW);
    const first = await history.write(blocks, { token: `t/${NOW}`, again: false });
    const second = await history.write(blocks, { token: `t/${NOW}`, again: true });
    expect([first.oddities, second.oddities]).toEqual([[], []]);
    expect(second.rows).toEqual(first.rows);
  },
  writtenChunks: (history) => history.writtenChunks('mem.samples.v1', 0),
  writtenHeartbeats: (history) => history.writtenHeartbeats([NODE], NOW - 60_000, NOW),
  writtenFindings: (history) => history.writtenFindings(['f'], NOW - 60_000, NOW),
  processSeries: (history) => history.processSeries([key()], 'rss', WINDOW),
  nodeSeries: (history) => history.nodeSeries([NODE], 'used', WINDOW),
  aggregateSeries: (history) => history.aggregateSeries({ nodes: [NODE] }, 'leakSignal', WINDOW),
  findings: (history) => history.findings({ acknowledged: false }, null, 10),
  countFindings: (history) => history.countFindings({ acknowledged: true }),
  finding: (history) => history.finding('f'),
  processes: (history) => history.processes([key()]),
  processesAt: (history) => history.processesAt(NODE, NOW - 17_000, null, 10),
  lastNodes: (history) => history.lastNodes(),
  lastNodeMemory: (history) => history.lastNodeMemory(),
  loadSeries: (history) => history.loadSeries(NODE, BOOT),
  saveSeries: (history) => history.saveSeries([{ node: NODE, boot: BOOT, pid: 1, start: 1, at: NOW, snapshot: '{}' }]),
  loadMinima: (history) => history.loadMinima(NODE, BOOT),
  traceOf: (history) => history.traceOf(key()),
  tracedSites: (history) => history.tracedSites(key(), 'liveBytes', 10),
  atRisk: (history) => history.atRisk(key(), 10),
  siteSeries: (history) => history.siteSeries(key(), 's', WINDOW),
};
const key = (): ProcessKey => processKey(NODE, BOOT, 100, 1);

type Call = keyof typeof CALLS;
const WRITES: readonly Call[] = ['migrate', 'write', 'saveSeries'];
const LOOK_BACK: readonly Call[] = ['writtenChunks', 'writtenHeartbeats', 'writtenFindings'];
const READS = (Object.keys(CALLS) as Call[]).filter((call) => !WRITES.includes(call));
const MAY: Readonly<Record<HistoryRole, readonly Call[]>> = {
  migrator: ['migrate'],
  writer: ['write', ...LOOK_BACK],
  processor: [...READS, 'saveSeries'],
  reader: READS,
  grafana: READS,
};

/** The engine's own access check, with exactly the grants of a role. */
describe('the rights of a role', () => {
  let directory: string;
  let server: EmbeddedServer;
  const open: (History | Connection)[] = [];
  const options = (role?: string, database = DATABASE): HistoryOptions => {
    const { url, users } = server;
    return { url, ...users.admin, database, ...(role !== undefined && { role }) };
  };
  const as = (role: string, database = DATABASE): History => {
    const history = createHistory(options(role, database));
    open.push(history);
    return history;
  };
  const connectionAs = (role?: string, database = DATABASE): Connection => {
    const connection = createConnection(options(role, database));
    open.push(connection);
    return connection;
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-grants-'));
    const roles = HISTORY_ROLES.flatMap((role) => {
      const grants = grantsOf(role).map(statement);
      const fewer = grants.map((_, index) => {
        const all = historyGrants(role, databaseOf(role, index), false).map(statement);
        return [without(role, index), all.filter((__, other) => other !== index)];
      });
      return [[role, grants], ...fewer] as [string, string[]][];
    });
    server = await startEmbeddedServer({ directory, port: 0, roles: Object.fromEntries(roles) });
    await as('migrator').migrate();
  });
  afterAll(async () => {
    await Promise.all(open.map((one) => one.close()));
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('let a migrator make an empty database, change what is kept, and find all done', async () => {
    const shorter = createHistory({ ...options('migrator'), retention: { rawDays: 1, minuteDays: 7, hourDays: 90 } });
    open.push(shorter);
    await expect(shorter.migrate()).resolves.toMatchObject({ applied: [] });
    const [row] = await connectionAs().query<{ engine_full: string }>(
      "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'process_samples'",
    );
    expect(row?.engine_full).toContain('TTL toDateTime(at) + toIntervalDay(1)');
    await as('migrator').migrate();
  });

  it('let a migrator add and drop columns and indexes, as later migrations may', async () => {
    const connection = connectionAs('migrator');
    await connection.command('ALTER TABLE leak_states ADD COLUMN IF NOT EXISTS later UInt8');
    await connection.command('ALTER TABLE leak_states ADD INDEX IF NOT EXISTS by_later later TYPE minmax');
    await connection.command('ALTER TABLE leak_states DROP INDEX IF EXISTS by_later');
    await connection.command('ALTER TABLE leak_states DROP COLUMN IF EXISTS later');
  });

  it('are told for every call of history', async () => {
    const history = as('reader');
    expect(Object.keys(history).sort()).toEqual([...Object.keys(CALLS), 'preflight', 'ping', 'close'].sort());
    await history.ping();
  });

  it.each(HISTORY_ROLES)('are enough for all that a %s does', async (role) => {
    const history = as(role);
    await history.preflight(role);
    for (const call of MAY[role]) await CALLS[call](history);
  });

  it.each(HISTORY_ROLES)('keep a %s from what is not its business', async (role) => {
    const connection = connectionAs(role);
    const elsewhere = connectionAs(role, 'system');
    const denied = { code: 'HISTORY_ACCESS', retriable: false };
    for (const sql of [
      'DROP TABLE process_samples',
      'TRUNCATE TABLE process_samples',
      "ALTER TABLE process_samples DELETE WHERE node = 'node-a'",
      'CREATE DATABASE another',
      'CREATE TABLE default.mine (a UInt8) ENGINE = Memory',
      `INSERT INTO FUNCTION url('http://127.0.0.1:1', 'CSV', 'a String') SELECT 'x'`,
      'SYSTEM SHUTDOWN',
    ]) {
      await expect(connection.command(sql), sql).rejects.toMatchObject(denied);
    }
    for (const sql of [
      `SELECT * FROM file('/etc/hostname', 'LineAsString')`,
      `SELECT * FROM url('http://127.0.0.1:1', 'LineAsString')`,
      'SELECT * FROM system.users',
    ]) {
      await expect(elsewhere.query(sql), sql).rejects.toMatchObject(denied);
    }
    if (role !== 'migrator') {
      for (const sql of [
        `CREATE TABLE ${DATABASE}.mine (a UInt8) ENGINE = Memory`,
        `CREATE VIEW ${DATABASE}.mine AS SELECT 1`,
        'ALTER TABLE process_samples ADD COLUMN mine UInt8',
        'ALTER TABLE process_samples MODIFY TTL toDateTime(at) + toIntervalDay(1)',
      ]) {
        await expect(connection.command(sql), sql).rejects.toMatchObject(denied);
      }
    }
    if (role === 'migrator' || role === 'writer') return;
    const insert = 'INSERT INTO schema_migrations (number, name) VALUES (1, 1)';
    await expect(connection.command(insert)).rejects.toMatchObject(denied);
  });

  const EACH = HISTORY_ROLES.flatMap((role) => grantsOf(role).map(({ right }, index) => [role, right, index] as const));

  it.each(EACH)('are the least: a %s without %s is refused something', async (role, _, index) => {
    const history = as(without(role, index), databaseOf(role, index));
    const refusals: unknown[] = [];
    const attempt = (what: Promise<unknown>): Promise<unknown> => what.catch((error: unknown) => refusals.push(error));
    for (const call of MAY[role]) await attempt(CALLS[call](history));
    if (role === 'migrator' && refusals.length === 0) {
      const connection = connectionAs(without(role, index), databaseOf(role, index));
      await attempt(connection.command('ALTER TABLE leak_states ADD COLUMN IF NOT EXISTS later UInt8'));
      await attempt(connection.command('ALTER TABLE leak_states DROP INDEX IF EXISTS nothing'));
    }
    expect(refusals).not.toEqual([]);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'HISTORY_ACCESS' });
  });

  it.each(EACH)('say at the start what a %s without %s lacks, and how to give it', async (role, right, index) => {
    const { on } = historyGrants(role, databaseOf(role, index), false)[index]!;
    const told = as(without(role, index), databaseOf(role, index)).preflight(role);
    await expect(told).rejects.toMatchObject({ code: 'HISTORY_ACCESS', retriable: false });
    await expect(told).rejects.toThrow(
      `history user default lacks rights of a ${role}: ${right} on ${on.replaceAll('`', '')}; run: GRANT ${right} ON ${on} TO \`default\``,
    );
  });

  it('say which migrations are missing, and that it is worth another try', async () => {
    const told = as('tidemark_admin', 'unheard_of').preflight('reader');
    await expect(told).rejects.toMatchObject({ code: 'HISTORY_SCHEMA', retriable: true });
    const all = readMigrations().length;
    await expect(told).rejects.toThrow(
      `lacks ${all} of the ${all} migrations of this build, from 0001_process_samples on`,
    );
  });
});

describe('the rights on a cluster', () => {
  it('are those on one server, and what replicas need', () => {
    const more = HISTORY_ROLES.map((role) => {
      const one = historyGrants(role, DATABASE, false).map(statement);
      const all = historyGrants(role, DATABASE, true).map(statement);
      expect(all.slice(0, one.length)).toEqual(one);
      return [role, all.slice(one.length)];
    });
    expect(Object.fromEntries(more)).toEqual({
      migrator: ['GRANT SYSTEM SYNC REPLICA ON `granted`.*', 'GRANT CLUSTER ON *.*'],
      writer: ['GRANT SYSTEM SYNC REPLICA ON `granted`.*'],
      processor: [],
      reader: [],
      grafana: [],
    });
  });
});
