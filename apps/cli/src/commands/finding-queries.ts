import { GROWTH_FIELDS, type Bytes, type GrowthFields, type LeakState, type PageInfo } from '../api/process-fields.js';

export interface FindingFields {
  id: string;
  kind: string;
  subject: string;
  nodeId: string;
  pid: number | null;
  program: string | null;
  commandLine: string | null;
  user: string | null;
  service: string;
  state: LeakState;
  previous: LeakState;
  imminent: boolean;
  confidence: number;
  openedAt: string;
  at: string;
  bytes: Bytes;
  limit: Bytes;
  growth: GrowthFields | null;
  secondsToExhaustion: number | null;
  message: string;
  evidence: { name: string; value: number | null }[];
  acknowledgement: { at: string; note: string | null } | null;
}

const FINDING_FIELDS = `
  id kind subject nodeId pid program commandLine user service state previous imminent confidence openedAt at
  bytes limit secondsToExhaustion message
  ${GROWTH_FIELDS}
  evidence { name value }
  acknowledgement { at note }
`;

export const FINDINGS_QUERY = /* GraphQL */ `
  query Findings($filter: FindingFilter, $first: Int!, $after: String) {
    findings(filter: $filter, first: $first, after: $after) {
      nodes { ${FINDING_FIELDS} }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

export interface FindingsData {
  findings: { nodes: FindingFields[]; pageInfo: PageInfo };
}

export const FINDINGS_SUBSCRIPTION = /* GraphQL */ `
  subscription FollowFindings($filter: FindingFilter) {
    leakSuspected(filter: $filter, includeOpen: true) { ${FINDING_FIELDS} }
  }
`;

export interface FindingEvent {
  leakSuspected: FindingFields;
}
