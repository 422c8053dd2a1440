import { processKey, type Finding, type ProcessKey, type SiteStack, type SystemSample } from '@tidemark/contracts';
import { createSimulatedHost, type SimulatedHost } from '@tidemark/live/simulated-host';
import { createSimulatedTrace, type SimulatedTrace } from '@tidemark/live/simulated-trace';
import { makeFinding, type TestGraph, until } from './test-graph.js';

export const MIB = 1_048_576;

const DEVICE = {
  ...{ rxBytes: 1, rxPackets: 2, rxErrors: 3, rxDropped: 4, rxFifo: 5, rxFrame: 6, rxCompressed: 7, rxMulticast: 8 },
  ...{ txBytes: 9, txPackets: 10, txErrors: 11, txDropped: 12, txFifo: 13, txCollisions: 14, txCarrier: 15 },
  txCompressed: 16,
};

export const FULL_MEMORY = {
  ...{ total: 16 * MIB, available: 8 * MIB, used: 8 * MIB, free: 2 * MIB, active: 5 * MIB, inactive: 3 * MIB },
  ...{ buffers: MIB, cached: 4 * MIB, shared: MIB / 2, swapTotal: 2 * MIB, swapFree: MIB, swapCached: 4096 },
};

/** A host of which everything is known, as a real one would send it. */
export function createFullHost(name: string): SimulatedHost {
  const host = createSimulatedHost(name);
  host.spawn(1, { program: 'init', commandLine: '/sbin/init', service: 'init.scope', cgroup: '/init.scope' });
  host.set(1, { ppid: 0, rss: 3 * MIB, pss: 2 * MIB });
  host.spawn(70, { program: 'leaker', commandLine: 'leaker --fast', user: 'www', uid: 33, service: 'leaker.service' });
  host.set(70, {
    ...{ ppid: 1, pgrp: 70, session: 70, threads: 4, utime: 1500, stime: 500, minflt: 10, majflt: 2 },
    ...{ vms: 90 * MIB, rss: 40 * MIB, shared: 10 * MIB, text: 2 * MIB, data: 50 * MIB, lib: 6 * MIB, dirty: 7 * MIB },
    ...{ rssAnon: 30 * MIB, rssFile: 9 * MIB, rssShmem: MIB, swap: 5 * MIB, pss: 35 * MIB, uss: 31 * MIB },
  });
  host.setSystem(fullSystem(0));
  return host;
}

export function keyOf(host: SimulatedHost, pid: number): ProcessKey {
  return processKey(host.node, 'boot-1', pid, host.processes.get(pid)?.start ?? 0);
}

/** What the kernel says `elapsed` milliseconds later, of which a quarter was spent in programs. */
function fullSystem(elapsed: number): SystemSample {
  return {
    memory: FULL_MEMORY,
    load: { one: 0.5, five: 0.25, fifteen: 0.125, running: 2, total: 300 },
    pressure: {
      some: { avg10: 1.5, avg60: 2, avg300: 3, total: 4 },
      full: { avg10: 0.5, avg60: 1, avg300: 1, total: 2 },
    },
    uptime: { up: 1000.5, idle: 1900 },
    cpus: ['cpu', 'cpu0'].map((cpu) => ({
      ...{
        name: cpu,
        user: 100 + elapsed / 4,
        nice: 1,
        system: 50,
        idle: 800 + (3 * elapsed) / 4,
        iowait: 5,
        irq: 1,
        softirq: 2,
        steal: 3,
      },
    })),
    counters: {
      ...{ bootTime: 1, contextSwitches: 2, interrupts: 3, processes: 4, pagedIn: 5, pagedOut: 6, swappedIn: 7 },
      ...{ swappedOut: 8, oomKills: 9 },
    },
    interfaces: [{ name: 'eth0', ...DEVICE }],
    disks: [{ name: 'sda', reads: 1, readSectors: 2, writes: 3, writtenSectors: 4, inFlight: 5, ioTime: 6 }],
    cgroups: [
      { path: '/system.slice', usage: 5, limit: 10, anon: 1, file: 2, swap: 3, limitHits: 4, oomKills: 5 },
      { path: '/user.slice', usage: 7 },
    ],
  };
}

/** A finding on process 70 of the host. */
export function leakFinding(host: SimulatedHost, id: string, given: Partial<Finding> = {}): Finding {
  const key = keyOf(host, 70);
  return makeFinding(id, {
    ...{ subject: key, node: host.node, service: 'leaker.service', secondsToExhaustion: 3600, limit: 16 * MIB },
    process: { key, pid: 70, program: 'leaker', commandLine: 'leaker --fast', user: 'www' },
    growth: { bytesPerHour: 9 * MIB, low: 8 * MIB, high: 10 * MIB, window: 600 },
    ...given,
  });
}

/** A trace of process 70 of the host that began ten minutes ago. */
export function traceOf(host: SimulatedHost, startedAt = Date.now() - 600_000): SimulatedTrace {
  const start = host.processes.get(70)?.start ?? 0;
  return createSimulatedTrace({ node: host.node, boot: 'boot-1', pid: 70, start, startedAt });
}

/** Sampled, with every figure that there may be. */
export async function sendFullTrace(graph: TestGraph, host: SimulatedHost, now: number): Promise<SiteStack> {
  const trace = traceOf(host, now - 600_000);
  await graph.sendControl({
    ...{ v: 1, type: 'trace-status', id: 'request-1', node: host.node, pid: 70, key: trace.key, state: 'ACTIVE' },
    ...{ means: 'LIBRARY', mode: 'SAMPLED', sampleInterval: 524_288, maxFrames: null, at: now - 600_000 },
    ...{ reason: 'only the callers are taken', code: 'CALLERS' },
  });
  const standardError = { allocations: 4, allocatedBytes: 256, liveCount: 2, liveBytes: 128 };
  const chunk = trace.chunk(now, { mode: 'SAMPLED', sampleInterval: 524_288, warnings: ['one window was too busy'] });
  await graph.sendTrace({ ...chunk, totals: { ...chunk.totals, standardError } });
  await until(() => graph.feed.traces.trace(trace.key, now)?.totals !== null, 'the trace');
  return chunk.stacks[0]!;
}

/** The host registered and sampled twice, a finding on it, acknowledged. */
export async function fill(graph: TestGraph, host: SimulatedHost, about: Partial<Finding> = {}): Promise<void> {
  const now = Date.now();
  await graph.sendNode(host.heartbeat(now));
  await graph.send(...host.round(now - 1000));
  host.set(70, { utime: 1600 });
  host.setSystem(fullSystem(1000));
  await graph.send(...host.round(now));
  const finding = leakFinding(host, 'leak-1', { at: now - 500, ...about });
  await graph.sendFinding(finding);
  await graph.sendFinding({
    ...{ v: 1, type: 'acknowledgement', id: 'leak-1', subject: finding.subject, at: now, note: 'looking' },
  });
  await until(
    () => graph.live.node(host.node)?.sampledAt === now && graph.live.findings.get('leak-1')?.acknowledgement !== null,
    'the host in the live view',
  );
}
