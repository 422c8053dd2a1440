import { toNumber } from '../api/process-fields.js';
import { formatBytes, formatSeconds, formatTime } from '../terminal/figures.js';
import { leakStyle, leakWord } from '../terminal/leak-cell.js';
import { span, type Line } from '../terminal/style.js';
import type { FindingFields } from './finding-queries.js';

/** A finding for a person: what and where on the first line, how much on the second, the command on a third. */
export function renderFinding(finding: FindingFields): Line[] {
  const { program, pid, service, nodeId, user } = finding;
  const who = program === null ? service : `${program}${pid === null ? '' : ` (pid ${pid})`}`;
  const owner = user === null ? '' : ` of ${user}`;
  const state = leakWord(finding.state, finding.imminent);
  const lines: Line[] = [
    [
      span(formatTime(finding.at), 'dim'),
      span('  '),
      span(state, finding.imminent ? 'alarm' : leakStyle(finding.state)),
      span('  '),
      span(who, 'strong'),
      span(`${owner} on ${nodeId}`),
      span(finding.acknowledgement === null ? '' : '  seen', 'dim'),
    ],
    indented(finding.message),
    indented(figures(finding), 'dim'),
  ];
  if (finding.commandLine !== null && finding.commandLine !== program) lines.push(indented(finding.commandLine, 'dim'));
  if (finding.acknowledgement?.note) lines.push(indented(`note: ${finding.acknowledgement.note}`, 'dim'));
  return lines;
}

function indented(text: string, style: 'plain' | 'dim' = 'plain'): Line {
  return [span('    '), span(text, style)];
}

function figures(finding: FindingFields): string {
  const { growth, secondsToExhaustion } = finding;
  const limit = toNumber(finding.limit);
  return [
    `${formatBytes(toNumber(finding.bytes))}${limit === null ? '' : ` of ${formatBytes(limit)}`}`,
    growth === null
      ? ''
      : `${formatBytes(growth.bytesPerHour)} an hour (${formatBytes(growth.low)} to ${formatBytes(growth.high)}) over ${formatSeconds(growth.window)}`,
    secondsToExhaustion === null ? '' : `exhausted in ${formatSeconds(secondsToExhaustion)} at the earliest`,
    `confidence ${Math.round(finding.confidence * 100)} %`,
    `first seen ${formatTime(finding.openedAt)}`,
  ]
    .filter((part) => part !== '')
    .join(' · ');
}
