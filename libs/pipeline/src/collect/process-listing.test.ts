import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProcfs } from '@tidemark/procfs';
import { afterEach, describe, expect, it } from 'vitest';
import { createProcessListing } from './process-listing.js';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** A /proc with one process and a last pid; `self` names this process, as in its own pid namespace, or another. */
function createRig(self = String(process.pid)) {
  const root = mkdtempSync(join(tmpdir(), 'tidemark-listing-'));
  roots.push(root);
  symlinkSync(self, join(root, 'self'));
  mkdirSync(join(root, '42'));
  const listing = createProcessListing(createProcfs({ root }));
  return (lastPid: number, known = 160) => {
    writeFileSync(join(root, 'loadavg'), `0.00 0.01 0.05 1/99 ${lastPid}\n`);
    return listing.newcomers(known);
  };
}
const all = { kind: 'all', pids: [42] };

describe('where new processes may be', () => {
  it('is everywhere at first, then nowhere while no pid is given out', () => {
    const at = createRig();
    expect([at(100), at(100)]).toEqual([all, all]);
    expect([at(100), at(100)]).toEqual([{ kind: 'none' }, { kind: 'none' }]);
  });

  it('is among the pids given out in this round and the last, since a pid comes before its process', () => {
    const at = createRig();
    [100, 100, 100].forEach((last) => at(last));
    expect(at(103)).toEqual({ kind: 'range', from: 101, to: 103 });
    expect(at(105)).toEqual({ kind: 'range', from: 101, to: 105 });
    expect(at(105)).toEqual({ kind: 'range', from: 104, to: 105 });
    expect(at(105)).toEqual({ kind: 'none' });
  });

  it('is everywhere when many pids were given out, or they began anew', () => {
    const at = createRig();
    [100, 100, 100].forEach((last) => at(last));
    expect(at(111)).toEqual(all);
    expect(at(111)).toEqual(all);
    expect(at(111)).toEqual({ kind: 'none' });
    expect(at(7)).toEqual(all);
    expect(at(8)).toEqual(all);
    expect(at(9)).toEqual({ kind: 'range', from: 8, to: 9 });
  });

  it('is everywhere once in sixty rounds, whatever the last pid says', () => {
    const at = createRig();
    const kinds = Array.from({ length: 182 }, () => at(100).kind);
    expect(kinds.filter((kind) => kind === 'all')).toHaveLength(2 + 3);
  });

  it('is everywhere always where /proc shows another pid namespace than ours', () => {
    const at = createRig('999999999');
    expect([at(100), at(100), at(100)]).toEqual([all, all, all]);
  });

  it('is everywhere when the last pid cannot be read', () => {
    const at = createRig();
    expect([1, 2, 3].map(() => at(Number.NaN))).toEqual([all, all, all]);
  });
});
