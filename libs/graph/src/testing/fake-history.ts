import type { MemoryMetric, NodeId, ProcessKey, SystemMemory } from '@tidemark/contracts';
import type {
  HistoryQueries,
  SeriesPoint,
  SeriesWindow,
  StoredFinding,
  StoredProcess,
  StoredSite,
  StoredSurvivor,
  StoredTrace,
} from '../history-port.js';

/** History in memory, with what it was asked; the real one is tested in its own library. */
export interface FakeHistory extends HistoryQueries {
  readonly asked: { name: string; args: unknown[] }[];
  stored: StoredFinding[];
  known: StoredProcess[];
  trace: { trace: StoredTrace; sites: StoredSite[]; atRisk: StoredSurvivor[] } | undefined;
  memories: { node: NodeId; at: number; memory: SystemMemory }[];
  /** Every question fails with it. */
  failure: Error | undefined;
}

export function createFakeHistory(): FakeHistory {
  const answer = <T>(name: string, args: unknown[], make: () => T): Promise<T> => {
    history.asked.push({ name, args });
    return history.failure ? Promise.reject(history.failure) : Promise.resolve(make());
  };
  const history: FakeHistory = {
    asked: [],
    stored: [],
    known: [],
    memories: [],
    trace: undefined,
    failure: undefined,
    processSeries: (keys, metric, window) =>
      answer('processSeries', [keys, metric, window], () => new Map(keys.map((key) => [key, pointsOf(window)]))),
    nodeSeries: (nodes, metric, window) =>
      answer('nodeSeries', [nodes, metric, window], () => new Map(nodes.map((node) => [node, pointsOf(window)]))),
    aggregateSeries: (filter, metric, window) =>
      answer('aggregateSeries', [filter, metric, window], () => pointsOf(window)),
    findings: (query, before, limit) =>
      answer('findings', [query, before, limit], () =>
        history.stored
          .filter(({ finding: { at, id } }) => !before || at < before.at || (at === before.at && id < before.id))
          .sort((a, b) => b.finding.at - a.finding.at || (a.finding.id < b.finding.id ? 1 : -1))
          .slice(0, limit),
      ),
    countFindings: (query) => answer('countFindings', [query], () => history.stored.length),
    finding: (id) => answer('finding', [id], () => history.stored.find((one) => one.finding.id === id) ?? null),
    processes: (keys) =>
      answer(
        'processes',
        [keys],
        () => new Map(history.known.filter(({ key }) => keys.includes(key)).map((one) => [one.key, one])),
      ),
    traceOf: (key) => answer('traceOf', [key], () => (history.trace?.trace.key === key ? history.trace.trace : null)),
    tracedSites: (key, order, limit) =>
      answer('tracedSites', [key, order, limit], () =>
        [...(history.trace?.sites ?? [])].sort((a, b) => b.figures[order] - a.figures[order]).slice(0, limit),
      ),
    atRisk: (key, limit) => answer('atRisk', [key, limit], () => (history.trace?.atRisk ?? []).slice(0, limit)),
    lastNodeMemory: () => answer('lastNodeMemory', [], () => history.memories),
  };
  return history;
}

/** First and last step of the window. */
function pointsOf({ from, to, stepMs }: SeriesWindow): SeriesPoint[] {
  return [
    { at: from, value: 1, min: 0, max: 2 },
    { at: to - stepMs, value: 3.5, min: null, max: null },
  ];
}

export function storedProcess(key: ProcessKey, given: Partial<StoredProcess> = {}): StoredProcess {
  const memory: Record<MemoryMetric, number | null> = {
    ...{ rss: 7, vms: null, shared: null, text: null, data: null, lib: null, dirty: null, rssAnon: null },
    ...{ rssFile: null, rssShmem: null, swap: null, pss: null, uss: null },
  };
  return {
    ...{ key, ppid: 1, program: 'gone', commandLine: 'gone --now', user: 'www', uid: 33, gid: 33, service: 'gone' },
    ...{ cgroup: '/gone', startedAt: 1000, exitedAt: 2000, lastSampleAt: 1999, memory },
    ...given,
  };
}
