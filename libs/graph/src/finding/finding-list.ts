import type { LiveFinding } from '@tidemark/live';
import { GraphError } from '../graph-error.js';
import { HISTORY_BATCH, type FindingQuery } from '../history-port.js';
import { pageSize, toConnection, type Connection, type PageInput } from '../paging/connection.js';
import { decodeCursor, encodeCursor } from '../paging/cursor.js';
import { askHistory, type GraphSources } from '../sources.js';
import { matchesFinding, toFindingQuery, type FindingFilterInput } from './finding-filter.js';
import { findingModel, type FindingModel } from './finding-model.js';
import { newestFirst } from './finding-order.js';

export interface FindingListInput extends PageInput {
  filter?: FindingFilterInput | null;
}

interface Position {
  at: number;
  id: string;
}

const LIST = 'f.at.desc';

/**
 * A page of findings, newest first. The live view knows the newest state of each finding it holds, before history does;
 * history adds those that the view no longer holds. Throws GraphError.
 */
export async function listFindings(sources: GraphSources, input: FindingListInput): Promise<Connection<FindingModel>> {
  const size = pageSize(input.first);
  const query = toFindingQuery(input.filter, sources.now());
  const after = input.after ? decodePosition(input.after) : null;
  const present = [...sources.live.findings.all()].filter((finding) => matchesFinding(query, finding));
  const rows = present.filter((finding) => isAfter(finding, after)).sort(newestFirst);
  const older = sources.history ? await fetchOlder(sources, query, after, size + 1) : [];
  const merged = [...rows, ...older].sort(newestFirst).slice(0, size + 1);
  return toConnection(
    merged.map((finding) => ({
      cursor: encodeCursor(LIST, [finding.finding.at, finding.finding.id]),
      node: findingModel(finding),
    })),
    { size, after: input.after },
    () => countFindings(sources, query, present.length),
  );
}

/** Findings of history that the live view does not hold: of the others, history's state may be an older one. */
async function fetchOlder(
  sources: GraphSources,
  query: FindingQuery,
  after: Position | null,
  wanted: number,
): Promise<LiveFinding[]> {
  const found: LiveFinding[] = [];
  const limit = Math.min(wanted, HISTORY_BATCH.findings);
  for (let before = after; found.length < wanted;) {
    const page = await askHistory(sources, 'findings', (history) => history.findings(query, before, limit));
    found.push(...page.filter(({ finding }) => !sources.live.findings.get(finding.id)));
    const last = page.at(-1)?.finding;
    if (!last || page.length < limit) break;
    before = { at: last.at, id: last.id };
  }
  return found.slice(0, wanted);
}

/** Exact while the live view holds everything; else what history has, which may be a second behind. */
async function countFindings(sources: GraphSources, query: FindingQuery, present: number): Promise<number | null> {
  if (!sources.history) return sources.live.findings.overflowed ? null : present;
  return Math.max(present, await askHistory(sources, 'totalCount', (history) => history.countFindings(query)));
}

function isAfter(finding: LiveFinding, after: Position | null): boolean {
  if (!after) return true;
  const { at, id } = finding.finding;
  return at < after.at || (at === after.at && id < after.id);
}

function decodePosition(cursor: string): Position {
  const [at, id] = decodeCursor(LIST, cursor, 2);
  if (typeof at === 'number' && typeof id === 'string') return { at, id };
  throw new GraphError('BAD_CURSOR', 'after: this cursor was not made by this server');
}
