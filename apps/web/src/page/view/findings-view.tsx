import { FINDING_BY_ID, FINDINGS } from '../api/queries.js';
import { useQuery } from '../api/use-query.js';
import type { Connection, Finding } from '../api/types.js';
import { Choice, Problems, Select } from '../part/basics.js';
import { FindingCard } from '../part/finding-card.js';
import { Heading } from '../part/heading.js';
import { Pager, usePaging } from '../part/pager.js';
import { SearchField } from '../part/search-field.js';
import { chosen, place, setSearch } from '../place.js';
import { href } from '../route.js';
import { Nothing } from './nothing.js';

const PAGE_SIZE = 25;
const EVERY_MS = 5_000;

const STATES = [
  ['alarming', 'Alarming'],
  ['open', 'Open'],
  ['cleared', 'Cleared'],
  ['all', 'All'],
] as const;
const STATES_OF: Readonly<Record<(typeof STATES)[number][0], readonly string[] | undefined>> = {
  alarming: ['SUSPECTED', 'CONFIRMED'],
  open: ['GROWING', 'SUSPECTED', 'CONFIRMED', 'SATURATING'],
  cleared: ['CLEARED', 'STABLE'],
  all: undefined,
};
const ACKNOWLEDGED = [
  ['any', 'Acknowledged or not'],
  ['no', 'Not acknowledged'],
  ['yes', 'Acknowledged'],
] as const;
const KINDS = [
  ['any', 'Every kind'],
  ['PROCESS_LEAK', 'Leaks of processes'],
  ['SERVICE_LEAK', 'Leaks of services'],
  ['SITE_LEAK', 'Leaks in the code'],
  ['EXHAUSTION', 'Memory runs out'],
] as const;

function useFilters() {
  return {
    states: chosen(
      'state',
      STATES.map(([value]) => value),
    ),
    acknowledged: chosen(
      'acknowledged',
      ACKNOWLEDGED.map(([value]) => value),
    ),
    kind: chosen(
      'kind',
      KINDS.map(([value]) => value),
    ),
    program: place.value.search.get('program') ?? '',
  };
}

function Filters() {
  const { states, acknowledged, kind, program } = useFilters();
  return (
    <div class="tools">
      <Choice
        label="States"
        name="state"
        value={states}
        options={STATES}
        onChoose={(one) => setSearch({ state: one })}
      />
      <Select
        label="Acknowledged"
        value={acknowledged}
        options={ACKNOWLEDGED}
        onChoose={(one) => setSearch({ acknowledged: one })}
      />
      <Select label="Kind" value={kind} options={KINDS} onChoose={(one) => setSearch({ kind: one })} />
      <SearchField label="Program" value={program} onSearch={(value) => setSearch({ program: value })} />
    </div>
  );
}

/** What leaks, newest first; what comes in meanwhile comes in by itself. */
export function FindingsView() {
  const { states, acknowledged, kind, program } = useFilters();
  const paging = usePaging(`${states} ${acknowledged} ${kind} ${program}`);
  const filter = {
    ...(STATES_OF[states] && { states: STATES_OF[states] }),
    ...(acknowledged !== 'any' && { acknowledged: acknowledged === 'yes' }),
    ...(kind !== 'any' && { kinds: [kind] }),
    ...(program !== '' && { program }),
  };
  const variables = { filter, first: PAGE_SIZE, after: paging.after };
  const { data, problems, failure, loading } = useQuery<{ findings: Connection<Finding> }>(
    FINDINGS,
    variables,
    EVERY_MS,
  );
  const page = data?.findings;
  return (
    <>
      <Heading title="Findings" over={<a href={href.cluster()}>Cluster</a>} />
      <Filters />
      <Problems problems={problems} failure={data === null ? failure : undefined} />
      <div class="findings" aria-busy={loading}>
        {page?.nodes.map((finding) => (
          <FindingCard key={finding.id} finding={finding} />
        ))}
        {page?.nodes.length === 0 && <p class="empty">No finding matches.</p>}
      </div>
      <Pager
        paging={paging}
        pageSize={PAGE_SIZE}
        shown={page?.nodes.length ?? 0}
        total={page?.totalCount ?? null}
        pageInfo={page?.pageInfo}
        what={['finding', 'findings']}
      />
    </>
  );
}

export function FindingView({ id }: { id: string }) {
  const { data, problems, failure, loading } = useQuery<{ finding: Finding | null }>(FINDING_BY_ID, { id }, EVERY_MS);
  const finding = data?.finding;
  if (!loading && data && !finding && problems.length === 0) {
    return <Nothing title="Finding" text="Nothing remembers this finding." />;
  }
  return (
    <>
      <Heading title="Finding" over={<a href={href.findings()}>Findings</a>} />
      <Problems problems={problems} failure={data === null ? failure : undefined} />
      {finding && <FindingCard finding={finding} />}
    </>
  );
}
