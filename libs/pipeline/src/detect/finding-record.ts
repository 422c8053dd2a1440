import type { Finding, NodeId, ProcessKey } from '@tidemark/contracts';
import type { Transition } from '@tidemark/leak';
import { durationText, sizeText } from './finding-text.js';

/** Who a transition is about. */
export interface FindingSubject {
  kind: Finding['kind'];
  subject: string;
  node: NodeId;
  service: string;
  process: { key: ProcessKey; pid: number; program: string; commandLine: string | null; user: string | null } | null;
}

/**
 * A transition as a finding. The id is made of the subject and of when its growth began, both from the data, so that a
 * chunk judged twice gives the same record twice and not two findings.
 */
export function toFinding(subject: FindingSubject, transition: Transition): Finding {
  return {
    v: 1,
    type: 'finding',
    id: `${subject.subject}@${transition.openedAt}`,
    ...subject,
    state: transition.to,
    previous: transition.from,
    imminent: transition.imminent,
    confidence: transition.confidence,
    openedAt: transition.openedAt,
    at: transition.at,
    bytes: Math.max(0, Math.round(transition.bytes)),
    limit: transition.limit === null ? null : Math.max(0, Math.round(transition.limit)),
    growth: transition.growth && { ...transition.growth, window: Math.round(transition.growth.window) },
    secondsToExhaustion: transition.secondsToExhaustion,
    message: findingMessage(subject, transition),
    evidence: transition.evidence,
  };
}

/** One sentence for a person. */
export function findingMessage(subject: FindingSubject, transition: Transition): string {
  const { process, node, service } = subject;
  const who = process ? `${process.program} (pid ${process.pid}) on ${node}` : `service ${service} on ${node}`;
  const { growth, bytes, limit, secondsToExhaustion } = transition;
  const rate = growth
    ? ` by ${sizeText(growth.bytesPerHour)}/h (95 %: ${sizeText(growth.low)} to ${sizeText(growth.high)})`
    : '';
  const now = `${sizeText(bytes)} now`;
  const end =
    secondsToExhaustion === null || limit === null
      ? ''
      : `, ${sizeText(limit)} reached in as little as ${durationText(secondsToExhaustion)}`;
  switch (transition.to) {
    case 'STABLE':
    case 'CLEARED':
      return `${who} no longer grows; ${now}.`;
    case 'SATURATING':
      return `${who} levels off after growing${rate}; ${now}.`;
    case 'SUSPECTED':
      return `${who} is suspected of a leak: grows${rate}, ${now}${end}.`;
    case 'CONFIRMED':
      return `${who} leaks: grows${rate}, ${now}${end}.`;
    default:
      return transition.imminent
        ? `${who} runs out of memory soon: grows${rate}, ${now}${end}.`
        : `${who} grows${rate}, ${now}${end}.`;
  }
}
