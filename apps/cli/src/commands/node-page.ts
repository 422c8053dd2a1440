import { toNumber, type Bytes } from '../api/process-fields.js';
import { bar } from '../terminal/bars.js';
import {
  formatBytes,
  formatBytesShort,
  formatCount,
  formatSeconds,
  formatShare,
  formatTime,
  UNKNOWN,
} from '../terminal/figures.js';
import { leakStyle, leakWord } from '../terminal/leak-cell.js';
import { fit } from '../terminal/printable.js';
import { PROCESS_COLUMNS } from '../terminal/process-columns.js';
import { span, type Line, type Style } from '../terminal/style.js';
import { renderTable, type Column } from '../terminal/table.js';
import type { Load, NodeDetail, NodeFinding, NodeSummary, Pressure } from './node-queries.js';

/** One line per node. `now` is the server's clock, epoch milliseconds. */
export function renderNodeList(nodes: readonly NodeSummary[], now: number, width: number): Line[] {
  const columns: Column<NodeSummary>[] = [
    { title: 'NODE', cell: (row) => ({ text: row.id, style: 'strong' }), maxWidth: 32 },
    { title: 'STATE', cell: (row) => ({ text: stateWord(row), style: stateStyle(row) }), minWidth: 8 },
    { title: 'SEEN', align: 'right', cell: (row) => `${ago(row.lastSeen, now)} ago`, priority: 3 },
    { title: 'TOTAL', align: 'right', minWidth: 6, cell: (row) => formatBytesShort(toNumber(row.memory.total)) },
    { title: 'USED', align: 'right', minWidth: 6, cell: (row) => formatBytesShort(toNumber(row.memory.used)) },
    { title: 'AVAIL', align: 'right', minWidth: 6, cell: (row) => formatBytesShort(toNumber(row.memory.available)) },
    { title: 'AVAIL %', align: 'right', cell: availableCell },
    { title: 'LOAD', align: 'right', cell: (row) => row.load?.one.toFixed(2) ?? UNKNOWN, priority: 5 },
    { title: 'STALL', align: 'right', cell: (row) => percent(row.pressure?.some.avg10), priority: 4 },
    { title: 'PROCS', align: 'right', cell: (row) => formatCount(row.processCount), priority: 2 },
    { title: 'KERNEL', cell: (row) => row.kernel ?? UNKNOWN, maxWidth: 28, priority: 1 },
  ];
  return renderTable(columns, nodes, { width });
}

/** Everything about one node. */
export function renderNode(node: NodeDetail, now: number, width: number): Line[] {
  return [
    ...renderHeading(node, now),
    [],
    ...renderMemory(node),
    renderLoad(node.load),
    renderPressure(node.pressure),
    ...renderCollector(node),
    ...node.limitations.map((text, index) => [label(index === 0 ? 'limited' : ''), span(text, 'warning')]),
    ...renderFindings(node.findings),
    ...renderProcesses('largest', node.largest, width),
    ...(node.growing.totalCount > 0 ? renderProcesses('growing', node.growing, width) : []),
  ];
}

function renderHeading(node: NodeDetail, now: number): Line[] {
  const name = node.hostname === node.id ? node.id : `${node.id} (${node.hostname})`;
  const facts = [
    node.kernel === null ? '' : ['Linux', node.kernel, node.architecture].filter(Boolean).join(' '),
    node.cpuCount === null ? '' : `${node.cpuCount} CPUs`,
    node.uptime === null ? '' : `up ${formatSeconds(node.uptime)}`,
    node.sampleInterval === null ? '' : `a sample every ${node.sampleInterval} ms`,
    `heard of ${ago(node.lastSeen, now)} ago`,
  ].filter((fact) => fact !== '');
  const stale = node.stale ? [span('  samples are missing: values may be behind', 'warning')] : [];
  return [
    [span(name, 'heading'), span('  '), span(stateWord(node), stateStyle(node)), ...stale],
    [span(facts.join(' · '), 'dim')],
  ];
}

