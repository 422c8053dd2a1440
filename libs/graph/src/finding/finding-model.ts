import type { Finding, NodeId, ProcessKey } from '@tidemark/contracts';
import type { LiveFinding } from '@tidemark/live';
import { toInt } from '../scalars/int.js';
import { toGrowth, type GrowthModel } from '../process/process-model.js';

/** Type `Finding`, without the fields that other questions answer. */
export interface FindingModel {
  id: string;
  kind: Finding['kind'];
  subject: string;
  nodeId: NodeId;
  processKey: ProcessKey | null;
  pid: number | null;
  program: string | null;
  commandLine: string | null;
  user: string | null;
  service: string;
  state: Finding['state'];
  previous: Finding['previous'];
  imminent: boolean;
  confidence: number;
  openedAt: number;
  at: number;
  bytes: number;
  limit: number | null;
  growth: GrowthModel | null;
  secondsToExhaustion: number | null;
  message: string;
  evidence: { name: string; value: number | null }[];
  /** What the finding itself tells of its site. */
  siteName: NonNullable<Finding['site']> | null;
  acknowledgement: { at: number; note: string | null } | null;
}

export function findingModel({ finding, acknowledgement }: LiveFinding): FindingModel {
  const { process, growth, secondsToExhaustion } = finding;
  return {
    id: finding.id,
    kind: finding.kind,
    subject: finding.subject,
    nodeId: finding.node,
    processKey: process?.key ?? null,
    pid: toInt(process?.pid),
    program: process?.program ?? null,
    commandLine: process?.commandLine ?? null,
    user: process?.user ?? null,
    service: finding.service,
    state: finding.state,
    previous: finding.previous,
    imminent: finding.imminent,
    confidence: finding.confidence,
    openedAt: finding.openedAt,
    at: finding.at,
    bytes: finding.bytes,
    limit: finding.limit,
    growth: toGrowth(growth && { ...growth, secondsToExhaustion, source: 'detector' }),
    secondsToExhaustion,
    message: finding.message,
    evidence: Object.entries(finding.evidence).map(([name, value]) => ({ name, value })),
    siteName: finding.site ?? null,
    acknowledgement: acknowledgement && { at: acknowledgement.at, note: acknowledgement.note },
  };
}
