import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildPreload,
  clearRings,
  dumpRing,
  expectSound,
  jsonLines,
  ringDirectory,
  ringPath,
  runTraced,
  start,
  whyNot,
  type Case,
  type Settings,
} from './support/preload.js';

/** Directory of Debian's libraries. */
const libraries = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
const at = (file: string) => join('/usr/lib', libraries, file);
const ALLOCATORS = {
  jemalloc: at('libjemalloc.so.2'),
  tcmalloc: at('libtcmalloc_minimal.so.4'),
  mimalloc: at('libmimalloc.so.2'),
};
const reason = whyNot('other allocators under the preload library', ['gcc', 'g++', 'make'], Object.values(ALLOCATORS));

/** Programs and how they are called. */
const PROGRAMS: [string, string[]][] = [
  ['entry-points', ['without-pvalloc']],
  ['new-delete', []],
  ['threads', ['4', '400000']],
  ['processes', ['fork', '100']],
  ['leak-churn-cache', ['2000', '50000']],
  ['early-late', []],
];

describe.skipIf(reason).each(Object.entries(ALLOCATORS))('the preload library over %s', (name, allocator) => {
  let rings: string;
  let linked: string;
  beforeAll(() => {
    buildPreload();
    rings = ringDirectory();
    linked = mkdtempSync(join(tmpdir(), `tidemark-${name}-`));
    const programs = PROGRAMS.map(([program]) => join(linked, program));
    buildPreload(...programs, `TEST_OUT=${linked}`, `TEST_LIBS=-Wl,--no-as-needed ${allocator}`);
  }, 300_000);
  beforeEach(() => clearRings(rings));
  afterAll(() => {
    for (const directory of [rings, linked]) if (directory) rmSync(directory, { recursive: true, force: true });
  });

  const ways: [string, () => { from: string; settings: Settings }][] = [
    ['linked', () => ({ from: linked, settings: {} })],
    [
      'preloaded after it',
      () => ({ from: join(import.meta.dirname, '../preload/build/test'), settings: { beside: [allocator] } }),
    ],
  ];

  describe.each(ways)('%s', (_way, choose) => {
    it.each(PROGRAMS)(
      'counts the calls of %s',
      async (program, args) => {
        for (const mode of ['exact', 'sampled'] as const) {
          clearRings(rings);
          const { from, settings } = choose();
          const done = await runTraced(rings, join(from, program), args, { ...settings, mode, interval: 8192 });
          // What an allocator does otherwise than the C library's, it does without the preload library as well.
          const env = { PATH: process.env['PATH'] ?? '', LD_PRELOAD: (settings.beside ?? []).join(' ') };
          const bare = await start(join(from, program), args, env).finished;
          expect({ status: done.status, signal: done.signal, stderr: done.stderr }).toEqual({
            status: bare.status,
            signal: null,
            stderr: '',
          });
          const quirks = (text: string) => jsonLines<{ what?: string }>(text).flatMap(({ what }) => what ?? []);
          expect(quirks(done.stdout)).toEqual(quirks(bare.stdout));
          const ring = dumpRing(ringPath(rings, done.pid));
          expectSound(ring);
          for (const one of jsonLines<Partial<Case>>(done.stdout)) {
            if (!one.seen || !one.expected) continue;
            if (one.case === 'refused_quietly') continue;
            expect(one.seen.allocations, one.case).toBe(one.expected.allocations);
            expect(one.seen.frees, one.case).toBe(one.expected.frees);
            if (mode === 'exact') expect(one.seen.liveBytes, one.case).toBe(one.expected.liveBytes);
          }
        }
      },
      120_000,
    );
  });
});
