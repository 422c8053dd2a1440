import { useState } from 'preact/hooks';
import { count } from '../format.js';

export interface Paging {
  /** Cursor of the page; undefined for the first. */
  after: string | undefined;
  /** Pages before this one. */
  depth: number;
  next(cursor: string): void;
  previous(): void;
}

/** The way from the first page to the present one; begins anew when what is listed changes. */
export function usePaging(list: string): Paging {
  const [way, setWay] = useState<{ list: string; cursors: readonly string[] }>({ list, cursors: [] });
  const cursors = way.list === list ? way.cursors : [];
  return {
    after: cursors.at(-1),
    depth: cursors.length,
    next: (cursor) => setWay({ list, cursors: [...cursors, cursor] }),
    previous: () => setWay({ list, cursors: cursors.slice(0, -1) }),
  };
}

export function Pager(props: {
  paging: Paging;
  pageSize: number;
  shown: number;
  total: number | null;
  pageInfo: { hasNextPage: boolean; endCursor: string | null } | undefined;
  /** One of what is listed, and several. */
  what: readonly [one: string, many: string];
}) {
  const { paging, pageSize, shown, total, pageInfo } = props;
  const [one, many] = props.what;
  const first = paging.depth * pageSize + 1;
  const range = shown === 0 ? 'none' : `${count(first)} to ${count(first + shown - 1)}`;
  const isWhole = paging.depth === 0 && !pageInfo?.hasNextPage;
  return (
    <nav class="pager" aria-label={`Pages of ${many}`}>
      <span aria-live="polite">
        {isWhole ? count(shown) : range}
        {total !== null && !isWhole ? ` of ${count(total)}` : ''} {isWhole && shown === 1 ? one : many}
      </span>
      {!isWhole && (
        <span class="buttons">
          <button type="button" disabled={paging.depth === 0} onClick={() => paging.previous()}>
            Previous
          </button>
          <button
            type="button"
            disabled={!pageInfo?.hasNextPage || pageInfo.endCursor === null}
            onClick={() => pageInfo?.endCursor && paging.next(pageInfo.endCursor)}
          >
            Next
          </button>
        </span>
      )}
    </nav>
  );
}
