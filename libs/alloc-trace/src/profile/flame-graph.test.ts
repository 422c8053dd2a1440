import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { available, run } from '../symbols/programs.oracle.js';
import { collapsedStacks } from './collapsed.js';
import { flameGraph, placed } from './flame-graph.js';
import { FLAME_SCRIPT } from './flame-style.js';
import { flameTree, type FlameBox } from './flame-tree.js';
import { anyProfile, frame, profileOf, site } from './profiles.oracle.js';

const directory = mkdtempSync(join(tmpdir(), 'tidemark-flame-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function everyBox(root: FlameBox): FlameBox[] {
  return [root, ...root.children.flatMap(everyBox)];
}

const small = profileOf([
  site(
    2,
    [frame('take', { inlined: true }), frame('work', { line: 12 }), frame('main', { line: 30 })],
    { bytes: 6144, blocks: 6 },
    { verdict: 'CONFIRMED' },
  ),
  site(3, [frame('work', { line: 14 }), frame('main', { line: 31 })], { bytes: 1024, blocks: 1 }),
  site(4, [frame(null, { module: '/lib/libz.so.1', offset: 0x2f0 }), frame('main', { line: 32 })], {
    bytes: 3072,
    blocks: 3,
  }),
  site(5, [frame('main', { line: 33 })], { bytes: 0, blocks: 0 }, { freed: { bytes: 5000, blocks: 5 } }),
]);

describe('the tree of a flame graph', () => {
  it('has exact sums: a box is what its children hold and what it allocated by itself', () => {
    fc.assert(
      fc.property(anyProfile, fc.constantFrom('LIVE' as const, 'ALLOCATED' as const), (profile, measure) => {
        const root = flameTree(profile, measure, 100_000);
        expect(root.bytes).toBe(measure === 'LIVE' ? profile.totals.liveBytes : profile.totals.allocatedBytes);
        for (const box of everyBox(root)) {
          expect(box.ownBytes + box.children.reduce((sum, one) => sum + one.bytes, 0)).toBe(box.bytes);
          expect(box.leakingBytes).toBeLessThanOrEqual(box.bytes);
          expect(box.leakingBytes).toBeGreaterThanOrEqual(box.children.reduce((sum, one) => sum + one.leakingBytes, 0));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('keeps its sums and its bound of boxes when small ones are put together', () => {
    fc.assert(
      fc.property(anyProfile, fc.integer({ min: 1, max: 40 }), (profile, maxBoxes) => {
        const root = flameTree(profile, 'LIVE', maxBoxes);
        const boxes = everyBox(root);
        expect(boxes.length).toBeLessThanOrEqual(2 * maxBoxes + 1);
        expect(root.bytes).toBe(profile.totals.liveBytes);
        for (const box of boxes) {
          const inside = box.children.reduce((sum, one) => sum + one.bytes, 0);
          if (box.merged === 0) expect(box.ownBytes + inside).toBe(box.bytes);
          else expect(box.children).toEqual([]);
        }
      }),
      { numRuns: 300 },
    );
    const alike = profileOf(
      Array.from({ length: 5000 }, (_, i) => site(i + 2, [frame(`f${i}`), frame('main')], { bytes: 16, blocks: 1 })),
    );
    expect(everyBox(flameTree(alike, 'LIVE', 100)).map(({ name, bytes }) => [name, bytes])).toEqual([
      ['demo', 80_000],
      ['main', 80_000],
      ['5000 smaller', 80_000],
    ]);
  });

  it('places boxes within their parents, side by side, as wide as their bytes', () => {
    fc.assert(
      fc.property(anyProfile, (profile) => {
        const all = placed(flameTree(profile, 'LIVE', 1000));
        const places = new Map(all.map((one) => [one.box, one]));
        for (const { box, x, width } of all) {
          expect(width).toBeCloseTo(all[0]!.box.bytes === 0 ? 100 : (100 * box.bytes) / all[0]!.box.bytes, 6);
          let end = x;
          for (const child of box.children) {
            expect(places.get(child)!.x).toBeCloseTo(end, 6);
            end = places.get(child)!.x + places.get(child)!.width;
          }
          expect(end).toBeLessThan(x + width + 1e-6);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('says where stacks were cut off, and stays shallow under endless recursion', () => {
    const deep = Array.from({ length: 3000 }, () => frame('again'));
    const root = flameTree(profileOf([site(2, deep, { bytes: 8, blocks: 1 }, { truncated: true })]), 'LIVE', 10_000);
    expect(root.children[0]!.name).toBe('[stack cut off]');
    expect(Math.max(...everyBox(root).map(({ depth }) => depth))).toBeLessThanOrEqual(256);
  });
});

describe('the picture', () => {
  it('of a small profile is the one that was looked at', async () => {
    await expect(flameGraph(small)).toMatchFileSnapshot('../../testdata/small-flame.svg');
  });

  it('names function, place, object, bytes and share in each title, and marks what leaks', () => {
    const picture = flameGraph(small);
    expect(picture).toContain(
      '<title>take\nsrc/take.c:10\n/usr/bin/demo (inlined)\n6.0 KiB (60.0 %) in 6 blocks\nleaking: 6.0 KiB</title>',
    );
    expect(picture).toContain(
      '<title>work\nsrc/work.c:12\n/usr/bin/demo\n7.0 KiB (70.0 %) in 7 blocks\n1.0 KiB by itself\nleaking: 6.0 KiB</title>',
    );
    expect(picture).toContain('>libz.so.1+0x2f0</text>');
    expect([...picture.matchAll(/<svg class="b hot/g)]).toHaveLength(1);
    expect(picture).toContain('6.0 KiB (60.0 %) at 1 site suspected or confirmed to leak.');
    expect(flameGraph(small, { measure: 'ALLOCATED' })).toContain('All allocations of demo (pid 42)');
  });

  it('is drawn of nothing, too', () => {
    const picture = flameGraph(profileOf([]));
    expect(picture).toContain('0 B in 0 blocks');
    expect(picture).not.toContain('NaN');
  });

  it('brings a script that compiles', () => {
    expect(new Script(FLAME_SCRIPT)).toBeInstanceOf(Script);
    expect(FLAME_SCRIPT).not.toContain(']]>');
  });

  it.skipIf(!available('python3'))(
    'is well-formed XML with the names as they are, whatever they are',
    { timeout: 60_000 },
    () => {
      const profiles = fc.sample(anyProfile, { numRuns: 60, seed: 7 });
      profiles.push(
        profileOf([site(2, [frame('<script>alert(1)</script>&"\'')], { bytes: 1, blocks: 1 })], {
          process: { pid: 1, program: '</text><x' },
        }),
      );
      const files = profiles.map((profile, index) => {
        const file = join(directory, `${index}.svg`);
        writeFileSync(file, flameGraph(profile));
        return file;
      });
      const reader = `
import sys, json, xml.etree.ElementTree as ET
out = []
for path in sys.argv[1:]:
    root = ET.parse(path).getroot()
    s = '{http://www.w3.org/2000/svg}'
    tags = sorted({e.tag.replace(s, '') for e in root.iter()})
    scripts = len(list(root.iter(s + 'script')))
    out.append([tags, scripts, [t.text for t in root.iter(s + 'title')]])
print(json.dumps(out))`;
      const read = JSON.parse(run('python3', ['-c', reader, ...files])) as [string[], number, string[]][];
      const allowed = ['foreignObject', 'rect', 'script', 'style', 'svg', 'text', 'title', 'tspan'];
      for (const [tags, scripts] of read) {
        expect(tags.filter((tag) => !allowed.includes(tag))).toEqual([]);
        expect(scripts).toBe(1);
      }
      expect(read.at(-1)![2].map((title) => title.split('\n')[0])).toEqual([
        '</text><x',
        '<script>alert(1)</script>&"\'',
      ]);
    },
  );
});

describe('collapsed stacks', () => {
  it('are one line each, outermost first', () => {
    expect(collapsedStacks(small)).toBe(
      'demo;main;libz.so.1+0x2f0 3072\ndemo;main;work 1024\ndemo;main;work;take 6144\n',
    );
    expect(collapsedStacks(small, 'ALLOCATED')).toContain('demo;main 5000\n');
  });

  it('have the exact sum of any trace, and the form that flamegraph.pl reads', () => {
    fc.assert(
      fc.property(anyProfile, (profile) => {
        const lines = collapsedStacks(profile).split('\n').slice(0, -1);
        const sums = lines.map((line) => Number(/^[^;]+(?:;[^;]+)* (\d+)$/s.exec(line)?.[1]));
        expect(sums.reduce((a, b) => a + b, 0)).toBe(profile.totals.liveBytes);
        expect(new Set(lines.map((line) => line.replace(/ \d+$/, ''))).size).toBe(lines.length);
      }),
      { numRuns: 300 },
    );
  });
});
