import { useQuery } from '../api/use-query.js';
import { NODE_PROCESSES, PROCESSES } from '../api/queries.js';
import type { Connection, ProcessRow } from '../api/types.js';
import { chosen, place, setSearch } from '../place.js';
import { Problems, Section } from './basics.js';
import { Pager, usePaging } from './pager.js';
import { processColumns, PROCESS_FIELDS } from './process-table.js';
import { SearchField } from './search-field.js';
import { Table } from './table.js';

const PAGE_SIZE = 50;
const EVERY_MS = 3_000;

/** Processes of one node, or of one program on all nodes. */
export function ProcessList(props: { node: string } | { program: string }) {
  const field = chosen('sort', PROCESS_FIELDS);
  const direction = place.value.search.get('dir') === 'ASC' ? 'ASC' : 'DESC';
  const text = place.value.search.get('text') ?? '';
  const paging = usePaging(`${field} ${direction} ${text}`);
  const filter = { ...(text !== '' && { text }), ...('program' in props && { program: props.program }) };
  const ofNode = 'node' in props;
  const variables = {
    ...(ofNode && { id: props.node }),
    ...{ filter, orderBy: { field, direction }, first: PAGE_SIZE, after: paging.after },
  };
  const { data, problems, loading } = useQuery<{
    node?: { processes: Connection<ProcessRow> } | null;
    processes?: Connection<ProcessRow>;
  }>(ofNode ? NODE_PROCESSES : PROCESSES, variables, EVERY_MS);
  const page = ofNode ? data?.node?.processes : data?.processes;
  return (
    <Section
      title="Processes"
      aside={<SearchField label="Filter processes" value={text} onSearch={(value) => setSearch({ text: value })} />}
    >
      <Table
        caption={ofNode ? `Processes of ${props.node}` : `Processes of the program ${props.program}`}
        columns={processColumns(!ofNode)}
        rows={page?.nodes ?? []}
        keyOf={(row) => row.key}
        sort={{ field, direction }}
        onSort={(sort) => setSearch({ sort: sort.field, dir: sort.direction })}
        empty="No process matches."
        loading={loading}
      />
      <Pager
        paging={paging}
        pageSize={PAGE_SIZE}
        shown={page?.nodes.length ?? 0}
        total={page?.totalCount ?? null}
        pageInfo={page?.pageInfo}
        what={['process', 'processes']}
      />
      <Problems problems={problems} />
    </Section>
  );
}
