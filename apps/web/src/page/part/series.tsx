import { useQuery } from '../api/use-query.js';
import { serverNow } from '../api/session.js';
import type { Point } from '../api/types.js';
import { chosen, setSearch } from '../place.js';
import { Choice, Problems, Section, Select } from './basics.js';
import { Chart } from './chart.js';
import type { Measure } from './scale.js';

export const PERIODS = [
  ['15m', '15 min'],
  ['1h', '1 h'],
  ['6h', '6 h'],
  ['1d', '1 d'],
  ['7d', '7 d'],
  ['30d', '30 d'],
] as const;

type Period = (typeof PERIODS)[number][0];

const SECONDS: Readonly<Record<Period, number>> = {
  ...{ '15m': 900, '1h': 3600, '6h': 21_600, '1d': 86_400, '7d': 604_800, '30d': 2_592_000 },
};
const EVERY_MS = 5_000;

export interface SeriesProps<Metric extends string> {
  query: string;
  variables: Record<string, unknown>;
  metrics: readonly (readonly [metric: Metric, text: string])[];
  measureOf?(metric: Metric): Measure;
  lineOf?(metric: Metric): { value: number; text: string } | undefined;
  pick(data: unknown): readonly Point[] | undefined;
}

/** A chart of a chosen metric over a chosen period; both are part of the address. */
export function Series<Metric extends string>(props: SeriesProps<Metric>) {
  const metric = chosen(
    'metric',
    props.metrics.map(([one]) => one),
  ) as Metric;
  const period = chosen(
    'period',
    PERIODS.map(([one]) => one),
  ) as Period;
  const chooser = (
    <div class="tools">
      <Select label="Metric" value={metric} options={props.metrics} onChoose={(one) => setSearch({ metric: one })} />
      <Choice
        label="Period"
        name="period"
        value={period}
        options={PERIODS}
        onChoose={(one) => setSearch({ period: one })}
      />
    </div>
  );
  return (
    <Section title="Over time" aside={chooser}>
      <Plot key={`${metric} ${period}`} {...props} metric={metric} period={period} />
    </Section>
  );
}

/** Begins anew with every metric, so that no figures are drawn in the units of others. */
function Plot<Metric extends string>(props: SeriesProps<Metric> & { metric: Metric; period: Period }) {
  const { metric, period } = props;
  const variables = { ...props.variables, metric, period: { last: period } };
  const { data, problems, loading } = useQuery<unknown>(props.query, variables, EVERY_MS);
  const to = serverNow();
  return (
    <>
      <Chart
        title={props.metrics.find(([one]) => one === metric)?.[1] ?? metric}
        points={(data === null ? undefined : props.pick(data)) ?? []}
        measure={props.measureOf?.(metric) ?? 'bytes'}
        from={to - SECONDS[period] * 1000}
        to={to}
        line={props.lineOf?.(metric)}
        loading={loading}
      />
      <Problems problems={problems} />
    </>
  );
}
