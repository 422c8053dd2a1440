import type { NodeId, ProcessKey } from '@tidemark/contracts';
import type { LiveFinding } from '@tidemark/live';
import DataLoader from 'dataloader';
import { newestFirst } from './finding/finding-order.js';
import {
  HISTORY_BATCH,
  type NodeSeriesMetric,
  type ProcessSeriesMetric,
  type SeriesPoint,
  type SeriesWindow,
  type StoredProcess,
} from './history-port.js';
import { askHistory, type GraphSources } from './sources.js';
import { storedSites } from './trace/stored-sites.js';
import { siteModel, storedTraceModel, type SiteModel, type TraceModel } from './trace/trace-model.js';

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
  /** Newest trace of a process that is no longer in the live view. */
  storedTrace: DataLoader<ProcessKey, TraceModel | null>;
  /** Sites of that trace, largest first. */
  storedSites: DataLoader<ProcessKey, SiteModel[]>;
}

export function createLoaders(sources: GraphSources): Loaders {
  const { live } = sources;
  return {
    processSeries: seriesLoader(
      HISTORY_BATCH.processes,
      (subjects: ProcessKey[], metric: ProcessSeriesMetric, window) =>
        askHistory(sources, 'Process.series', (history) => history.processSeries(subjects, metric, window)),
    ),
    nodeSeries: seriesLoader(HISTORY_BATCH.nodes, (subjects: NodeId[], metric: NodeSeriesMetric, window) =>
      askHistory(sources, 'Node.series', (history) => history.nodeSeries(subjects, metric, window)),
    ),
    storedProcess: new DataLoader<ProcessKey, StoredProcess | null>(
      async (keys) => {
        const found = await askHistory(sources, 'process', (history) => history.processes([...new Set(keys)]));
        return keys.map((key) => found.get(key) ?? null);
      },
      { cache: false, maxBatchSize: HISTORY_BATCH.processes },
    ),
    findingsOfProcess: new DataLoader<ProcessKey, LiveFinding[]>(
      (keys) => {
        const wanted = new Map<string, LiveFinding[]>(keys.map((key) => [key, []]));
        for (const finding of live.findings.all()) wanted.get(finding.finding.process?.key ?? '')?.push(finding);
        return Promise.resolve(keys.map((key) => (wanted.get(key) ?? []).sort(newestFirst)));
      },
      { cache: false },
    ),
    ...traceLoaders(sources),
  };
}

/** History is asked for one trace at a time, and for few at once. */
const TRACES_AT_ONCE = 4;

function traceLoaders(sources: GraphSources): Pick<Loaders, 'storedTrace' | 'storedSites'> {
  const traceOf = async (key: ProcessKey): Promise<TraceModel | null> => {
    const stored = await askHistory(sources, 'Process.trace', (history) => history.traceOf(key));
    return stored && storedTraceModel(stored);
  };
  const sitesOf = async (key: ProcessKey): Promise<SiteModel[]> => {
    const trace = await traceOf(key);
    if (!trace) return [];
    const order = { field: 'liveBytes', descending: true, limit: HISTORY_BATCH.sites } as const;
    const sites = await askHistory(sources, 'Finding.site', (history) => storedSites(history, key, trace, order));
    return sites.map((site) => siteModel(key, site));
  };
  return {
    storedTrace: new DataLoader<ProcessKey, TraceModel | null>((keys) => fewAtOnce(keys, traceOf), { cache: false }),
    storedSites: new DataLoader<ProcessKey, SiteModel[]>((keys) => fewAtOnce(keys, sitesOf), { cache: false }),
  };
}

/** Asks once for each different key. */
async function fewAtOnce<Key, Answer>(
  keys: readonly Key[],
  ask: (key: Key) => Promise<Answer>,
): Promise<(Answer | Error)[]> {
  const answers = new Map<Key, Answer | Error>();
  const different = [...new Set(keys)];
  for (let from = 0; from < different.length; from += TRACES_AT_ONCE) {
    const some = different.slice(from, from + TRACES_AT_ONCE);
    const told = await Promise.allSettled(some.map(ask));
    told.forEach((one, i) => answers.set(some[i]!, one.status === 'fulfilled' ? one.value : (one.reason as Error)));
  }
  return keys.map((key) => answers.get(key)!);
}

/** One question per metric and window, for `most` subjects at once. */
function seriesLoader<Subject extends string, Metric extends string>(
  most: number,
  ask: (subjects: Subject[], metric: Metric, window: SeriesWindow) => Promise<ReadonlyMap<Subject, SeriesPoint[]>>,
): DataLoader<SeriesKey<Subject, Metric>, SeriesPoint[]> {
  const groupOf = ({ metric, window }: SeriesKey<Subject, Metric>) =>
    `${metric} ${window.from} ${window.to} ${window.stepMs}`;
  const load = async (keys: readonly SeriesKey<Subject, Metric>[]) => {
    const groups = new Map<string, { first: SeriesKey<Subject, Metric>; subjects: Set<Subject> }>();
    for (const key of keys) {
      const group = groups.get(groupOf(key)) ?? { first: key, subjects: new Set<Subject>() };
      group.subjects.add(key.subject);
      groups.set(groupOf(key), group);
    }
    const answers = new Map<string, ReadonlyMap<Subject, SeriesPoint[]>>();
    for (const [name, { first, subjects }] of groups) {
      const points = new Map<Subject, SeriesPoint[]>();
      const all = [...subjects];
      for (let from = 0; from < all.length; from += most) {
        const found = await ask(all.slice(from, from + most), first.metric, first.window);
        for (const [subject, series] of found) points.set(subject, series);
      }
      answers.set(name, points);
    }
    return keys.map((key) => answers.get(groupOf(key))?.get(key.subject) ?? []);
  };
  return new DataLoader<SeriesKey<Subject, Metric>, SeriesPoint[]>(load, { cache: false });
}
