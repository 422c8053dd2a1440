import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { lineWidth, paint, type Line } from '../terminal/style.js';
import { pageRows, renderFrame, renderOnce, type Size } from './frame.js';
import { initialState, type TopState } from './model.js';
import { node, NOW, process as row, ROWS, sampleState } from './test-state.js';

beforeAll(() => {
  process.env['TZ'] = 'UTC';
});

function text(lines: readonly Line[]): string {
  return `${lines.map((line) => paint(line, false)).join('\n')}\n`;
}

const frame = (state: TopState, columns: number, rows: number): string =>
  text(renderFrame(state, { columns, rows }, NOW));

describe('the frame of top', () => {
  it.each([
    [160, 20],
    [120, 20],
    [80, 20],
    [40, 12],
  ])('at %i columns and %i rows is as the golden one', async (columns, rows) => {
    await expect(frame(sampleState(), columns, rows)).toMatchFileSnapshot(`testdata/table-${columns}x${rows}.txt`);
  });

  it('in colours is as the golden one', async () => {
    const lines = renderFrame(sampleState(ROWS, { selected: ROWS[2]?.key }), { columns: 120, rows: 18 }, NOW);
    await expect(`${lines.map((line) => paint(line, true)).join('\n')}\n`).toMatchFileSnapshot(
      'testdata/colours-120x18.txt',
    );
  });

  it.each([
    ['help', sampleState(ROWS, { view: 'help' })],
    ['detail', sampleState(ROWS, { view: 'detail', selected: ROWS[0]?.key })],
    ['detail-unknown', sampleState(ROWS, { view: 'detail', selected: ROWS[6]?.key })],
    ['detail-hostile', sampleState(ROWS, { view: 'detail', selected: ROWS[5]?.key })],
    ['detail-gone', sampleState(ROWS, { view: 'detail', selected: 'web-1/boot/99/1' })],
    ['typing', sampleState(ROWS, { typing: 'chro' })],
    ['filtered', sampleState(ROWS.slice(1, 2), { filter: 'chrome', sort: 'growth' })],
    [
      'lost',
      sampleState(ROWS, { connection: { state: 'lost', why: 'connection refused', since: NOW.getTime() - 65_000 } }),
    ],
    ['paused', sampleState(ROWS, { paused: true, reverse: true, sort: 'pid' })],
    ['connecting', initialState('http://127.0.0.1:4000/graphql', undefined, 'rss', '')],
  ])('of %s is as the golden one', async (name, state) => {
    await expect(frame(state, 100, 32)).toMatchFileSnapshot(`testdata/${name}-100x32.txt`);
  });

  it('says when the node is silent or behind', () => {
    const of = (over: Parameters<typeof node>[1]): string => {
      const state = sampleState();
      return frame({ ...state, snapshot: { ...state.snapshot!, node: node(ROWS, over) } }, 120, 12);
    };
    expect(of({ state: 'INACTIVE' })).toContain('node is silent');
    expect(of({ state: 'LEFT' })).toContain('node was stopped');
    expect(of({ stale: true })).toContain('behind');
  });

  it('shows what the kernel does not tell as unknown, not as 0', () => {
    const state = sampleState();
    const bare = node(ROWS, { load: null, pressure: null, cpu: null, kernel: null, uptime: null, cpuCount: null });
    const lines = frame({ ...state, snapshot: { ...state.snapshot!, node: bare } }, 120, 12).split('\n');
    expect(lines[3]).toBe('load     –   memory stall –   CPU –   tasks –');
  });

  it('fits every terminal, whatever the names', () => {
    const name = fc.string({ unit: 'binary', maxLength: 60 });
    const size = fc.record({ columns: fc.integer({ min: 20, max: 220 }), rows: fc.integer({ min: 5, max: 60 }) });
    const view = fc.constantFrom('table', 'help', 'detail');
    fc.assert(
      fc.property(fc.array(name, { maxLength: 30 }), size, view, name, (names, screen: Size, shown, filter) => {
        const rows = names.map((program, index) =>
          row(index + 1, program, { commandLine: `${program}\x1b[1m`, user: program }),
        );
        const state = sampleState(rows, { view: shown as TopState['view'], filter, selected: rows[0]?.key });
        const lines = renderFrame(state, screen, NOW);
        expect(lines).toHaveLength(screen.rows);
        for (const line of lines) {
          expect(lineWidth(line)).toBeLessThanOrEqual(screen.columns);
          expect(paint(line, false)).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('shows as many rows as the page has', () => {
    const rows = Array.from({ length: 100 }, (_, index) => row(1000 + index, 'many'));
    const size = { columns: 100, rows: 30 };
    const lines = renderFrame(sampleState(rows, { offset: 10 }), size, NOW).map((line) => paint(line, false));
    expect(lines.filter((line) => line.includes('many'))).toHaveLength(pageRows(size));
    expect(lines[7]).toContain('1010');
    expect(lines.at(-1)).toContain('11–32 of 100');
  });
});

describe('one picture without a terminal', () => {
  it('is as the golden one: uncut, and without anything to press', async () => {
    await expect(text(renderOnce(sampleState(), Infinity, NOW))).toMatchFileSnapshot('testdata/once.txt');
  });
});
