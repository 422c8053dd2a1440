import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { displayWidth } from './printable.js';
import { lineWidth, paint } from './style.js';
import { renderTable, type Column } from './table.js';

interface Row {
  pid: string;
  name: string;
  command: string;
}

const columns: Column<Row>[] = [
  { title: 'PID', align: 'right', minWidth: 5, cell: (row) => row.pid },
  { title: 'NAME', maxWidth: 8, cell: (row) => ({ text: row.name, style: 'strong' }) },
  { title: 'EXTRA', priority: 1, cell: () => 'extra' },
  { title: 'COMMAND', flexible: true, minWidth: 6, priority: 2, cell: (row) => row.command },
];

const rows: Row[] = [
  { pid: '1', name: 'init', command: '/sbin/init splash' },
  { pid: '4242', name: '漢字プロセス', command: 'run\x1b[2J --all' },
];

const draw = (width: number, shown = rows): string[] =>
  renderTable(columns, shown, { width }).map((line) => paint(line, false));

describe('renderTable', () => {
  it('shows everything, uncut, where the width has no bound', () => {
    expect(draw(Infinity)).toEqual([
      '  PID  NAME          EXTRA  COMMAND',
      '    1  init          extra  /sbin/init splash',
      ' 4242  漢字プロセス  extra  run␛[2J --all',
    ]);
  });

  it('cuts long cells and gives the flexible column the rest', () => {
    expect(draw(34)).toEqual([
      '  PID  NAME      EXTRA  COMMAND',
      '    1  init      extra  /sbin/ini…',
      ' 4242  漢字プ…   extra  run␛[2J -…',
    ]);
  });

  it('drops the least wanted columns first when room is short', () => {
    expect(draw(24)).toEqual(
      ['  PID  NAME      COMMAND', '    1  init      /sbin/…', ' 4242  漢字プ…   run␛[2…'].map((line) => line),
    );
    expect(draw(16)[0]).toBe('  PID  NAME');
  });

  it('keeps the heading when there are no rows', () => {
    expect(draw(40, [])).toEqual(['  PID  NAME  EXTRA  COMMAND']);
  });

  it('never passes its width, and gives every line of it the same places, whatever the cells hold', () => {
    const text = fc.string({ unit: 'binary', maxLength: 30 });
    const anyRows = fc.array(fc.record({ pid: text, name: text, command: text }), { maxLength: 8 });
    fc.assert(
      fc.property(anyRows, fc.integer({ min: 1, max: 120 }), (some, width) => {
        const lines = renderTable(columns, some, { width });
        const widths = new Set(lines.map(lineWidth));
        expect(widths.size).toBe(1);
        expect(Math.max(...widths)).toBeLessThanOrEqual(width);
      }),
    );
  });

  it('lets no cell write an escape code, with colours or without', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (name) => {
        const hostile = [{ pid: '1', name: `\x1b[31m${name}`, command: `${name}\x9b1m` }];
        for (const line of renderTable(columns, hostile, { width: 60 })) {
          expect(paint(line, false)).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
          // Of our own codes only the closed set of styles is left.
          expect(paint(line, true).replace(/\x1b\[[0-9;]*m/g, '')).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
          expect(displayWidth(paint(line, false))).toBeLessThanOrEqual(60);
        }
      }),
    );
  });
});
