import {
  controlKey,
  encodeAllocationChunk,
  encodeControlRecord,
  Topic,
  toNodeId,
  type SystemSample,
} from '@tidemark/contracts';
import { createSimulatedTrace, type SimulatedTrace } from '@tidemark/live/simulated-trace';
import { createFakeHistory, type FakeHistory } from '../../libs/graph/src/testing/fake-history.js';
import { createFileServer, type FileServer } from '@tidemark/service';
import { join } from 'node:path';
import { graphqlClient } from './graphql-client.js';
import { until } from './until.js';
import { createSimulatedHost, MIB, startGraphCluster, type GraphCluster, type SimulatedHost } from './graph-cluster.js';

export const GIB = 1024 * MIB;
/** The page as `tools/build-page.mjs` left it. */
export function builtPage(): FileServer {
  return createFileServer({ directory: join(import.meta.dirname, '..', '..', 'apps', 'web', 'dist', 'page') });
}

/** What a program may call itself. */
export const HOSTILE = '<img src=x onerror="window.hurt=1">';
export const HOSTILE_COMMAND = `${HOSTILE} "'\u202egnp.exe </script><script>window.hurt=2</script>`;

export interface WebCluster {
  readonly graph: GraphCluster;
  readonly hosts: readonly SimulatedHost[];
  readonly history: FakeHistory;
  /** Every host but the silent one sends a round, `seconds` after the last; the process that grows has grown. */
  round(seconds: number): Promise<void>;
  /** Every collector but the silent one starts again, and tells everything anew. */
  retell(): Promise<void>;
  /** The program that grows is traced from ten minutes ago on. */
  trace(): Promise<SimulatedTrace>;
  close(): Promise<void>;
}

/** Of the process that grows; it is on the first host. */
export const LEAKY = { pid: 100, program: 'leaky', mibPerSecond: 2 };
/** Of the process whose names are hostile; on the second host. */
export const HOSTILE_PID = 666;
export const SILENT = 'db-3';

const PROGRAMS = ['postgres', 'nginx', 'node', 'java', 'chrome', 'redis-server', 'python3', 'systemd', 'sshd'];

/** A graph server with the page, over `count` simulated hosts of which one fell silent. Every figure is the test's. */
export async function startWebCluster(count: number): Promise<WebCluster> {
  const history = createFakeHistory();
  makeSeries(history);
  const graph = await startGraphCluster({ history, page: builtPage() });
  const hosts = Array.from({ length: count }, (_, at) => createHost(at));
  let clock = Date.now();
  for (const host of hosts) await graph.publish(host);
  // What was heard is heard at the clock's time when it is read.
  const heard = async () =>
    (await graphqlClient(graph.url).query<{ nodes: { totalCount: number } }>('{ nodes { totalCount } }')).nodes
      .totalCount;
  await until('all hosts to be heard of', async () => (await heard()) === count);

  const cluster: WebCluster = {
    ...{ graph, hosts, history },
    async round(seconds) {
      graph.advance(seconds * 1000);
      clock += seconds * 1000;
      grow(hosts[0]!, seconds);
      for (const host of hosts) if (host.node !== SILENT) await graph.publish(host);
    },
    async retell() {
      for (const host of hosts) if (host.node !== SILENT) host.restart(false);
      await cluster.round(1);
    },
    async trace() {
      const { start } = hosts[0]!.processes.get(LEAKY.pid)!;
      const about = { node: hosts[0]!.node, boot: 'boot-1', pid: LEAKY.pid, start };
      const trace = createSimulatedTrace({ ...about, startedAt: clock - 600_000 });
      const status = encodeControlRecord({
        ...{ v: 1, type: 'trace-status', id: 'request-1', node: about.node, pid: about.pid, key: trace.key },
        ...{ state: 'ACTIVE', means: 'LIBRARY', mode: 'EXACT', sampleInterval: null, maxFrames: null },
        ...{ at: clock - 600_000, reason: null, code: null },
      });
      const key = controlKey(about.node, about.pid);
      await graph.log.append([{ topic: Topic.Control, key, ...status }]);
      const chunk = encodeAllocationChunk(trace.chunk(clock));
      await graph.log.append([{ topic: Topic.Allocations, key: trace.key, ...chunk }]);
      return trace;
    },
    close: () => graph.close(),
  };
  for (const seconds of [120, 10, 10, 10]) await cluster.round(seconds);
  return cluster;
}

