import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { compareLogWithHistory } from './support/log-and-history.js';
import { dataDirectory, startStandalone } from './support/standalone.js';
import { until } from './support/until.js';

/** Every run of this test kills at other moments; the seed in its output repeats one. */
const SEED = Number(process.env['TIDEMARK_TEST_SEED'] ?? Date.now() % 1_000_000);
const KILLS = 50;
const data = dataDirectory();
afterAll(() => data.remove());

/** Small seeded generator (mulberry32): the moments of the kills must be repeatable. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Children of a process, from the kernel's own list. */
function children(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function embeddedChild(pid: number): number | undefined {
  return children(pid).find((child) => {
    try {
      return readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('embedded');
    } catch {
      return false;
    }
  });
}

describe('the standalone and its embedded history', () => {
  it(`keep everything once, killed ${KILLS} times each (seed ${SEED})`, { timeout: 1_200_000 }, async () => {
    const next = random(SEED);
    const start = () => startStandalone(data.path, '--set', 'collect.interval=100', '--set', 'detect.profile=demo');
    const kills = { standalone: 0, history: 0 };
    while (kills.standalone < KILLS || kills.history < KILLS) {
      const running = await start();
      // Several deaths of the history within one life of the standalone, then the standalone's own.
      for (let n = 0; n < 2 && kills.history < KILLS; n++) {
        await pause(next() * 900);
        const child = embeddedChild(running.process.pid!);
        if (child === undefined) continue;
        process.kill(child, 'SIGKILL');
        kills.history++;
      }
      await pause(next() * 1_500);
      await running.kill('SIGKILL');
      kills.standalone++;
    }
    expect(kills.standalone).toBeGreaterThanOrEqual(KILLS);

    const last = await start();
    await until(
      'the writer to catch up with the log',
      async () => (await fetch(`${new URL(last.url).origin}/health/ready`)).status === 200,
      120_000,
    );
    await pause(3_000);
    expect(await last.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    await compareLogWithHistory(data.path);
  });
});
