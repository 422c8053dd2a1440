import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { decodeControlRecord, Topic, type TraceRequestRecord } from '@tidemark/contracts';
import { silentLogger } from '@tidemark/service';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readConfig, type WebConfig } from '../apps/web/src/config.js';
import { bytes, rate } from '../apps/web/src/page/format.js';
import { href } from '../apps/web/src/page/route.js';
import { startWeb, type WebServer } from '../apps/web/src/start.js';
import { barriers, openBrowser, openPage, whyNoBrowser, type WatchedPage } from './support/browser.js';
import { createSimulatedHost, findingOf, startGraphCluster } from './support/graph-cluster.js';
import { graphqlClient } from './support/graphql-client.js';
import { until } from './support/until.js';
import {
  builtPage,
  HOSTILE,
  HOSTILE_COMMAND,
  HOSTILE_PID,
  LEAKY,
  SILENT,
  startWebCluster,
  systemOf,
  type WebCluster,
} from './support/web-cluster.js';

// Browsers are slow on a busy machine, and no test here is about their speed.
vi.setConfig({ testTimeout: 120_000 });

const why = whyNoBrowser();
const HOSTS = 20;
let cluster: WebCluster;
let web: WebServer;
let browser: Browser;
const opened: WatchedPage[] = [];

beforeAll(async () => {
  if (why !== undefined) return;
  execFileSync(process.execPath, [join(import.meta.dirname, '..', 'tools', 'build-page.mjs')], { stdio: 'inherit' });
  cluster = await startWebCluster(HOSTS);
  const settings = ['--set', 'web.port=0', '--set', `web.apiUrl=${cluster.graph.url}`];
  web = await startWeb(readConfig(settings, {}) as WebConfig, silentLogger);
  browser = await openBrowser();
}, 120_000);

afterEach(async () => {
  for (const { page } of opened.splice(0)) await page.context().close();
});

afterAll(async () => {
  await browser?.close();
  await web?.stop(2_000);
  await cluster?.close();
});

async function open(hash: string, options: Parameters<typeof openPage>[2] = {}, base = web.url): Promise<WatchedPage> {
  const watched = await openPage(browser, `${base}${hash}`, options);
  opened.push(watched);
  return watched;
}

const api = () => graphqlClient(cluster.graph.url);
const keyOf = (host: number, pid: number): string => {
  const { node, processes } = cluster.hosts[host]!;
  return `${node}/boot-1/${pid}/${processes.get(pid)!.start}`;
};
const card = (page: Page, title: string): Locator =>
  page.locator('.card', { has: page.locator('dt', { hasText: new RegExp(`^${title}$`) }) });
const fact = (page: Page, name: string): Locator =>
  page
    .locator('.facts > div', { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
    .locator('dd')
    .first();
const rowsOf = (page: Page, caption: string | RegExp): Locator =>
  page.getByRole('table', { name: caption }).locator('tbody tr:not(:has(td.empty))');
const section = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true });

