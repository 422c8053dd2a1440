import { GraphError } from '../graph-error.js';

export interface PageInput {
  first?: number | null;
  after?: string | null;
}

/** Rows of a page when the asker does not choose, and at most. */
export const USUAL_PAGE = 50;
export const MAX_PAGE = 1_000;

/** Throws GraphError BAD_PAGE outside 0 … `max`. */
export function pageSize(first: number | null | undefined, usual = USUAL_PAGE, max = MAX_PAGE): number {
  const size = first ?? usual;
  if (size >= 0 && size <= max) return size;
  throw new GraphError('BAD_PAGE', `first: ${size} must be from 0 to ${max}`);
}

export interface Connection<Model> {
  edges: { cursor: string; node: Model }[];
  nodes: Model[];
  pageInfo: {
    hasNextPage: boolean;
    hasPreviousPage: boolean;
    startCursor: string | null;
    endCursor: string | null;
  };
  totalCount: number | null | (() => Promise<number | null>);
}

export function toConnection<Model>(
  rows: readonly { cursor: string; node: Model }[],
  page: { size: number; after: string | null | undefined },
  totalCount: Connection<Model>['totalCount'],
): Connection<Model> {
  const edges = rows.slice(0, page.size);
  return {
    edges,
    nodes: edges.map((edge) => edge.node),
    pageInfo: {
      hasNextPage: rows.length > page.size,
      hasPreviousPage: (page.after ?? '') !== '',
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    totalCount,
  };
}
