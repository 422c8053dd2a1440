import { formatSeconds, formatTime } from '../terminal/figures.js';
import { leakStyle, leakWord } from '../terminal/leak-cell.js';
import { span, type Line } from '../terminal/style.js';
import type { FindingFields } from './finding-queries.js';

/** A finding for a person: what and where, how much, how sure, and the command, each on a line. */
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

/** What the message does not say. */
function figures({ growth, confidence, openedAt }: FindingFields): string {
  const measured = growth === null ? [] : [`measured over ${formatSeconds(growth.window)}`];
  const sure = `confidence ${Math.round(confidence * 100)} %`;
  return [...measured, sure, `first seen ${formatTime(openedAt)}`].join(' · ');
}
