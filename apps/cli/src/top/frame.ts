import { toNumber } from '../api/process-fields.js';
import { formatBytesShort, formatCount, formatGrowth, UNKNOWN } from '../terminal/figures.js';
import { leakCell } from '../terminal/leak-cell.js';
import { cutLine, lineWidth, span, spread, type Line, type Style } from '../terminal/style.js';
import { renderTable, type Cell, type Column } from '../terminal/table.js';
import { renderDetail } from './detail.js';
import { HEADER_LINES, renderHeader } from './header.js';
import { renderHelp } from './help.js';
import { spark, SPARK_WIDTH } from './spark.js';
import { rowsOf, selectedIndex, SORT_KEYS, type TopProcess, type TopState } from './model.js';

export interface Size {
  columns: number;
  rows: number;
}

/** Everything but the table: header, an empty line, heading, and the line at the bottom. */
const FRAME_LINES = HEADER_LINES + 3;

/** Rows of processes that fit a terminal of this size. */
export function pageRows(size: Size): number {
  return Math.max(1, size.rows - FRAME_LINES);
}

/** The whole picture: at most `size.rows` lines of at most `size.columns` columns. */
export function renderFrame(state: TopState, size: Size, now: Date): Line[] {
  const header = renderHeader(state, size.columns, now);
  const room = Math.max(1, size.rows - header.length - 2);
  const body = renderBody(state, size.columns, room, now).slice(0, room);
  const filling = Array.from({ length: room - body.length }, (): Line => []);
  const lines = [...header, [], ...body, ...filling, renderFooter(state, size)];
  return lines.slice(0, size.rows).map((line) => cutLine(line, size.columns));
}

/** Header and table without anything to press, for what is not a terminal. */
export function renderOnce(state: TopState, width: number, now: Date): Line[] {
  const table = renderTable(topColumns(state), rowsOf(state), { width });
  return [...renderHeader(state, Math.min(width, 120), now), [], ...table];
}

function renderBody(state: TopState, width: number, room: number, now: Date): Line[] {
  if (state.view === 'help') return renderHelp(width);
  const selected = rowsOf(state)[selectedIndex(state)];
  if (state.view === 'detail') return renderDetail(selected, state.recent.get(state.selected ?? ''), width, now);
  if (!state.snapshot) return [];
  const rows = rowsOf(state).slice(state.offset, state.offset + room - 1);
  const style = (index: number): Style | undefined => (rows[index]?.key === state.selected ? 'selected' : undefined);
  return renderTable(topColumns(state), rows, { width, rowStyle: style });
}

function topColumns(state: TopState): Column<TopProcess>[] {
  const columns: (Column<TopProcess> & { sort?: keyof typeof SORT_KEYS })[] = [
    { title: 'PID', align: 'right', minWidth: 7, cell: (row) => pidCell(row, state), sort: 'pid' },
    { title: 'PROGRAM', minWidth: 15, maxWidth: 18, cell: programCell, sort: 'program' },
    {
      title: 'USER',
      minWidth: 8,
      maxWidth: 10,
      priority: 4,
      cell: (row) => ({ text: row.user ?? UNKNOWN, style: 'dim' }),
    },
    { title: 'S', priority: 2, cell: (row) => ({ text: row.state ?? UNKNOWN, style: stateStyle(row.state) }) },
    { title: 'CPU%', align: 'right', minWidth: 5, priority: 3, cell: cpuCell, sort: 'cpu' },
    { title: 'RSS', align: 'right', minWidth: 6, cell: (row) => size(row.memory.rss), sort: 'rss' },
    {
      title: 'ANON',
      align: 'right',
      minWidth: 6,
      priority: 7,
      cell: (row) => size(row.memory.anonymous),
      sort: 'anonymous',
    },
    { title: 'SWAP', align: 'right', minWidth: 6, priority: 5, cell: (row) => size(row.memory.swap), sort: 'swap' },
    { title: 'PSS', align: 'right', minWidth: 6, priority: 6, cell: (row) => size(row.memory.pss), sort: 'pss' },
    { title: 'GROWTH/H', align: 'right', minWidth: 9, priority: 10, cell: growthCell, sort: 'growth' },
    { title: 'LEAK', minWidth: 10, priority: 9, cell: (row) => leakCell(row.leak) },
    {
      title: 'RECENT',
      minWidth: SPARK_WIDTH,
      priority: 8,
      cell: (row) => sparkCell(state.recent.get(row.key)),
    },
    {
      title: 'COMMAND',
      flexible: true,
      minWidth: 10,
      priority: 1,
      cell: (row) => ({ text: row.commandLine ?? `[${row.program}]`, style: 'dim' }),
    },
  ];
  return columns.map((column) => {
    if (column.sort !== state.sort) return column;
    return { ...column, title: `${column.title}${ascending(state) ? '▲' : '▼'}` };
  });
}