function createHost(at: number): SimulatedHost {
  const name = at < 5 ? `db-${at + 1}` : `web-${at - 4}`;
  const host = createSimulatedHost(name);
  const total = (at % 3 === 0 ? 64 : 16) * GIB;
  for (const [index, program] of PROGRAMS.entries()) {
    const pid = 200 + index;
    host.spawn(pid, { program, commandLine: `/usr/bin/${program} --config /etc/${program}.conf`, service: program });
    const rss = Math.round(((at * 7 + index * 13) % 29) + 1) * 40 * MIB;
    fill(host, pid, rss);
  }
  if (at === 0) {
    const { pid, program } = LEAKY;
    host.spawn(pid, {
      program,
      commandLine: `/usr/bin/${program} --serve`,
      user: 'www-data',
      service: 'leaky.service',
    });
    fill(host, pid, 512 * MIB);
    host.spawn(101, { program: 'leaky-worker', commandLine: 'leaky-worker 1', service: 'leaky.service' });
    fill(host, 101, 12 * MIB);
    host.set(101, { ppid: pid });
  }
  if (at === 1) {
    host.spawn(HOSTILE_PID, { program: HOSTILE, commandLine: HOSTILE_COMMAND, user: HOSTILE, service: HOSTILE });
    fill(host, HOSTILE_PID, 3 * GIB);
  }
  host.setSystem(systemOf(total, total * (0.04 + ((at * 11) % 17) / 20), at));
  return host;
}

function fill(host: SimulatedHost, pid: number, rss: number): void {
  host.set(pid, {
    ...{ ppid: 1, threads: 4, utime: 1500, stime: 500, minflt: 10, majflt: 2, vms: 3 * rss, rss, shared: rss / 8 },
    ...{ text: 2 * MIB, data: rss, lib: 6 * MIB, dirty: rss / 2, rssAnon: rss / 2, rssFile: rss / 4, rssShmem: 0 },
    ...{ swap: 5 * MIB, pss: rss - MIB, uss: rss - 2 * MIB },
  });
}

function grow(host: SimulatedHost, seconds: number): void {
  const { rss, rssAnon, pss } = host.processes.get(LEAKY.pid)!.numbers;
  const more = seconds * LEAKY.mibPerSecond * MIB;
  host.set(LEAKY.pid, { rss: rss! + more, rssAnon: rssAnon! + more, pss: pss! + more });
}

/** Of a host with so much memory; `at` makes hosts differ. */
export function systemOf(total: number, available: number, at: number): SystemSample {
  const whole = (bytes: number) => Math.round(bytes / 4096) * 4096;
  const [free, swapTotal] = [whole(available / 3), 4 * GIB];
  return {
    memory: {
      ...{ total, available: whole(available), used: total - whole(available), free, active: whole(total / 3) },
      ...{ inactive: whole(total / 4), buffers: 64 * MIB, cached: whole(available / 2), shared: 128 * MIB },
      ...{ swapTotal, swapFree: swapTotal - at * 16 * MIB, swapCached: 4096 },
    },
    load: { one: at / 4, five: at / 5, fifteen: at / 6, running: 2, total: 300 },
    pressure: {
      some: { avg10: at === 0 ? 12.5 : 0.1 * at, avg60: 2, avg300: 3, total: 4 },
      full: { avg10: 0.5, avg60: 1, avg300: 1, total: 2 },
    },
    uptime: { up: 400_000, idle: 1900 },
  };
}

/** Series with a shape and a hole, as of a host that was away for a while. */
function makeSeries(history: FakeHistory): void {
  const pointsOf = ({ from, to, stepMs }: { from: number; to: number; stepMs: number }) => {
    const steps = Math.floor((to - from) / stepMs);
    return Array.from({ length: steps }, (_, at) => {
      const value = (2 + at / steps + 0.15 * Math.sin(at / 9)) * GIB;
      return { at: from + at * stepMs, value, min: value * 0.97, max: value * 1.04 };
    }).filter((_, at) => at < steps * 0.4 || at > steps * 0.47);
  };
  history.nodeSeries = (nodes, _metric, window) =>
    Promise.resolve(new Map(nodes.map((node) => [toNodeId(node), pointsOf(window)])));
  history.processSeries = (keys, _metric, window) =>
    Promise.resolve(new Map(keys.map((key) => [key, pointsOf(window)])));
  history.aggregateSeries = (_filter, _metric, window) => Promise.resolve(pointsOf(window));
}
