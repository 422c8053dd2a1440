import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPlainNodeRecord, nodeSchema } from './node-record-check.js';
import { isPlainSystemSample, systemSchema } from './system-sample-check.js';

// The oracle of each check by hand is the schema that it spares.

const HEARTBEAT = {
  ...{ v: 1, node: 'web-1', boot: 'b00t', run: 'r-1', at: 1_700_000_000_000, state: 'UP', hostname: 'web-1' },
  ...{ kernel: '6.1.0', architecture: 'x64', cpus: 8, pageSize: 4096, bootedAt: 1_690_000_000_000, interval: 1000 },
  ...{ processes: 312, limitations: ['no permission to read smaps_rollup'] },
  collector: {
    ...{
      version: '0.1.0',
      pid: 77,
      startedAt: 1_700_000_000_000,
      rounds: 9,
      cpuMs: 12.5,
      rss: 8e7,
      reads: 4,
      opens: 3,
    },
    ...{ bytesRead: 5, bytesSent: 6, spooledBytes: 0, droppedBytes: 0, droppedChunks: 0, latenessMs: 0.25 },
    ...{ skippedRounds: 0, clockJumps: 0 },
  },
};

const LINE = { avg10: 0.1, avg60: 0, avg300: 0, total: 17 };
const SYSTEM = {
  memory: { total: 8, available: 5, used: 3, free: 2, cached: 1 },
  load: { one: 0.5, five: 0.25, fifteen: 0, running: 1, total: 300 },
  pressure: { some: LINE, full: LINE },
  uptime: { up: 17.25, idle: 30 },
  cpus: [
    { name: 'cpu', user: 1, idle: 2 },
    { name: 'cpu0', user: 1, idle: 2 },
  ],
  counters: { forks: 3 },
  interfaces: [{ name: 'eth0', rxBytes: 1 }],
  disks: [{ name: 'sda', reads: 1 }],
  cgroups: [{ path: '/', usage: 4 }],
};

type Tree = Record<string, unknown>;

/** Every path to a value in a tree of objects and arrays. */
function paths(value: unknown, path: string[] = []): string[][] {
  const below = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [path, ...below.flatMap(([name, one]) => paths(one, [...path, name]))];
}

function changed(
  tree: Tree,
  path: readonly string[],
  change: (parent: Tree | unknown[], name: string) => void,
): unknown {
  const root = { root: structuredClone(tree) } as Tree;
  const parent = ['root', ...path].slice(0, -1).reduce((at, name) => at[name] as Tree, root);
  change(parent, path.at(-1)!);
  return root['root'];
}

/** JSON has no arrays with holes: what is left out of one closes up, and one `length` is put behind its end. */
function put(parent: Tree | unknown[], name: string, value: unknown): void {
  if (Array.isArray(parent))
    parent.splice(name === 'length' ? parent.length : Number(name), 1, ...(value === undefined ? [] : [value]));
  else if (value === undefined) delete parent[name];
  else parent[name] = value;
}

const ODD = fc.oneof(
  fc.constantFrom(
    null,
    -1,
    -0,
    0,
    0.5,
    2 ** 53,
    Infinity,
    true,
    '',
    'x',
    'x'.repeat(254),
    'x'.repeat(5_000),
    [],
    {},
    [1],
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

describe.each([
  ['a heartbeat', HEARTBEAT as Tree, isPlainNodeRecord, nodeSchema],
  ['figures of a host', SYSTEM as Tree, isPlainSystemSample as (json: unknown) => boolean, systemSchema],
] as const)('%s', (_, tree, isPlain, schema) => {
  test('as ours send it is known at a look', () => {
    expect(isPlain(tree)).toBe(true);
    expect(schema.parse(tree)).toEqual(tree);
  });

  test('in which anything is left out, replaced or added is taken only where the schema takes it too', () => {
    const taken = { yes: 0, no: 0 };
    fc.assert(
      fc.property(fc.constantFrom(...paths(tree).slice(1)), fc.option(ODD, { nil: undefined }), (path, odd) => {
        for (const json of [
          changed(tree, path, (parent, name) => put(parent, name, odd)),
          changed(tree, path, (parent, name) => put(parent, Array.isArray(parent) ? 'length' : `${name}2`, odd ?? 1)),
        ]) {
          const plain = isPlain(json);
          taken[plain ? 'yes' : 'no']++;
          if (plain) expect(schema.safeParse(json).error).toBeUndefined();
          if (plain && schema === nodeSchema) expect(schema.parse(json)).toEqual(json);
        }
      }),
      { numRuns: 5_000 },
    );
    expect(Math.min(taken.yes, taken.no)).toBeGreaterThan(100);
  });
});