/** Names and pids begin with the least, figures with the greatest. */
export function ascending(state: Pick<TopState, 'sort' | 'reverse'>): boolean {
  const usual = state.sort === 'pid' || state.sort === 'program';
  return usual !== state.reverse;
}

/** The mark shows without colours too. */
function pidCell(row: TopProcess, state: TopState): string {
  return row.key === state.selected ? `▸${row.pid}` : String(row.pid);
}

function programCell(row: TopProcess): Cell {
  return {
    text: row.program,
    style: row.leak.state === 'CONFIRMED' || row.leak.state === 'SUSPECTED' ? 'danger' : 'strong',
  };
}

function size(bytes: number | string | null): Cell {
  const number = toNumber(bytes);
  return { text: formatBytesShort(number), style: number === null || number === 0 ? 'dim' : 'plain' };
}

function cpuCell(row: TopProcess): Cell {
  const { percent } = row.cpu;
  if (percent === null) return { text: UNKNOWN, style: 'dim' };
  return { text: percent.toFixed(percent < 99.95 ? 1 : 0), style: percent < 0.05 ? 'dim' : 'plain' };
}

/** A slope whose interval holds 0 may be none at all. */
function growthCell(row: TopProcess): Cell {
  const { growth } = row;
  if (growth === null) return { text: UNKNOWN, style: 'dim' };
  const sure = growth.low > 0;
  const large = growth.bytesPerHour >= 1024 * 1024;
  return { text: formatGrowth(growth.bytesPerHour), style: sure && large ? 'warning' : 'dim' };
}

/** What stays flat steps back. */
function sparkCell(recent: readonly (number | null)[] | undefined): Cell {
  const text = spark(recent);
  return { text, style: /[^ ▁]/.test(text) ? 'accent' : 'dim' };
}

function stateStyle(state: string | null): Style {
  return state === 'R' ? 'good' : state === 'D' || state === 'Z' ? 'danger' : 'dim';
}

function renderFooter(state: TopState, size: Size): Line {
  const width = size.columns;
  if (state.typing !== undefined) {
    return cutLine(
      [
        span('filter: ', 'accent'),
        span(state.typing),
        span('█', 'dim'),
        span('   enter to apply, esc to leave', 'dim'),
      ],
      width,
    );
  }
  if (state.view !== 'table') return cutLine([span('esc', 'accent'), span(' back', 'dim')], width);
  const right = place(state, size);
  const hints = [
    hint('?', 'help'),
    hint('q', 'quit'),
    hint('/', 'filter'),
    hint('↑↓', 'mark'),
    hint('⏎', 'details'),
    hint('m a s p g c', 'order'),
    ...(state.snapshot && state.snapshot.nodes.length > 1 ? [hint('[ ]', 'node')] : []),
    hint('space', state.paused ? 'go on' : 'hold'),
  ];
  return spread(firstThatFit(hints, width - lineWidth(right)), right, width);
}

/** As many of the hints, from the first on, as there is room for. */
function firstThatFit(hints: readonly Line[], room: number): Line {
  let left = room;
  return hints.filter((line) => (left -= lineWidth(line)) >= 0).flat();
}

function hint(key: string, does: string): Line {
  return [span(key, 'accent'), span(` ${does}  `, 'dim')];
}

/** Which rows are in view, and by which filter. */
function place(state: TopState, size: Size): Line {
  const filter = state.filter === '' ? [] : [span(`/${state.filter}`, 'warning'), span('  ')];
  const total = state.snapshot?.node.processes.totalCount ?? 0;
  const first = total === 0 ? 0 : state.offset + 1;
  const last = Math.min(rowsOf(state).length, state.offset + pageRows(size));
  const order = `by ${SORT_KEYS[state.sort].title} ${ascending(state) ? '▲' : '▼'}  `;
  return [...filter, span(`${order}${first}–${last} of ${formatCount(total)}`, 'dim')];
}
