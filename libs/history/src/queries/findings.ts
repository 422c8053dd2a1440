import type { Acknowledgement, Finding, LeakState, NodeId } from '@tidemark/contracts';
import type { Connection } from '../connection.js';
import { HistoryError } from '../errors.js';

export interface FindingQuery {
  nodes?: readonly NodeId[];
  kinds?: readonly Finding['kind'][];
  states?: readonly LeakState[];
  program?: string;
  service?: string;
  pid?: number;
  subject?: string;
  imminent?: boolean;
  acknowledged?: boolean;
  /** Of `at`, epoch milliseconds, half-open. */
  from?: number;
  to?: number;
}

/** The newest record of one finding id, and the newest acknowledgement of it. */
export interface StoredFinding {
  finding: Finding;
  acknowledgement: Acknowledgement | null;
}

const MAX_FINDINGS = 1_000;

/** SQL of each condition of the query, with its parameter of the same name. */
const CONDITIONS: Readonly<Record<Exclude<keyof FindingQuery, 'acknowledged'>, string>> = {
  nodes: 'current.node IN {nodes:Array(String)}',
  kinds: 'current.kind IN {kinds:Array(String)}',
  states: 'current.state IN {states:Array(String)}',
  program: 'current.program = {program:String}',
  service: 'current.service = {service:String}',
  pid: 'current.pid = {pid:UInt64}',
  subject: 'current.subject = {subject:String}',
  imminent: 'current.imminent = {imminent:Bool}',
  from: 'current.at >= fromUnixTimestamp64Milli({from:Int64})',
  to: 'current.at < fromUnixTimestamp64Milli({to:Int64})',
};

const FROM = `FROM (SELECT * FROM findings_current FINAL) AS current
  LEFT JOIN (SELECT id AS ack_id, at AS ack_at, subject AS ack_subject, note AS ack_note FROM acknowledgements FINAL) AS ack
  ON current.id = ack.ack_id`;

const FIELDS = `record, ack_id, toUnixTimestamp64Milli(ack_at) AS ack_ms, ack_subject, ack_note`;

interface FindingRow {
  record: string;
  /** Empty without an acknowledgement: no finding's id is. */
  ack_id: string;
  ack_ms: number | string;
  ack_subject: string;
  ack_note: string | null;
}

/** Newest record per finding id, ordered by (at, id) descending, strictly after `before` in that order. */
export async function findings(
  connection: Connection,
  query: FindingQuery,
  before: { at: number; id: string } | null,
  limit: number,
): Promise<StoredFinding[]> {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_FINDINGS) {
    throw new HistoryError('HISTORY_RANGE', `${limit} findings asked for, allowed are 1 to ${MAX_FINDINGS}`, false);
  }
  const { where, parameters } = conditions(query);
  if (before) {
    where.push('(toUnixTimestamp64Milli(current.at), current.id) < ({before_at:Int64}, {before_id:String})');
    Object.assign(parameters, { before_at: before.at, before_id: before.id });
  }
  const rows = await connection.query<FindingRow>(
    `SELECT ${FIELDS} ${FROM} WHERE ${where.join(' AND ')} ORDER BY current.at DESC, current.id DESC LIMIT ${limit}`,
    parameters,
  );
  return rows.map(toStored);
}

export async function countFindings(connection: Connection, query: FindingQuery): Promise<number> {
  const { where, parameters } = conditions(query);
  const [row] = await connection.query<{ findings: number | string }>(
    `SELECT count() AS findings ${FROM} WHERE ${where.join(' AND ')}`,
    parameters,
  );
  return Number(row?.findings ?? 0);
}

export async function finding(connection: Connection, id: string): Promise<StoredFinding | null> {
  const [row] = await connection.query<FindingRow>(`SELECT ${FIELDS} ${FROM} WHERE current.id = {id:String}`, { id });
  return row ? toStored(row) : null;
}

function conditions(query: FindingQuery): { where: string[]; parameters: Record<string, unknown> } {
  const where = ['1'];
  const parameters: Record<string, unknown> = {};
  for (const [name, sql] of Object.entries(CONDITIONS) as [keyof typeof CONDITIONS, string][]) {
    if (query[name] === undefined) continue;
    where.push(sql);
    parameters[name] = query[name];
  }
  if (query.acknowledged !== undefined) where.push(query.acknowledged ? "ack_id != ''" : "ack_id = ''");
  return { where, parameters };
}

function toStored(row: FindingRow): StoredFinding {
  const acknowledgement: Acknowledgement | null =
    row.ack_id === ''
      ? null
      : {
          v: 1,
          type: 'acknowledgement',
          id: row.ack_id,
          subject: row.ack_subject,
          at: Number(row.ack_ms),
          note: row.ack_note,
        };
  return { finding: JSON.parse(row.record) as Finding, acknowledgement };
}
