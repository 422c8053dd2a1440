import type { NodeId, ProcessKey } from '@tidemark/contracts';
import type { LiveFinding } from '@tidemark/live';
import DataLoader from 'dataloader';
import { newestFirst } from './finding/finding-order.js';
import type {
  NodeSeriesMetric,
  ProcessSeriesMetric,
  SeriesPoint,
  SeriesWindow,
  StoredProcess,
} from './history-port.js';
import { askHistory, type GraphSources } from './sources.js';

interface SeriesKey<Subject, Metric> {
  subject: Subject;
  metric: Metric;
  window: SeriesWindow;
}

/** Gathers what the fields of one answer ask for into few questions. Nothing is kept from one answer to the next. */
export interface Loaders {
  processSeries: DataLoader<SeriesKey<ProcessKey, ProcessSeriesMetric>, SeriesPoint[]>;
  nodeSeries: DataLoader<SeriesKey<NodeId, NodeSeriesMetric>, SeriesPoint[]>;
  /** Processes that are no longer in the live view. */
  storedProcess: DataLoader<ProcessKey, StoredProcess | null>;
  findingsOfProcess: DataLoader<ProcessKey, LiveFinding[]>;
}

export function createLoaders(sources: GraphSources): Loaders {
  const { live } = sources;
  return {
    processSeries: seriesLoader((subjects: ProcessKey[], metric: ProcessSeriesMetric, window) =>
      askHistory(sources, 'Process.series', (history) => history.processSeries(subjects, metric, window)),
    ),
    nodeSeries: seriesLoader((subjects: NodeId[], metric: NodeSeriesMetric, window) =>
      askHistory(sources, 'Node.series', (history) => history.nodeSeries(subjects, metric, window)),
    ),
    storedProcess: new DataLoader<ProcessKey, StoredProcess | null>(
      async (keys) => {
        const found = await askHistory(sources, 'process', (history) => history.processes([...new Set(keys)]));
        return keys.map((key) => found.get(key) ?? null);
      },
      { cache: false },
    ),
    findingsOfProcess: new DataLoader<ProcessKey, LiveFinding[]>(
      (keys) => {
        const wanted = new Map<string, LiveFinding[]>(keys.map((key) => [key, []]));
        for (const finding of live.findings.all()) wanted.get(finding.finding.process?.key ?? '')?.push(finding);
        return Promise.resolve(keys.map((key) => (wanted.get(key) ?? []).sort(newestFirst)));
      },
      { cache: false },
    ),
  };
}

/** One question per metric and window, whatever the number of subjects. */
function seriesLoader<Subject extends string, Metric extends string>(
  ask: (subjects: Subject[], metric: Metric, window: SeriesWindow) => Promise<ReadonlyMap<Subject, SeriesPoint[]>>,
): DataLoader<SeriesKey<Subject, Metric>, SeriesPoint[]> {
  return new DataLoader<SeriesKey<Subject, Metric>, SeriesPoint[]>(
    async (keys) => {
      const groups = new Map<string, SeriesKey<Subject, Metric>[]>();
      const groupOf = ({ metric, window }: SeriesKey<Subject, Metric>) =>
        `${metric} ${window.from} ${window.to} ${window.stepMs}`;
      for (const key of keys) groups.set(groupOf(key), [...(groups.get(groupOf(key)) ?? []), key]);
      const answers = new Map<string, ReadonlyMap<Subject, SeriesPoint[]>>();
      await Promise.all(
        Array.from(groups, async ([name, [first, ...rest]]) => {
          if (!first) return;
          const subjects = [...new Set([first, ...rest].map((key) => key.subject))];
          answers.set(name, await ask(subjects, first.metric, first.window));
        }),
      );
      return keys.map((key) => answers.get(groupOf(key))?.get(key.subject) ?? []);
    },
    { cache: false },
  );
}
