import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPreload, jsonLines, preload, whyNot } from './support/preload.js';

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

    it('compiles without a warning', () => {
      const build = join(out, 'library');
      const made = execFileSync('make', ['-C', preload, `CC=${compiler}`, `OUT=${build}`, 'all'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      expect(made).not.toMatch(/warning:/);
    }, 120_000);
  });
}