function renderMemory({ memory }: NodeSummary): Line[] {
  const total = toNumber(memory.total) ?? 0;
  const used = toNumber(memory.used) ?? 0;
  const swapTotal = toNumber(memory.swapTotal);
  const swapFree = toNumber(memory.swapFree);
  const figure = (name: string, bytes: Bytes): Line => [
    span(fit(name, 11), 'dim'),
    span(fit(formatBytes(toNumber(bytes)), 12, 'right')),
    span('   '),
  ];
  const swap =
    swapTotal === null || swapFree === null
      ? UNKNOWN
      : swapTotal === 0
        ? 'none'
        : `${formatBytes(swapTotal - swapFree)} of ${formatBytes(swapTotal)} used`;
  return [
    [label('memory'), ...bar([{ value: used, style: 'accent' }], total, 30), span(` ${formatShare(used, total)} used`)],
    [
      label(''),
      ...figure('total', memory.total),
      ...figure('available', memory.available),
      ...figure('used', memory.used),
    ],
    [
      label(''),
      ...figure('free', memory.free),
      ...figure('active', memory.active),
      ...figure('inactive', memory.inactive),
    ],
    [
      label(''),
      ...figure('buffers', memory.buffers),
      ...figure('cached', memory.cached),
      ...figure('shared', memory.shared),
    ],
    [label('swap'), span(swap)],
  ];
}

function renderLoad(load: Load | null): Line {
  if (load === null) return [label('load'), span(UNKNOWN)];
  const averages = [load.one, load.five, load.fifteen].map((average) => average.toFixed(2)).join('  ');
  return [label('load'), span(`${averages}  over 1, 5, 15 min · ${load.running} of ${load.total} tasks running`)];
}

function renderPressure(pressure: Pressure | null): Line {
  if (pressure === null) return [label('pressure'), span('unknown: this kernel does not say', 'dim')];
  const { some, full } = pressure;
  const style: Style = some.avg10 >= 10 ? 'danger' : some.avg10 >= 1 ? 'warning' : 'plain';
  const all = full === null ? '' : `, all tasks ${percent(full.avg10)}`;
  return [
    label('pressure'),
    span(`some task stalled for memory ${percent(some.avg10)} of the time${all}`, style),
    span(' (10 s)', 'dim'),
  ];
}

function renderCollector({ collector }: NodeDetail): Line[] {
  if (collector === null) return [];
  const dropped = toNumber(collector.droppedBytes) ?? 0;
  const spooled = toNumber(collector.spooledBytes) ?? 0;
  const perRound =
    collector.rounds > 0 ? `${(collector.cpuMs / collector.rounds).toFixed(1)} ms CPU a round` : 'no round yet';
  const line: Line = [
    label('collector'),
    span(`${collector.version} · ${perRound} · ${formatBytes(toNumber(collector.rss))} RSS`),
    ...(spooled > 0 ? [span(` · ${formatBytes(spooled)} waiting on disk`, 'warning')] : []),
    ...(dropped > 0 ? [span(` · ${formatBytes(dropped)} dropped`, 'danger')] : []),
  ];
  return [line];
}

function renderFindings(findings: readonly NodeFinding[]): Line[] {
  if (findings.length === 0) return [[label('findings'), span('none open')]];
  const worstFirst = findings.toSorted((a, b) => badness(b) - badness(a));
  return worstFirst.map((finding, index) => [
    label(index === 0 ? 'findings' : ''),
    span(leakWord(finding.state, finding.imminent), finding.imminent ? 'alarm' : leakStyle(finding.state)),
    span(` since ${formatTime(finding.at)}  `, 'dim'),
    span(finding.message),
  ]);
}

const BADNESS: Partial<Record<string, number>> = { CONFIRMED: 3, SUSPECTED: 2, GROWING: 1 };

function badness({ state, imminent }: NodeFinding): number {
  return (imminent ? 10 : 0) + (BADNESS[state] ?? 0);
}

function renderProcesses(title: string, list: NodeDetail['largest'], width: number): Line[] {
  const more = list.nodes.length < list.totalCount ? ` ${list.nodes.length} of ${formatCount(list.totalCount)}` : '';
  return [[], [span(`${title} processes${more}`, 'dim')], ...renderTable(PROCESS_COLUMNS, list.nodes, { width })];
}

function label(text: string): { text: string; style: Style } {
  return span(fit(text, 11), 'dim');
}

function stateWord(node: NodeSummary): string {
  return node.stale && node.state === 'ACTIVE' ? 'stale' : node.state.toLowerCase();
}

function stateStyle(node: NodeSummary): Style {
  if (node.state !== 'ACTIVE') return 'danger';
  return node.stale ? 'warning' : 'good';
}

function availableCell({ memory }: NodeSummary): { text: string; style: Style } {
  const available = toNumber(memory.available);
  const total = toNumber(memory.total);
  const share = available !== null && total ? available / total : 1;
  return {
    text: formatShare(available, total),
    style: share < 0.05 ? 'alarm' : share < 0.1 ? 'danger' : share < 0.2 ? 'warning' : 'plain',
  };
}

function percent(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : `${value.toFixed(value < 9.95 ? 1 : 0)} %`;
}

function ago(time: string, now: number): string {
  return formatSeconds(Math.max(0, (now - Date.parse(time)) / 1000));
}
