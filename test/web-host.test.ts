import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { bytes } from '../apps/web/src/page/format.js';
import { openBrowser, openPage, whyNoBrowser } from './support/browser.js';
import { dataDirectory, startStandalone, type RunningStandalone } from './support/standalone.js';
import { until } from './support/until.js';

vi.setConfig({ testTimeout: 120_000 });

const why = whyNoBrowser();
const data = dataDirectory();
let tidemark: RunningStandalone;
let browser: Browser;
/** Holds 64 MiB and sleeps: figures that stand still. */
let still: ChildProcess;

beforeAll(async () => {
  if (why !== undefined) return;
  still = spawn('python3', ['-c', "held = bytearray(64 << 20); held[::4096] = b'x' * len(held[::4096]); input()"], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  [tidemark, browser] = await Promise.all([startStandalone(data.path), openBrowser()]);
}, 120_000);

afterAll(async () => {
  still?.kill('SIGKILL');
  await browser?.close();
  await tidemark?.kill('SIGKILL');
  data.remove();
});

/** Kibibytes after `Name:` in a kernel file, as bytes; written apart from the product's parsers on purpose. */
function field(file: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'));
  if (!match) throw new Error(`${file} has no ${name}`);
  return Number(match[1]) * 1024;
}

const fact = (page: Page, name: string) =>
  page
    .locator('.facts > div', { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
    .locator('dd')
    .first();

describe.skipIf(why !== undefined)(`the web page of this host${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  it('is named by npm start, and shows the memory of this machine as the kernel has it', async () => {
    const address = /Page\s+(http:\/\/\S+)/.exec(tidemark.output())?.[1];
    expect(address).toBe(tidemark.url.replace('graphql', ''));
    const { page, complaints } = await openPage(browser, address!);
    await page.getByRole('link', { name: hostname(), exact: true }).first().click();
    await page.getByRole('heading', { name: hostname(), level: 1 }).waitFor();
    await fact(page, 'Total').waitFor();
    expect(await fact(page, 'Total').textContent()).toBe(bytes(field('/proc/meminfo', 'MemTotal')));
    expect(await fact(page, 'Swap total').textContent()).toBe(bytes(field('/proc/meminfo', 'SwapTotal')));
    const shown = async () => parseInt((await fact(page, 'Buffers').locator('span').getAttribute('title')) ?? '', 10);
    // Other programs move the figures between the two readings: look until one pair of readings is close enough.
    await until('buffers within 2 MiB of /proc/meminfo', async () => {
      return Math.abs((await shown()) - field('/proc/meminfo', 'Buffers')) <= 2 * 1024 * 1024;
    });
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it('finds a process by its pid and shows it as the kernel has it, with its course from history', async () => {
    const url = `${tidemark.url.replace('graphql', '')}#/nodes/${hostname()}/pids/${still.pid}`;
    const { page, complaints } = await openPage(browser, url);
    await page.getByRole('heading', { name: `(${still.pid})`, level: 1 }).waitFor();
    const status = `/proc/${still.pid}/status`;
    await until('RSS as in /proc', async () => {
      return (await fact(page, 'RSS').textContent()) === bytes(field(status, 'VmRSS'));
    });
    expect(await fact(page, 'Virtual size').textContent()).toBe(bytes(field(status, 'VmSize')));
    expect(await fact(page, 'Text').textContent()).toBe(bytes(field(status, 'VmExe')));
    await until('a line in the chart', async () => (await page.locator('path.line').count()) > 0);
    expect(complaints).toEqual([]);
    still.kill('SIGKILL');
    await page.getByText('exited', { exact: true }).waitFor();
    await page.context().close();
  });
});
