import { toNumber } from '../api/process-fields.js';
import { bar, type BarPart } from '../terminal/bars.js';
import { formatBytes, formatClock, formatCount, formatSeconds, formatShare, UNKNOWN } from '../terminal/figures.js';
import { cutLine, span, spread, type Line, type Span, type Style } from '../terminal/style.js';
import type { TopNode, TopState } from './model.js';

/** Lines that {@link renderHeader} gives. */
export const HEADER_LINES = 5;

const LABEL = 9;

/** Name, memory, swap, load and leaks of the node. `now` is this host's clock. */
export function renderHeader(state: TopState, width: number, now: Date): Line[] {
  const node = state.snapshot?.node;
  const title = spread(titleOf(state, node), connectionOf(state, now), width);
  if (!node) return [title];
  return [title, memoryLine(node, width), swapLine(node, width), loadLine(node), leakLine(node)].map((line) =>
    cutLine(line, width),
  );
}

function titleOf(state: TopState, node: TopNode | undefined): Line {
  const name = [span('tidemark', 'heading'), span(' ')];
  if (!node) return [...name, span(state.url, 'dim')];
  const facts = [
    node.kernel === null ? '' : `Linux ${node.kernel}`,
    node.cpuCount === null ? '' : `${node.cpuCount} CPUs`,
    node.uptime === null ? '' : `up ${formatSeconds(node.uptime)}`,
  ].filter((fact) => fact !== '');
  const nodes = state.snapshot?.nodes ?? [];
  const place = nodes.length > 1 ? ` ${nodes.indexOf(node.id) + 1}/${nodes.length}` : '';
  return [...name, span(node.id, 'strong'), span(place, 'dim'), span(`  ${facts.join(' · ')}`, 'dim')];
}

function connectionOf(state: TopState, now: Date): Line {
  const clock = span(` ${formatClock(now)}`, 'dim');
  if (state.paused) return [span('paused', 'warning'), clock];
  const { connection, snapshot } = state;
  if (connection.state === 'connecting') return [span('connecting …', 'dim'), clock];
  if (connection.state === 'lost') {
    const lasting = formatSeconds((now.getTime() - connection.since) / 1000);
    return [span(`no answer for ${lasting}: ${connection.why}`, 'danger'), clock];
  }
  if (snapshot?.node.state === 'INACTIVE') return [span('node is silent', 'danger'), clock];
  if (snapshot?.node.state === 'LEFT') return [span('node was stopped', 'danger'), clock];
  if (snapshot?.node.stale) return [span('● behind', 'warning'), clock];
  return [span('● live', 'good'), clock];
}

/** Columns that the figures beside a bar take at most. */
const FIGURES = 57;
const MOST_BAR = 40;
const LEAST_BAR = 8;

/** The bar and the gap behind it; nothing where the figures need the room. */
function barOf(parts: readonly BarPart[], whole: number, width: number): Line {
  const room = Math.min(MOST_BAR, width - LABEL - FIGURES);
  return room < LEAST_BAR ? [] : [...bar(parts, whole, room), span('  ')];
}

function memoryLine({ memory }: TopNode, width: number): Line {
  const total = toNumber(memory.total) ?? 0;
  const used = toNumber(memory.used) ?? 0;
  const available = toNumber(memory.available);
  const free = toNumber(memory.free) ?? 0;
  const cache = Math.max(0, total - used - free);
  const share = total > 0 ? used / total : 0;
  const parts: BarPart[] = [
    { value: used, style: share > 0.9 ? 'danger' : share > 0.75 ? 'warning' : 'good' },
    { value: cache, style: 'dim', glyph: '▒' },
  ];
  return [
    ...label('memory'),
    ...barOf(parts, total, width),
    span(`${formatBytes(used)} of ${formatBytes(total)} used (${formatShare(used, total)})`),
    span(`, ${formatBytes(available)} available`, 'dim'),
  ];
}

function swapLine({ memory }: TopNode, width: number): Line {
  const total = toNumber(memory.swapTotal);
  const free = toNumber(memory.swapFree);
  if (total === null || free === null) return [...label('swap'), span(UNKNOWN)];
  if (total === 0) return [...label('swap'), span('none', 'dim')];
  const used = total - free;
  return [
    ...label('swap'),
    ...barOf([{ value: used, style: used / total > 0.5 ? 'danger' : 'accent' }], total, width),
    span(`${formatBytes(used)} of ${formatBytes(total)} used (${formatShare(used, total)})`),
  ];
}

function loadLine(node: TopNode): Line {
  const { load, pressure, cpu } = node;
  const averages = load ? [load.one, load.five, load.fifteen].map((one) => one.toFixed(2)).join(' ') : UNKNOWN;
  const busy = cpu?.busyPercent ?? null;
  const some = pressure?.some.avg10 ?? null;
  const full = pressure?.full?.avg10 ?? null;
  const style: Style = some === null ? 'dim' : some >= 10 ? 'danger' : some >= 1 ? 'warning' : 'plain';
  return [
    ...label('load'),
    span(averages),
    span('   memory stall ', 'dim'),
    span(some === null ? UNKNOWN : `${some.toFixed(1)} % some`, style),
    span(full === null ? '' : ` ${full.toFixed(1)} % full`, style),
    span('   CPU ', 'dim'),
    span(busy === null ? UNKNOWN : `${busy.toFixed(0)} %`),
    span('   tasks ', 'dim'),
    span(load ? `${formatCount(load.total)}, ${load.running} running` : UNKNOWN),
  ];
}

function leakLine(node: TopNode): Line {
  const count = (test: (finding: TopNode['findings'][number]) => boolean): number => node.findings.filter(test).length;
  const confirmed = count(({ state }) => state === 'CONFIRMED');
  const suspected = count(({ state }) => state === 'SUSPECTED');
  const growing = count(({ state }) => state === 'GROWING');
  const imminent = count((finding) => finding.imminent);
  const counts: Span[] = [
    figure(confirmed, 'confirmed', 'alarm'),
    span('  '),
    figure(suspected, 'suspected', 'danger'),
    span('  '),
    figure(growing, 'growing', 'warning'),
    ...(imminent > 0 ? [span('  '), figure(imminent, 'running out soon', 'alarm')] : []),
    span(`   ${formatCount(node.processCount)} processes`, 'dim'),
  ];
  return [...label('leaks'), ...counts];
}

function figure(count: number, word: string, style: Style): Span {
  return span(`${count} ${word}`, count > 0 ? style : 'dim');
}

function label(text: string): Line {
  return [span(text.padEnd(LABEL), 'dim')];
}
