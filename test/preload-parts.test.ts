import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildPreload,
  dumpRing,
  expectSound,
  jsonLines,
  preload,
  program,
  ringDirectory,
  ringPath,
  runTraced,
  whyNot,
  type Case,
} from './support/preload.js';

const noGcc = whyNot('parts of the preload library', ['gcc', 'g++', 'make']);
const noClang = whyNot('the preload library compiled by clang', ['clang', 'clang++', 'make']);

const compilers = [
  { compiler: 'gcc', reason: noGcc },
  { compiler: 'clang', reason: noClang },
];

for (const { compiler, reason } of compilers) {
  describe.skipIf(reason)(`parts of the preload library compiled by ${compiler}`, () => {
    let out: string;
    beforeAll(() => {
      out = mkdtempSync(join(tmpdir(), `tidemark-parts-${compiler}-`));
      buildPreload();
      buildPreload('unit-tests', `CC=${compiler}`, `TEST_OUT=${out}`);
    }, 300_000);
    afterAll(() => out && rmSync(out, { recursive: true, force: true }));

    function run(name: string, ...args: string[]) {
      const done = spawnSync(join(out, name), args, { encoding: 'utf8' });
      expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
      return jsonLines<Record<string, number>>(done.stdout);
    }

    it('enters and takes out blocks of many threads without a race', () => {
      const [report] = run('live-test-threads', '4', '100000');
      expect(report?.['alive']).toBeGreaterThan(10_000);
      expect(report?.['found']).toBe(report?.['alive']);
    });

    it('fills several levels of the table without touching what is not its own', () => {
      const [report] = run('live-test-addresses', '4', '500000');
      expect(report?.['found']).toBe(report?.['alive']);
      expect(report?.['refused']).toBeGreaterThan(0);
    });

    it('estimates without bias over 1,000 seeds while the interval changes, with intervals that hold', () => {
      const reports = run('sampler-test');
      expect(reports.length).toBe(2);
      for (const report of reports) {
        expect(Math.abs(report['biasOfBytes'] ?? 1)).toBeLessThan(0.005);
        expect(Math.abs(report['biasOfCount'] ?? 1)).toBeLessThan(0.005);
        for (const coverage of [report['coverageOfBytes'], report['coverageOfCount']]) {
          expect(coverage).toBeGreaterThanOrEqual(0.93);
          expect(coverage).toBeLessThanOrEqual(0.97);
        }
      }
    }, 60_000);

    it('compiles without a warning, and then counts as it should, with undefined behaviour trapped too', async () => {
      const rings = ringDirectory();
      try {
        for (const [name, flags] of Object.entries({
          plain: [],
          trapped: ['CFLAGS=-O1 -g -fsanitize=undefined -fno-sanitize=alignment -fsanitize-undefined-trap-on-error'],
        })) {
          const build = join(out, name);
          const made = execFileSync('make', ['-C', preload, `CC=${compiler}`, `OUT=${build}`, ...flags, 'all'], {
            encoding: 'utf8',
          });
          expect(made).not.toMatch(/warning:/);
          for (const mode of ['exact', 'sampled'] as const) {
            const env = { LD_PRELOAD: join(build, 'libtidemark.so') };
            const done = await runTraced(rings, program('threads'), ['3', '200000'], { mode, interval: 2048, env });
            expect({ status: done.status, signal: done.signal }).toEqual({ status: 0, signal: null });
            const [one] = jsonLines<Case>(done.stdout);
            expect(one?.seen.allocations).toBe(one?.expected.allocations);
            expect(one?.seen.frees).toBe(one?.expected.frees);
            expectSound(dumpRing(ringPath(rings, done.pid)));
          }
        }
      } finally {
        rmSync(rings, { recursive: true, force: true });
      }
    }, 240_000);
  });
}

describe.skipIf(noGcc)('stacks of the preload library', () => {
  it.each([
    ['check-stack', 'are those that libgcc walks, and what is remembered of them names no other caller'],
    ['check-stack-verify', 'are walked again on each hit of what is remembered, and found the same'],
    ['check-stack-asan', 'are walked within bounds'],
  ])(
    '%s: %s',
    (target) => {
      const done = spawnSync('make', ['-s', '-C', preload, target], { encoding: 'utf8', maxBuffer: 1 << 26 });
      expect(done.status, done.stderr).toBe(0);
      const lines = done.stdout.split('\n').filter((line) => line.includes(' compared, '));
      expect(lines.length).toBeGreaterThan(8);
      for (const line of lines) expect(line).toMatch(/ 0 wrong, 0 differ$/);
    },
    200_000,
  );
});
