import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openTestHistory, type TestHistory } from '@tidemark/history/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillHistory, NODE, type Shown } from './dashboard-rows.js';

const directory = join(import.meta.dirname, '..', '..', 'tools', 'grafana', 'dashboards');
const INTERVAL_SECONDS = 10;

interface Panel {
  title: string;
  type: string;
  targets: { rawSql: string; datasource: { uid: string } }[];
}
interface Dashboard {
  uid: string;
  title: string;
  panels: Panel[];
  templating: { list: { name: string; query: string }[] };
}
interface Answer {
  meta: { name: string; type: string }[];
  data: unknown[][];
}

const dashboards = readdirSync(directory).map(
  (name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as Dashboard,
);

/** What the data source makes of its macros before it sends a query; `$__timeFilter` and the like, times in seconds. */
function withoutMacros(sql: string, { from, to }: Shown): string {
  const time = (ms: number) => `toDateTime(${Math.ceil(ms / 1_000)})`;
  return sql
    .replace(/\$__timeFilter\((\w+)\)/g, `$1 >= ${time(from)} AND $1 <= ${time(to)}`)
    .replace(/\$__timeInterval\((\w+)\)/g, `toStartOfInterval(toDateTime($1), INTERVAL ${INTERVAL_SECONDS} second)`)
    .replace(/\$__interval_s\b/g, String(INTERVAL_SECONDS))
    .replace(/\$__fromTime\b/g, time(from))
    .replace(/\$__toTime\b/g, time(to));
}

describe('the dashboards of Grafana', () => {
  let test: TestHistory;
  let shown: Shown;
  beforeAll(async () => {
    test = await openTestHistory();
    shown = await fillHistory(test);
  });
  afterAll(() => test?.close());

  /** As the user that Grafana has: one who may only read. */
  async function ask(sql: string): Promise<Answer> {
    const { username, password } = test.server.users.reader;
    const query = `${withoutMacros(sql, shown)} FORMAT JSONCompact`;
    const headers = { 'x-clickhouse-user': username, 'x-clickhouse-key': password };
    const answer = await fetch(`${test.server.url}/?database=tidemark`, { method: 'POST', headers, body: query });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${text.split('\n')[0]} of ${query}`);
    return JSON.parse(text) as Answer;
  }

  /** The first choice of every variable, asked for in their order, as the page does when it opens. */
  async function variablesOf({ templating }: Dashboard): Promise<Map<string, string>> {
    const values = new Map<string, string>();
    for (const { name, query } of templating.list) {
      const { data } = await ask(fillIn(query, values));
      expect([name, data.length > 0]).toEqual([name, true]);
      values.set(name, String(data[0]![0]));
    }
    return values;
  }

  const fillIn = (sql: string, values: Map<string, string>) =>
    sql.replace(/\$\{(\w+)\}/g, (whole, name: string) => values.get(name) ?? whole);

  it('are four, with names of their own and one data source', () => {
    expect(dashboards.map(({ uid }) => uid).sort()).toEqual([
      'tidemark-cluster',
      'tidemark-leaks',
      'tidemark-node',
      'tidemark-pipeline',
    ]);
    const provisioned = readFileSync(join(directory, '../provisioning/datasources/tidemark.yml'), 'utf8');
    const uid = /uid: (\S+)/.exec(provisioned)?.[1];
    const used = dashboards.flatMap(({ panels }) => panels.flatMap(({ targets }) => targets));
    expect(new Set(used.map(({ datasource }) => datasource.uid))).toEqual(new Set([uid]));
  });

  describe.each(dashboards)('$title', (dashboard) => {
    it.each(dashboard.panels)('$title has rows, and columns of its kind', async ({ type, targets }) => {
      const values = await variablesOf(dashboard);
      for (const { rawSql } of targets) {
        const { meta, data } = await ask(fillIn(rawSql, values));
        expect(data.length).toBeGreaterThan(0);
        const kinds = meta.map((column) => column.type);
        const numbers = kinds
          .map((kind, index) => (/^(Nullable\()?(U?Int|Float)/.test(kind) ? index : -1))
          .filter((i) => i >= 0);
        if (type === 'timeseries') expect(kinds[0]).toMatch(/^DateTime/);
        if (type === 'timeseries' || type === 'stat') {
          expect(numbers.length).toBeGreaterThan(0);
          // A panel of which every cell is empty asks for the wrong column.
          for (const index of numbers)
            expect([meta[index]!.name, data.some((row) => row[index] !== null)]).toEqual([meta[index]!.name, true]);
        }
      }
    });
  });

  it('say what is in the tables', async () => {
    const panel = (uid: string, title: string) =>
      dashboards.find((one) => one.uid === uid)!.panels.find((one) => one.title === title)!.targets[0]!.rawSql;
    const cell = async (uid: string, title: string) => Number((await ask(panel(uid, title))).data[0]![0]);
    expect(await cell('tidemark-cluster', 'Nodes heard of')).toBe(1);
    expect(await cell('tidemark-cluster', 'Processes')).toBe(8);
    expect(await cell('tidemark-cluster', 'Leaks')).toBe(1);
    const samples = await ask(panel('tidemark-pipeline', 'Samples a second'));
    const stored = await ask('SELECT count() AS rows FROM process_samples');
    const shownRows = samples.data.reduce((sum, row) => sum + Number(row[1]) * INTERVAL_SECONDS, 0);
    expect(Math.round(shownRows)).toBe(Number(stored.data[0]![0]));
    const nodes = await ask(panel('tidemark-cluster', 'Nodes'));
    expect(nodes.data.map((row) => row[0])).toEqual([NODE]);
  });
});
