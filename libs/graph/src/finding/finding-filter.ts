import { isNodeId, type Finding, type LeakState } from '@tidemark/contracts';
import type { LiveFinding } from '@tidemark/live';
import type { FindingEvent } from '../feed/fan-out.js';
import type { FindingQuery } from '../history-port.js';
import { resolvePeriod, type PeriodInput } from '../series/period.js';

/** Input `FindingFilter`. */
export interface FindingFilterInput {
  nodes?: string[] | null;
  kinds?: Finding['kind'][] | null;
  states?: LeakState[] | null;
  program?: string | null;
  service?: string | null;
  pid?: number | null;
  subject?: string | null;
  imminent?: boolean | null;
  acknowledged?: boolean | null;
  period?: PeriodInput | null;
}

/** Null in an input is the same as left out. */
export function toFindingQuery(filter: FindingFilterInput | null | undefined, now: number): FindingQuery {
  if (!filter) return {};
  const { nodes, period, ...plain } = filter;
  const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== null && value !== undefined));
  return {
    ...(given as Omit<FindingQuery, 'nodes' | 'from' | 'to'>),
    ...(nodes ? { nodes: nodes.filter(isNodeId) } : {}),
    ...(period ? resolvePeriod(period, now) : {}),
  };
}

export function matchesFinding(query: FindingQuery, { finding, acknowledgement }: LiveFinding): boolean {
  const { nodes, kinds, states, program, service, pid, subject, imminent, acknowledged, from, to } = query;
  return (
    (!nodes || nodes.includes(finding.node)) &&
    (!kinds || kinds.includes(finding.kind)) &&
    (!states || states.includes(finding.state)) &&
    (program === undefined || finding.process?.program === program) &&
    (service === undefined || finding.service === service) &&
    (pid === undefined || finding.process?.pid === pid) &&
    (subject === undefined || finding.subject === subject) &&
    (imminent === undefined || finding.imminent === imminent) &&
    (acknowledged === undefined || (acknowledgement !== null) === acknowledged) &&
    (from === undefined || finding.at >= from) &&
    (to === undefined || finding.at < to)
  );
}

/** The states that raise an alert when the subscriber names none. */
const ALERTS: readonly LeakState[] = ['SUSPECTED', 'CONFIRMED'];

/**
 * Whether a finding record is news for a subscriber: it entered a state that is asked for, or turned imminent. The same
 * state again, as after a redelivery, is no news.
 */
export function isNews(query: FindingQuery, { finding, before }: FindingEvent): boolean {
  if (!matchesFinding(query, finding)) return false;
  const { state, imminent } = finding.finding;
  if (before?.state !== state && (query.states ?? ALERTS).includes(state)) return true;
  return !query.states && imminent && before?.imminent !== true;
}
