import { toNumber, type Bytes } from '../api/process-fields.js';
import { formatBytes, formatSeconds, formatTime, UNKNOWN } from '../terminal/figures.js';
import { leakCell } from '../terminal/leak-cell.js';
import { displayWidth, fit, printable } from '../terminal/printable.js';
import { cutLine, span, type Line } from '../terminal/style.js';
import type { TopProcess } from './model.js';
import { spark } from './spark.js';

const LABEL = 15;

/** Everything about one process. */
export function renderDetail(
  process: TopProcess | undefined,
  recent: readonly (number | null)[] | undefined,
  width: number,
  now: Date,
): Line[] {
  if (!process) return [[span('The process has ended, or is not among those listed any more.', 'warning')]];
  const leak = leakCell(process.leak);
  const since = process.leak.since === null ? '' : ` since ${formatTime(process.leak.since)}`;
  const confidence =
    process.leak.confidence === null ? '' : `, confidence ${Math.round(process.leak.confidence * 100)} %`;
  const age = formatSeconds((now.getTime() - Date.parse(process.startedAt)) / 1000);
  const lines: Line[] = [
    [
      span(process.program, 'heading'),
      span(`  pid ${process.pid}`, 'strong'),
      span(`, child of ${process.ppid ?? UNKNOWN}`, 'dim'),
    ],
    [],
    row('user', process.user ?? UNKNOWN),
    row('service', process.service ?? UNKNOWN),
    row('control group', process.cgroup ?? UNKNOWN),
    row('started', `${formatTime(process.startedAt)}, ${age} ago`),
    row('threads', String(process.threads ?? UNKNOWN)),
    [],
    ...memoryRows(process),
    [],
    [label('leak'), span(leak.text, leak.style), span(`${since}${confidence}`)],
    row('growth', growthText(process)),
    [label('recent'), span(spark(recent, Math.min(recent?.length ?? 0, width - LABEL)), 'accent')],
    [],
    ...wrap(process.commandLine ?? `[${process.program}]`, width - LABEL).map((part, index): Line => [
      label(index === 0 ? 'command' : ''),
      span(part),
    ]),
  ];
  return lines.map((line) => cutLine(line, width));
}

function memoryRows({ memory }: TopProcess): Line[] {
  const cells: [string, Bytes][] = [
    ['RSS', memory.rss],
    ['PSS', memory.pss],
    ['USS', memory.uss],
    ['anonymous', memory.anonymous],
    ['swap', memory.swap],
    ['dirty', memory.dirty],
    ['file', memory.file],
    ['shmem', memory.shmem],
    ['shared', memory.shared],
    ['text', memory.text],
    ['data', memory.data],
    ['lib', memory.lib],
    ['VMS', memory.vms],
  ];
  const lines: Line[] = [];
  for (let at = 0; at < cells.length; at += 3) {
    const line = cells
      .slice(at, at + 3)
      .flatMap(([name, bytes]) => [
        span(fit(name, LABEL), 'dim'),
        span(fit(formatBytes(toNumber(bytes)), 10, 'right')),
        span('    '),
      ]);
    lines.push(line);
  }
  return lines;
}

function growthText({ growth }: TopProcess): string {
  if (growth === null) return UNKNOWN;
  const range = `${formatBytes(growth.low)} to ${formatBytes(growth.high)}`;
  const source = growth.source === 'RECENT' ? ', a first guess' : '';
  const end =
    growth.secondsToExhaustion === null
      ? ''
      : `; exhausted in ${formatSeconds(growth.secondsToExhaustion)} at the earliest`;
  return `${formatBytes(growth.bytesPerHour)} an hour (${range}) over ${formatSeconds(growth.window)}${source}${end}`;
}

function row(name: string, text: string): Line {
  return [label(name), span(text)];
}

function label(name: string): Line[number] {
  return span(fit(name, LABEL), 'dim');
}

/** Text in pieces of at most `width` columns. */
export function wrap(text: string, width: number): string[] {
  const pieces: string[] = [];
  let piece = '';
  let used = 0;
  for (const character of printable(text)) {
    const wide = displayWidth(character);
    if (used + wide > Math.max(2, width)) {
      pieces.push(piece);
      [piece, used] = ['', 0];
    }
    piece += character;
    used += wide;
  }
  return [...pieces, piece];
}
