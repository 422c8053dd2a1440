import type { ComponentChildren } from 'preact';

export interface Column<Row> {
  id: string;
  title: string;
  /** Shown to those who hear the page, and in a tooltip. */
  means?: string;
  /** What the API sorts by; columns without cannot be sorted. */
  sortBy?: string;
  /** Where the first click begins. Default descending. */
  ascending?: boolean;
  number?: boolean;
  /** Left out when the window is narrower than so many pixels. */
  from?: 480 | 720 | 1000;
  cell(row: Row): ComponentChildren;
}

export interface Sort {
  field: string;
  direction: 'ASC' | 'DESC';
}

export interface TableProps<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf(row: Row): string;
  sort?: Sort;
  onSort?(sort: Sort): void;
  /** Said instead of rows when there are none. */
  empty: string;
  loading?: boolean;
  rowClass?(row: Row): string;
}

export function Table<Row>(props: TableProps<Row>) {
  const { caption, columns, rows, keyOf, loading = false } = props;
  return (
    <div class="table-frame">
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.id} column={column} sort={props.sort} onSort={props.onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} class={props.rowClass?.(row) ?? ''}>
              {columns.map((column) => (
                <td key={column.id} class={classOf(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {rows.length === 0 && (
            <tr>
              <td colSpan={columns.length} class="empty">
                {loading ? 'Asking…' : props.empty}
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

function Head<Row>({
  column,
  sort,
  onSort,
}: {
  column: Column<Row>;
  sort: Sort | undefined;
  onSort: TableProps<Row>['onSort'];
}) {
  const { sortBy, title, means, ascending = false } = column;
  const sorted = sortBy !== undefined && sort?.field === sortBy ? sort.direction : undefined;
  const next = (): Sort => {
    const first = ascending ? 'ASC' : 'DESC';
    const other = ascending ? 'DESC' : 'ASC';
    return { field: sortBy!, direction: sorted === first ? other : first };
  };
  const order = sorted === 'ASC' ? 'ascending' : sorted === 'DESC' ? 'descending' : undefined;
  return (
    <th scope="col" class={classOf(column)} title={means} aria-sort={order ?? (sortBy && onSort ? 'none' : undefined)}>
      {sortBy !== undefined && onSort ? (
        <button type="button" class="sort" onClick={() => onSort(next())}>
          {title}
          <span aria-hidden="true" class="arrow">
            {sorted === 'ASC' ? '▲' : sorted === 'DESC' ? '▼' : ''}
          </span>
        </button>
      ) : (
        title
      )}
    </th>
  );
}

function classOf<Row>({ id, number = false, from }: Column<Row>): string {
  return [`col-${id}`, number && 'number', from && `from-${from}`].filter(Boolean).join(' ');
}