describe.skipIf(why !== undefined)(`the web page${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  it('shows the cluster as the API has it, who is short of memory first, and who is silent', async () => {
    const { page, complaints } = await open('');
    const { cluster: sum, nodes } = await api().query<{
      cluster: { processes: number; nodesReporting: number; memory: Record<string, number> };
      nodes: { nodes: { id: string }[] };
    }>(`{ cluster { processes nodesReporting memory { total used available } }
      nodes(orderBy: { field: AVAILABLE_PERCENT }) { nodes { id } } }`);
    await page.getByRole('heading', { name: 'Cluster', level: 1 }).waitFor();
    await card(page, 'Nodes reporting').getByText(`${sum.nodesReporting} of ${HOSTS}`).waitFor();
    expect(sum.nodesReporting).toBe(HOSTS - 1);
    expect(await card(page, 'Nodes reporting').textContent()).toContain('1 node silent');
    expect(await card(page, 'Memory').textContent()).toContain(bytes(sum.memory['total']));
    expect(await card(page, 'Used').textContent()).toContain(bytes(sum.memory['used']));
    expect(await card(page, 'Available').textContent()).toContain(bytes(sum.memory['available']));
    expect(await card(page, 'Processes').textContent()).toContain(String(sum.processes));

    const rows = rowsOf(page, 'Nodes of the cluster');
    await until('all nodes in the table', async () => (await rows.count()) === HOSTS);
    expect(await rows.locator('td:first-child').allTextContents()).toEqual(nodes.nodes.map(({ id }) => id));
    const silent = rows.filter({ has: page.getByRole('link', { name: SILENT, exact: true }) });
    expect(await silent.textContent()).toMatch(/INACTIVE.*2 min ago/);
    expect(await rows.filter({ hasText: 'INACTIVE' }).count()).toBe(1);
    const growing = rowsOf(page, 'Processes that grow fastest').first();
    expect(await growing.textContent()).toContain('leaky');
    expect(complaints).toEqual([]);
  });

  it('sorts and filters nodes on the server, keeps both in the address, and goes back', async () => {
    const { page } = await open('');
    const rows = rowsOf(page, 'Nodes of the cluster');
    await page.getByRole('button', { name: 'Load' }).focus();
    await page.keyboard.press('Enter');
    const { nodes } = await api().query<{ nodes: { nodes: { id: string }[] } }>(
      '{ nodes(orderBy: { field: LOAD, direction: DESC }) { nodes { id } } }',
    );
    await until('the nodes by load', async () => {
      return (await rows.locator('td:first-child').allTextContents()).join() === nodes.nodes.map(({ id }) => id).join();
    });
    expect(await page.getByRole('columnheader', { name: 'Load' }).getAttribute('aria-sort')).toBe('descending');
    await page.getByRole('searchbox', { name: 'Filter nodes' }).fill('WEB-1');
    await until('nodes of that name only', async () => (await rows.count()) === 7);
    expect(page.url()).toContain('sort=LOAD&dir=DESC&text=WEB-1');
    await page.getByRole('link', { name: 'web-12', exact: true }).click();
    await page.getByRole('heading', { name: 'web-12', level: 1 }).waitFor();
    expect(await page.title()).toBe('web-12 · Tidemark');
    await page.goBack();
    await until('the list as it was', async () => (await rows.count()) === 7);
    await page.getByRole('combobox', { name: 'Show' }).selectOption('INACTIVE');
    await page.getByRole('searchbox', { name: 'Filter nodes' }).fill('');
    await until('the silent node only', async () => (await rows.count()) === 1);
    expect(await rows.textContent()).toContain(SILENT);
  });

  it('shows a node: its memory, its course, its processes', async () => {
    const { page, complaints } = await open(href.node('db-1'));
    const { node } = await api().query<{ node: { memory: Record<string, number> } }>(
      '{ node(id: "db-1") { memory { total available used free active inactive buffers cached shared } } }',
    );
    await fact(page, 'Total').waitFor();
    for (const [name, value] of Object.entries(node.memory)) {
      const shown = fact(page, name[0]!.toUpperCase() + name.slice(1));
      expect(await shown.textContent(), name).toBe(bytes(value));
      expect(await shown.locator('span').getAttribute('title')).toBe(`${value} bytes`);
    }
    const chart = page.getByRole('img', { name: /^Used from/ });
    await chart.waitFor();
    expect(await chart.locator('path.line').count()).toBe(2);
    await page.getByRole('radio', { name: '6 h' }).check();
    await until('the period in the address', () => page.url().includes('period=6h'));
    await chart.focus();
    await page.keyboard.press('ArrowLeft');
    await page.locator('figcaption', { hasText: / GiB to .* at \d{4}-/ }).waitFor();

    const rows = rowsOf(page, 'Processes of db-1');
    await page.getByRole('button', { name: 'Growth' }).click();
    await until('the one that grows to be first', async () =>
      /^leaky 100/.test((await rows.first().textContent()) ?? ''),
    );
    const shown = await rows.first().locator('.col-rss').textContent();
    expect(shown).toBe(bytes(cluster.hosts[0]!.processes.get(LEAKY.pid)!.numbers.rss));
    await page.getByRole('searchbox', { name: 'Filter processes' }).fill('postgres');
    await until('one process', async () => (await rows.count()) === 1);
    expect(complaints).toEqual([]);
  });

  it('says of a silent node that its figures are old', async () => {
    const { page } = await open(href.node(SILENT));
    await page.getByText('These are the last known values').waitFor();
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toContain('INACTIVE');
    await until('its processes', async () => (await rowsOf(page, `Processes of ${SILENT}`).count()) > 3);
  });

  it('shows a process: growth with its interval, time left, children, and new figures by themselves', async () => {
    const { page, complaints } = await open(href.process(keyOf(0, LEAKY.pid)));
    const { process } = await api().query<{
      process: { growth: { bytesPerHour: number; low: number; high: number; source: string } };
    }>('{ process(node: "db-1", pid: 100) { growth { bytesPerHour low high source } } }');
    // 2 MiB a second, exactly.
    expect(process.growth.bytesPerHour / (LEAKY.mibPerSecond * 3600 * 1024 ** 2)).toBeCloseTo(1, 2);
    await card(page, 'Growth').getByText(rate(process.growth.bytesPerHour), { exact: true }).waitFor();
    expect(await card(page, 'Growth').textContent()).toContain(
      `${rate(process.growth.low)} to ${rate(process.growth.high)}`,
    );
    expect(await section(page, 'Children').textContent()).toContain('leaky-worker (101)');
    expect(await page.getByText('/usr/bin/leaky --serve').count()).toBeGreaterThan(0);
    await cluster.round(10);
    const rss = bytes(cluster.hosts[0]!.processes.get(LEAKY.pid)!.numbers.rss);
    await card(page, 'RSS').getByText(rss, { exact: true }).waitFor();
    await page.goto(`${web.url}#/nodes/db-1/pids/100`);
    await until('the address of the pid to lead to the process', () =>
      page.url().endsWith(href.process(keyOf(0, 100))),
    );
    expect(complaints).toEqual([]);
  });

  it('starts and stops a trace, and shows its sites with stacks and verdicts', async () => {
    const requests: TraceRequestRecord[] = [];
    const subscription = await cluster.graph.log.subscribe({
      ...{ topic: Topic.Control, group: 'watcher', from: 'earliest', ephemeral: true },
      assign: () => ({
        handle(batch) {
          for (const { value, headers } of batch) {
            const record = decodeControlRecord(value!, headers);
            if (record.type === 'trace-request') requests.push(record);
          }
          return Promise.resolve();
        },
      }),
    });
    await subscription.ready;
    const { page, complaints } = await open(href.process(keyOf(0, LEAKY.pid)));
    const trace = section(page, 'Allocation trace');
    await trace.getByText('Not traced yet').waitFor();
    await trace.getByRole('radio', { name: 'Exact' }).check();
    await trace.getByRole('button', { name: 'Start trace' }).click();
    await until('the request in the log', () => requests.length === 1);
    expect(requests[0]).toMatchObject({ node: 'db-1', pid: 100, action: 'START', mode: 'EXACT' });

    await cluster.trace();
    await fact(page, 'State').getByText('running').waitFor();
    const { process } = await api().query<{
      process: { trace: { liveBytes: number; atRiskTotal: number; sites: { verdict: string; liveBytes: number }[] } };
    }>(`{ process(node: "db-1", pid: 100) { trace { liveBytes atRiskTotal
      sites(orderBy: { field: VERDICT }) { verdict liveBytes } } } }`);
    expect(await fact(page, 'Live').textContent()).toBe(bytes(process.trace.liveBytes));
    const sites = trace.locator('.site');
    expect(await sites.count()).toBe(process.trace.sites.length);
    for (const [at, { verdict, liveBytes }] of process.trace.sites.entries()) {
      const text = (await sites.nth(at).textContent()) ?? '';
      expect(text).toContain(verdict.toLowerCase());
      expect(text).toContain(bytes(liveBytes));
    }
    await sites.first().getByText('Call stack').click();
    expect(await sites.first().getByRole('listitem').allTextContents()).toEqual([
      expect.stringMatching(/remember.*leaker\.c:12/),
      expect.stringMatching(/main.*leaker\.c:90/),
    ]);
    await trace.getByText(`of ${process.trace.atRiskTotal} that live`).click();
    expect(await rowsOf(page, 'Blocks that no free was seen of').first().textContent()).toMatch(/64 B.*0x7f/);
    await trace.getByRole('button', { name: 'Stop trace' }).click();
    await until('the second request in the log', () => requests.at(-1)?.action === 'STOP');
    await subscription.drain(1_000);
    expect(complaints).toEqual([]);
  });

  it('sums a program over the nodes and says how many of them answered', async () => {
    const { page, complaints } = await open(href.program('postgres'));
    const { clusterAggregate: sum } = await api().query<{
      clusterAggregate: { total: number; byNode: { node: { id: string }; total: number }[] };
    }>('{ clusterAggregate(filter: { program: "postgres" }) { total byNode(first: 3) { node { id } total } } }');
    await page.getByText(`${HOSTS - 1} of ${HOSTS} nodes answered`).waitFor();
    expect(await card(page, 'Total').textContent()).toContain(bytes(sum.total));
    const rows = rowsOf(page, /by node$/);
    expect(await rows.count()).toBe(HOSTS - 1);
    expect(await rows.first().textContent()).toContain(sum.byNode[0]!.node.id);
    expect(complaints).toEqual([]);
  });

  it('shows names of hosts as the text they are, and runs none of it', async () => {
    const { page, complaints } = await open(href.process(keyOf(1, HOSTILE_PID)));
    await page.getByRole('heading', { name: `${HOSTILE} (${HOSTILE_PID})`, level: 1 }).waitFor();
    expect(await page.locator('.command').textContent()).toBe(HOSTILE_COMMAND.replace('\u202e', '\\u{202e}'));
    await page.getByRole('link', { name: HOSTILE }).last().click();
    await page.getByRole('heading', { name: HOSTILE, level: 1, exact: true }).waitFor();
    const finding = findingOf('db-2', HOSTILE_PID, 'SUSPECTED', { id: 'hostile', program: HOSTILE });
    await cluster.graph.report({ ...finding, message: HOSTILE_COMMAND, service: HOSTILE });
    await page.getByRole('region', { name: 'Alerts' }).getByText(HOSTILE_COMMAND.slice(0, 30)).first().waitFor();
    await page.goto(`${web.url}#/findings?state=all`);
    await page.getByRole('article').getByText(HOSTILE).first().waitFor();
    expect(await page.evaluate('window.hurt')).toBeUndefined();
    expect(await page.locator('img:not([src="./favicon.svg"]), main script').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('shows a finding as it comes, and takes an acknowledgement with a note', async () => {
    const { page, complaints } = await open('#/findings');
    await page.getByRole('heading', { name: 'Findings', level: 1 }).waitFor();
    const id = 'live-1';
    const report = (state: 'SUSPECTED' | 'CONFIRMED') =>
      cluster.graph.report(findingOf('web-3', 202, state, { id, program: 'node', message: `node leaks, ${state}` }));
    const toasts = page.getByRole('region', { name: 'Alerts' });
    await report('SUSPECTED');
    await toasts.getByText('node leaks, SUSPECTED').waitFor();
    const card = page.getByRole('article', { name: 'Finding on node' });
    await card.getByText('suspected', { exact: true }).waitFor();
    await report('CONFIRMED');
    await toasts.getByText('node leaks, CONFIRMED').waitFor();
    expect(await toasts.getByText('node leaks').count()).toBe(1);
    await card.getByText('confirmed', { exact: true }).waitFor();
    await card.getByRole('textbox', { name: 'Note on the finding' }).fill('known, fixed in 2.1');
    await card.getByRole('button', { name: 'Acknowledge' }).click();
    await card.getByText('known, fixed in 2.1').waitFor();
    const { finding } = await api().query<{ finding: { acknowledgement: { note: string } } }>(
      `{ finding(id: "${id}") { acknowledgement { note } } }`,
    );
    expect(finding.acknowledgement.note).toBe('known, fixed in 2.1');
    await until('the alert to be put away', async () => (await toasts.getByText('node leaks').count()) === 0);
    expect(complaints).toEqual([]);
  });

  it('survives a restart of the API, and tells what was found meanwhile', async () => {
    await cluster.graph.report(findingOf('web-2', 201, 'SUSPECTED', { id: 'before' }));
    const { page } = await open('#/findings');
    await page.getByRole('article').first().waitFor();
    await cluster.graph.stopServer();
    await page.getByText('No connection to the API').waitFor();
    expect(await page.getByRole('article').count()).toBeGreaterThan(0);
    await cluster.graph.report(findingOf('web-4', 203, 'SUSPECTED', { id: 'meanwhile', message: 'found meanwhile' }));
    await cluster.graph.startServer();
    await until('the page to be connected again', async () => !(await page.locator('.connection').isVisible()));
    const toasts = page.getByRole('region', { name: 'Alerts' });
    await toasts.getByText('found meanwhile').waitFor();
    await cluster.graph.report(findingOf('web-5', 204, 'SUSPECTED', { id: 'after', message: 'found after' }));
    await toasts.getByText('found after').waitFor();
    await cluster.retell();
    await page.getByRole('link', { name: 'Cluster', exact: true }).first().click();
    await card(page, 'Nodes reporting')
      .getByText(`${HOSTS - 1} of`)
      .waitFor();
  });

  it('asks for the token when the API does, and keeps it for the tab', async () => {
    const token = 'correct-horse-battery';
    const graph = await startGraphCluster({
      ...{ host: '0.0.0.0', token, page: builtPage() },
    });
    try {
      const host = createSimulatedHost('guarded-1');
      host.setSystem(systemOf(1024 ** 3, 1024 ** 2, 1));
      await graph.publish(host);
      const { page } = await open('', {}, graph.url.replace('graphql', ''));
      const field = page.getByLabel('Token', { exact: true });
      await field.fill('wrong-token');
      await page.getByRole('button', { name: 'Use it' }).click();
      await page.getByText(/token.* is wrong/).waitFor();
      await field.fill(token);
      await page.getByRole('button', { name: 'Use it' }).click();
      await page.getByRole('link', { name: 'guarded-1' }).waitFor();
      expect(await field.isVisible()).toBe(false);
      await page.reload();
      await page.getByRole('link', { name: 'guarded-1' }).waitFor();
      await page.waitForTimeout(500);
      await graph.report(findingOf('guarded-1', 7, 'SUSPECTED', { id: 'g', message: 'over the socket' }));
      await page.getByRole('region', { name: 'Alerts' }).getByText('over the socket').waitFor();
      const other = await open('', {}, graph.url.replace('graphql', ''));
      await other.page.getByLabel('Token', { exact: true }).waitFor();
    } finally {
      await graph.close();
    }
  });

  it('turns the pages of a thousand nodes, fifty at a time', async () => {
    const graph = await startGraphCluster({ page: builtPage() });
    try {
      const names = Array.from({ length: 1000 }, (_, at) => `host-${String(at).padStart(4, '0')}`);
      for (const name of names) {
        const host = createSimulatedHost(name);
        host.setSystem(systemOf(1024 ** 3, 1024 ** 2, 1));
        await graph.publish(host);
      }
      const { page, complaints } = await open('#/?sort=ID', {}, graph.url.replace('graphql', ''));
      const rows = rowsOf(page, 'Nodes of the cluster');
      const pager = page.getByRole('navigation', { name: 'Pages of nodes' });
      const shown = () => rows.locator('td:first-child').allTextContents();
      await pager.getByText('1 to 50 of 1\u202f000 nodes').waitFor();
      expect(await shown()).toEqual(names.slice(0, 50));
      await pager.getByRole('button', { name: 'Next' }).click();
      await pager.getByText('51 to 100 of').waitFor();
      await until('the second page', async () => (await shown())[0] === names[50]);
      expect(await shown()).toEqual(names.slice(50, 100));
      await pager.getByRole('button', { name: 'Previous' }).click();
      await until('the first page again', async () => (await shown())[0] === names[0]);
      expect(complaints).toEqual([]);
    } finally {
      await graph.close();
    }
  });

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
  ] as const)('can be heard, read and used without a mouse: %s, %d px', async (colorScheme, width) => {
    const { page } = await open('', { colorScheme, viewport: { width, height: 800 } });
    const views = {
      '#/': 'Nodes of the cluster',
      [href.node('db-1')]: 'Processes of db-1',
      [href.process(keyOf(0, LEAKY.pid))]: undefined,
      [href.program('postgres')]: /^PSS of postgres/,
      '#/findings?state=all': undefined,
    };
    for (const [hash, caption] of Object.entries(views)) {
      await page.goto(`${web.url}${hash}`);
      if (caption === undefined) await page.locator('article, .facts, p.empty').first().waitFor();
      else await until(`the rows of ${hash}`, async () => (await rowsOf(page, caption).count()) > 1);
      expect(await barriers(page), `${hash} ${colorScheme} ${width}`).toEqual([]);
    }
    await page.goto(`${web.url}#/`);
    await page.reload();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.tagName')).toBe('MAIN');
  });
});
