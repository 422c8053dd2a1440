import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildPreload,
  clearRings,
  dumpRing,
  expectSound,
  ringDirectory,
  ringPath,
  runTraced,
  start,
  tracedEnvironment,
  whyNot,
} from './support/preload.js';
import { until } from './support/until.js';

const needed = ['gcc', 'g++', 'make', 'python3', 'sort', 'ls', 'tar', 'grep', 'awk', 'git', 'env'];
const reason = whyNot('real programs under the preload library', needed);
const noRedis = whyNot('redis under the preload library', ['redis-server', 'redis-benchmark', 'redis-cli']);
const noValgrind = whyNot('valgrind with the preload library', ['valgrind']);

const scratch = mkdtempSync(join(tmpdir(), 'tidemark-programs-'));
const source = join(scratch, 'hello.c');
const text = join(scratch, 'text');
/** The interpreter itself: the command may be a script that starts many programs before it. */
const python = spawnSync('python3', ['-c', 'import sys; print(sys.executable, end="")'], { encoding: 'utf8' }).stdout;
const PROGRAMS: [string, string[]][] = [
  ['ls', ['-laR', '/usr/include/linux']],
  ['sort', ['-r', text]],
  ['grep', ['-c', '7', text]],
  ['awk', ['{ count[$1 % 100]++ } END { for (i in count) sum += count[i]; print sum }', text]],
  ['tar', ['--sort=name', '-cf', '-', '-C', '/usr/include', 'linux']],
  [python, ['-c', 'import json, re, collections; print(json.dumps(dict(collections.Counter("tidemark"))))']],
  [python, ['-c', 'raise SystemExit(7)']],
  ['gcc', ['-O2', '-S', '-o', '-', source]],
  ['gcc', ['-o', '/dev/null', join(scratch, 'is-not-there.c')]],
  ['sh', ['-c', 'for i in 1 2 3; do echo $i | cat | wc -c; done; exit 3']],
  [
    'bash',
    ['--norc', '-c', 'a=(x{1..2000}); echo ${#a[@]} $(echo sub; ls / | head -1) <(true) >/dev/null; kill -TERM $$'],
  ],
  ['git', ['--version']],
  // At a fixed address, with operators new and delete of its own.
  [process.execPath, ['-e', 'console.log(JSON.stringify(Array.from({ length: 100000 }, (_, i) => ({ i })).length))']],
  ['false', []],
];

describe.skipIf(reason)('real programs under the preload library', () => {
  let rings: string;
  beforeAll(() => {
    buildPreload();
    rings = ringDirectory();
    writeFileSync(source, '#include <stdio.h>\nint main(void) { return printf("hello\\n") != 6; }\n');
    writeFileSync(
      text,
      Array.from({ length: 50_000 }, (_, line) => `${(line * 7919) % 50_021} line ${line}`).join('\n'),
    );
  }, 300_000);
  beforeEach(() => clearRings(rings));
  afterAll(() => {
    for (const directory of [rings, scratch]) if (directory) rmSync(directory, { recursive: true, force: true });
  });

  it.each(PROGRAMS)(
    '%s %j prints and ends as without it',
    async (command, args) => {
      const bare = spawnSync(command, args, {
        env: { PATH: process.env['PATH'] ?? '' },
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      });
      for (const mode of ['exact', 'sampled', 'dormant'] as const) {
        clearRings(rings);
        const traced = await runTraced(rings, command, args, { mode, interval: 16_384, env: { TIDEMARK_FOLLOW: '1' } });
        expect({ mode, status: traced.status, signal: traced.signal, stderr: traced.stderr }).toEqual({
          mode,
          status: bare.status,
          signal: bare.signal,
          stderr: bare.stderr,
        });
        expect(traced.stdout === bare.stdout, `${command} prints the same in mode ${mode}`).toBe(true);
        for (const file of readdirSync(rings)) expectSound(dumpRing(join(rings, file)));
      }
    },
    120_000,
  );

  it('keeps its variables to itself when it is told to', async () => {
    const env = { TIDEMARK_HIDE: '1', PROBE: 'kept' };
    const done = await runTraced(rings, 'env', [], { env });
    expect(done.stdout).toContain('PROBE=kept');
    expect(done.stdout).not.toMatch(/LD_PRELOAD|TIDEMARK/);
    const chain = await runTraced(rings, 'sh', ['-c', 'exec sh -c "env; exec sort /dev/null"'], { env });
    expect(chain.stdout).not.toMatch(/LD_PRELOAD|TIDEMARK/);
    const ring = dumpRing(ringPath(rings, chain.pid));
    expect(ring.program).toBe('sort');
    expect(ring.image).toBe(2);
    const code = 'import os; print(os.system("exit 5") >> 8, sorted(k for k in os.environ if "TIDEMARK" in k))';
    clearRings(rings);
    const child = await runTraced(rings, python, ['-c', code], { env });
    expect(child.stdout).toBe('5 []\n');
    expect(readdirSync(rings).length).toBeLessThanOrEqual(1);
  });

  it.skipIf(noRedis)(
    'serves redis-benchmark without an error',
    async () => {
      const socket = join(scratch, 'redis.sock');
      for (const mode of ['exact', 'sampled'] as const) {
        clearRings(rings);
        const env = tracedEnvironment(rings, { mode });
        const settings = ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no'];
        const server = start('redis-server', settings, env, scratch);
        const cli = (...args: string[]) =>
          spawnSync('redis-cli', ['-s', socket, ...args], { encoding: 'utf8' }).stdout.trim();
        await until('redis to answer', () => cli('ping') === 'PONG');
        const tests = ['-t', 'set,get,lpush,lpop,hset', '-n', '20000', '-r', '5000', '-q'];
        const bench = spawnSync('redis-benchmark', ['-s', socket, ...tests], { encoding: 'utf8' });
        expect(bench.status).toBe(0);
        expect(Number(cli('dbsize'))).toBeGreaterThan(4000);
        cli('shutdown', 'nosave');
        const done = await server.finished;
        expect({ status: done.status, signal: done.signal }).toEqual({ status: 0, signal: null });
        const ring = dumpRing(ringPath(rings, server.pid));
        expectSound(ring);
        expect(ring.totals.issued).toBeGreaterThan(100_000);
      }
    },
    120_000,
  );

  it.skipIf(noValgrind)(
    'runs under valgrind',
    async () => {
      const program = join(import.meta.dirname, '../preload/build/test/entry-points');
      const done = await runTraced(rings, 'valgrind', ['--tool=none', '-q', program]);
      expect({ status: done.status, signal: done.signal }).toEqual({ status: 0, signal: null });
    },
    120_000,
  );

  it.skipIf(noValgrind).each(['exact', 'sampled', 'dormant'] as const)(
    'touches no memory that is not its own, by memcheck, in %s mode',
    async (mode) => {
      const program = join(import.meta.dirname, '../preload/build/test/leak-churn-cache');
      const done = await runTraced(rings, 'valgrind', ['-q', '--error-exitcode=9', program, '200', '3000'], { mode });
      expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
      expect(readdirSync(rings)).toContain(`${done.pid}.ring`);
    },
    120_000,
  );
});
