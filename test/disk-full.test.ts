import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareLogWithHistory } from './support/log-and-history.js';
import { dataDirectory, startStandalone, type RunningStandalone } from './support/standalone.js';
import { until } from './support/until.js';

/** A small disk of its own, so that filling it harms nobody; mounting needs root. */
const data = dataDirectory();
const filler = join(data.path, 'filler');
let tidemark: RunningStandalone;

beforeAll(async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tidemark-test', data.path]);
  tidemark = await startStandalone(data.path, '--set', 'collect.interval=200');
});

afterAll(async () => {
  await tidemark?.kill('SIGKILL');
  await until('the disk to be let go', () => {
    try {
      execFileSync('umount', [data.path], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
  data.remove();
});

function fill(): void {
  const file = openSync(filler, 'w');
  const block = Buffer.alloc(64 * 1024);
  try {
    for (;;) writeSync(file, block);
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
  } finally {
    closeSync(file);
  }
}

async function sampledAt(): Promise<number> {
  const { node } = await tidemark.query<{ node: { sampledAt: string } }>(
    'query ($id: ID!) { node(id: $id) { sampledAt } }',
    { id: hostname() },
  );
  return Date.parse(node.sampledAt);
}

async function newestRow(): Promise<number> {
  const { username, password } = tidemark.reader;
  const response = await fetch(`${tidemark.historyUrl}/?database=tidemark`, {
    method: 'POST',
    headers: { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password },
    body: 'SELECT toUnixTimestamp64Milli(max(at)) FROM process_samples',
  });
  return response.ok ? Number(await response.text()) : 0;
}

describe('a full disk', () => {
  it('is told, takes nothing down, and history catches up when there is room again', { timeout: 240_000 }, async () => {
    await until('the first rows', async () => (await newestRow()) > 0);
    fill();
    const full = Date.now();
    await until('the trouble to be told', () => /no space|disk is full|ENOSPC/i.test(tidemark.output()), 90_000);
    // The present is answered from memory, whatever the disk does.
    expect(await sampledAt()).toBeGreaterThan(0);
    expect(tidemark.process.exitCode).toBeNull();
    await until('five seconds of a full disk', () => Date.now() - full > 5_000);

    rmSync(filler);
    const freed = Date.now();
    await until('new samples', async () => (await sampledAt()) > freed, 90_000);
    await until('rows of after the trouble', async () => (await newestRow()) > freed, 90_000);
    const base = new URL(tidemark.url).origin;
    await until('readiness', async () => (await fetch(`${base}/health/ready`)).status === 200, 60_000);
    expect(await tidemark.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    await compareLogWithHistory(data.path);
  });
});
