import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildPreload,
  clearRings,
  dumpRing,
  expectSound,
  program,
  ringDirectory,
  ringPath,
  runTraced,
  whyNot,
  type Settings,
  type Tally,
} from './support/preload.js';
import { until } from './support/until.js';

const reason = whyNot('hostile surroundings of the preload library', ['gcc', 'g++', 'make']);
const isRoot = process.getuid?.() === 0;
if (!isRoot && process.env['CI'] === 'true')
  throw new Error('hostile surroundings: chroot, setuid and mount need root');

/** What `hostile` prints: its counts since the deed, and the library's before it. */
type Deed = Tally & { pid: number; before: Tally };

describe.skipIf(reason)('the preload library in hostile surroundings', () => {
  let rings: string;
  beforeAll(() => {
    buildPreload();
    rings = ringDirectory();
  }, 300_000);
  beforeEach(() => clearRings(rings));
  afterAll(() => rings && rmSync(rings, { recursive: true, force: true }));

  async function run(deed: string, blocks: number, settings: Settings & { directory?: string } = {}) {
    const args = [deed, String(blocks), ...(settings.directory ? [settings.directory] : [])];
    const done = await runTraced(rings, program('hostile'), args, settings);
    expect({ status: done.status, signal: done.signal, stderr: done.stderr }).toEqual({
      status: 0,
      signal: null,
      stderr: '',
    });
    return { own: JSON.parse(done.stdout) as Deed, done };
  }

  /** The ring tells of exactly the calls that the program made, and of what the C library needed to end. */
  function expectAllCounted(own: Deed, path: string): void {
    const ring = dumpRing(path);
    expectSound(ring);
    expect(ring.totals.dropped).toBe(0);
    expect(ring.totals.allocations - own.before.allocations).toBe(own.allocations);
    expect(ring.totals.frees - own.before.frees).toBe(own.frees);
    expect(ring.totals.liveBlocks - own.before.liveBlocks).toBe(own.liveBlocks);
    expect(ring.totals.liveBytes - own.before.liveBytes).toBe(own.liveBytes);
  }

  it.each(['plain', 'close', 'mlockall', 'file-size'])('goes on counting after: %s', async (deed) => {
    const { own, done } = await run(deed, 50_000);
    expect(own.failed).toBe(0);
    expectAllCounted(own, ringPath(rings, done.pid));
  });

  it.skipIf(!isRoot)('goes on counting in a chroot', async () => {
    const directory = join(rings, 'root');
    mkdirSync(directory);
    const { own, done } = await run('chroot', 50_000, { directory });
    expectAllCounted(own, ringPath(rings, done.pid));
  });

  it.skipIf(!isRoot)('goes on counting after the process became another user', async () => {
    const { own, done } = await run('setuid', 50_000);
    expectAllCounted(own, ringPath(rings, done.pid));
  });

  it('follows a program that becomes a daemon into the process that goes on', async () => {
    const { done } = await run('daemon', 1000, { env: { TIDEMARK_FOLLOW: '1' } });
    await pause(200);
    const own = JSON.parse(done.stdout) as Deed;
    expect(own.pid).not.toBe(done.pid);
    const path = ringPath(rings, own.pid);
    await until('the file of the daemon', () => existsSync(path));
    await until('the daemon to end', () => !existsSync(`/proc/${own.pid}`));
    const ring = dumpRing(path);
    expectSound(ring);
    expect(ring.pid).toBe(own.pid);
    expect(ring.totals.allocations).toBeGreaterThanOrEqual(own.allocations);
    expect(ring.totals.liveBytes).toBeGreaterThanOrEqual(own.liveBytes);
  });

  it('leaves a program alone that may hardly map anything any more', async () => {
    for (const mode of ['exact', 'sampled'] as const) {
      const { own, done } = await run('address-space', 20_000, { mode });
      expect(own.failed).toBe(0);
      const path = ringPath(rings, done.pid);
      if (existsSync(path)) expectSound(dumpRing(path));
    }
  });

  it('starts in a process whose address space is bounded from the beginning', () => {
    const script = `ulimit -v 200000; exec ${program('hostile')} plain 20000`;
    const env = { PATH: process.env['PATH'] ?? '', LD_PRELOAD: '', TIDEMARK_DIR: rings };
    const library = join(import.meta.dirname, '../preload/build/libtidemark.so');
    const done = spawnSync('sh', ['-c', `export LD_PRELOAD=${library} TIDEMARK_MODE=exact; ${script}`], {
      env,
      encoding: 'utf8',
    });
    expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
    expect((JSON.parse(done.stdout) as Deed).failed).toBe(0);
  });

  it('starts without a directory for its file, or with one that it may not write to', async () => {
    for (const directory of ['/nowhere/at/all', '/proc/self', '/dev/null', `/${'x'.repeat(300)}`]) {
      const { own } = await run('plain', 1000, { env: { TIDEMARK_DIR: directory } });
      expect(own).toMatchObject({ allocations: 1001, frees: 500, failed: 0 });
    }
  });

  it('keeps to the bound of its memory and counts what found no room', async () => {
    const maxBytes = 4 << 20;
    const { own, done } = await run('plain', 400_000, { maxBytes });
    const ring = dumpRing(ringPath(rings, done.pid));
    expectSound(ring);
    expect(ring.populatedBytes).toBeLessThanOrEqual(maxBytes);
    expect(ring.totals.dropped).toBeGreaterThan(100_000);
    expect(ring.totals.allocations - own.before.allocations).toBe(own.allocations);
    expect(ring.totals.frees - own.before.frees).toBe(own.frees);
    const blocks = execFileSync('stat', ['-c', '%b', ringPath(rings, done.pid)], { encoding: 'utf8' });
    expect(Number(blocks) * 512).toBeLessThanOrEqual(maxBytes + (1 << 20));
  });

  it.skipIf(!isRoot)('counts what a full file system does not take, and harms nobody', async () => {
    const small = join(rings, 'small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]);
    try {
      const { own, done } = await run('plain', 200_000, { env: { TIDEMARK_DIR: small, TEST_RINGS: small } });
      expect(own.failed).toBe(0);
      const [file] = readdirSync(small).filter((name) => name.endsWith('.ring'));
      if (file === undefined) return;
      expect(file).toBe(`${done.pid}.ring`);
      const ring = dumpRing(join(small, file));
      expectSound(ring);
      expect(ring.totals.dropped).toBeGreaterThan(50_000);
      expect(ring.totals.allocations - own.before.allocations).toBe(own.allocations);
      expect(statfsSync(small).blocks * statfsSync(small).bsize).toBe(1 << 20);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
