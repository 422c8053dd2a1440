import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as format from './format.js';
import { checkOfBlock } from './ring-writer.oracle.js';

const preload = join(import.meta.dirname, '../../../../preload');
const noCompiler = spawnSync('cc', ['--version']).status === 0 ? undefined : 'no C compiler (cc)';

interface Layout {
  AT_MAGIC: string;
  sizes: Record<string, number>;
  fields: Record<string, { offset: number; bytes: number }>;
  constants: Record<string, number>;
  examples: Record<string, number>;
}

/** C names of a field: `sampleInterval` is `sample_interval`. */
function cName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

describe.skipIf(noCompiler !== undefined && process.env['CI'] !== 'true')('the format of the ring file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-layout-'));
  let layout: Layout;

  beforeAll(() => {
    const sources = ['ring-dump.c', 'ring-layout.c', 'ring-reader.c'].map((name) => join(preload, 'test', name));
    const program = join(folder, 'ring-dump');
    execFileSync('cc', ['-std=gnu11', '-I', join(preload, 'include'), '-o', program, ...sources, '-lm']);
    layout = JSON.parse(execFileSync(program, ['--layout'], { encoding: 'utf8' })) as Layout;
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['at_header', format.HEADER],
    ['at_control', format.CONTROL],
    ['at_region', format.REGION],
    ['at_moment', format.MOMENT],
    ['at_module', format.MODULE],
    ['at_site', format.SITE],
    ['at_site_counts', format.COUNTS],
    ['at_site_estimates', format.ESTIMATES],
    ['at_lane', format.LANE],
    ['at_live', format.LIVE],
  ])('has every field of %s where the header has it', (struct, fields) => {
    for (const [name, offset] of Object.entries(fields)) {
      const field = `${struct}.${cName(name)}`;
      expect(layout.fields[field] ?? offsetInC(field), field).toMatchObject({ offset });
    }
    const missing = Object.keys(layout.fields).filter(
      (name) =>
        name.startsWith(`${struct}.`) && !Object.keys(fields).some((field) => name === `${struct}.${cName(field)}`),
    );
    expect(missing).toEqual([]);
  });

  /** Fields that are newer than the program that prints the layout. */
  function offsetInC(field: string): { offset: number } {
    const [struct, member] = field.split('.');
    const source = `#include <stdio.h>\n#include "alloc_trace.h"\nint main(void) { printf("%zu", __builtin_offsetof(struct ${struct}, ${member})); }`;
    const program = join(folder, 'offset');
    execFileSync('cc', ['-I', join(preload, 'include'), '-xc', '-o', program, '-'], { input: source });
    return { offset: Number(execFileSync(program, { encoding: 'utf8' })) };
  }

  it('has the sizes of the structures', () => {
    expect(layout.sizes).toEqual({
      at_control: format.CONTROL_BYTES,
      at_region: format.REGION_BYTES,
      at_moment: format.MOMENT_BYTES,
      at_header: format.HEADER_BYTES,
      at_module: format.MODULE_BYTES,
      at_site: format.SITE_BYTES,
      at_site_counts: format.COUNTS_BYTES,
      at_site_estimates: format.ESTIMATES_BYTES,
      at_lane: format.PAGE,
      at_live: format.LIVE_BYTES,
      at_frame: format.FRAME_BYTES,
    });
    expect(layout.fields['at_header.program']!.bytes).toBe(format.PROGRAM_BYTES);
    expect(layout.fields['at_module.path']!.bytes).toBe(format.MODULE_PATH_BYTES);
    expect(layout.fields['at_lane.estimates_groups']!.offset + 8).toBe(format.LANE_HEAD_BYTES);
  });

  it('has the constants', () => {
    const enums = { MODE: format.MODE, STACKS: format.STACKS, STATE: format.STATE, REFUSAL: format.REFUSAL };
    const others = { CLOCK: format.CLOCK, KIND: format.KIND, SITE: format.SITE_FLAG };
    const mine: Record<string, number> = {
      AT_VERSION: format.VERSION,
      AT_PAGE: format.PAGE,
      AT_GROUP: format.GROUP,
      AT_CACHE_LINE: 64,
      AT_MAX_FRAMES: format.MAX_FRAMES,
      AT_MAX_SITES: format.MAX_SITES,
      AT_MAX_MODULES: format.MAX_MODULES,
      AT_MAX_LANES: format.MAX_LANES,
      AT_LEVELS: format.LEVELS,
      AT_MAX_INTERVALS: format.MAX_INTERVALS,
      AT_BUILD_ID_BYTES: format.BUILD_ID_BYTES,
      AT_SITE_NONE: 0,
      AT_SITE_OVERFLOW: format.SITE_OVERFLOW,
      AT_FIRST_SITE: format.FIRST_SITE,
      AT_CONTROL_OFFSET: format.HEADER.control,
      AT_LANE_COUNTS_OFFSET: format.LANE_COUNTS_OFFSET,
      AT_LANE_COUNTS_BYTES: format.LANE_COUNTS_BYTES,
      AT_LANE_ESTIMATES_OFFSET: format.LANE_ESTIMATES_OFFSET,
      AT_LANE_ESTIMATES_BYTES: format.LANE_ESTIMATES_BYTES,
      AT_LANE_BYTES: format.LANE_BYTES,
      AT_WINDOW: format.WINDOW,
    };
    for (const [prefix, values] of Object.entries({ ...enums, ...others })) {
      for (const [name, value] of Object.entries(values)) mine[`AT_${prefix}_${name}`] = value;
    }
    for (let level = 0; level < format.LEVELS; level++) {
      mine[`AT_LEVEL_ENTRIES.${level}`] = format.levelEntries(level);
    }
    expect(mine).toEqual(layout.constants);
    expect(format.MAGIC.toString(16)).toBe(layout.AT_MAGIC);
  });

  it('finds homes and checks as the C functions do', () => {
    const address = 0x7f12_3456_7890n;
    expect(format.homeOf(address, 0)).toBe(layout.examples['at_home(0x7f1234567890,0)']);
    expect(format.homeOf(address, 3)).toBe(layout.examples['at_home(0x7f1234567890,3)']);
    expect(checkOfBlock(address, 48n, 123_456_789n, 7n)).toBe(
      layout.examples['at_check(0x7f1234567890,48,123456789,7)'],
    );
  });
});

describe('the check of a live block', () => {
  it('is the same in halves of 32 bits as in 64', () => {
    const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const site = fc.integer({ min: 0, max: format.MAX_SITES });
    const half = (value: bigint): [number, number] => [Number(value & 0xffff_ffffn), Number(value >> 32n)];
    fc.assert(
      fc.property(word, word, word, site, (address, size, ticks, number) => {
        const found = format.checkOf(...half(address), ...half(size), ...half(ticks), number);
        expect(found).toBe(checkOfBlock(address, size, ticks, BigInt(number)));
      }),
      { numRuns: 2000 },
    );
  });
});
