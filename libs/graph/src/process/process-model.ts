import type { NodeId, ProcessKey, ProcessNumber } from '@tidemark/contracts';
import { parseProcessKey } from '@tidemark/contracts';
import type { LeakStatus, LiveProcess, LiveView, ProcessGrowth } from '@tidemark/live';
import type { StoredProcess } from '../history-port.js';
import { nearestInt, toInt } from '../scalars/int.js';

type Known = number | null;

/** Type `Process`, without the fields that other questions answer. */
export interface ProcessModel {
  key: ProcessKey;
  nodeId: NodeId;
  pid: number;
  ppid: Known;
  program: string;
  commandLine: string | null;
  user: string | null;
  uid: Known;
  gid: Known;
  service: string | null;
  cgroup: string | null;
  state: string | null;
  startedAt: number;
  exitedAt: Known;
  updatedAt: Known;
  stale: boolean;
  pgrp: Known;
  session: Known;
  threads: Known;
  memory: Record<MemoryField, Known>;
  cpu: { user: Known; system: Known; percent: Known };
  faults: { minor: Known; major: Known };
  growth: GrowthModel | null;
  leak: { state: LeakStatus['state']; since: Known; confidence: Known; imminent: boolean };
}

export interface GrowthModel {
  bytesPerHour: number;
  low: number;
  high: number;
  window: number;
  secondsToExhaustion: Known;
  source: 'DETECTOR' | 'RECENT';
}

const MEMORY_FIELDS = {
  rss: 'rss',
  vms: 'vms',
  shared: 'shared',
  text: 'text',
  data: 'data',
  lib: 'lib',
  dirty: 'dirty',
  anonymous: 'rssAnon',
  file: 'rssFile',
  shmem: 'rssShmem',
  swap: 'swap',
  pss: 'pss',
  uss: 'uss',
} as const satisfies Record<string, ProcessNumber>;

type MemoryField = keyof typeof MEMORY_FIELDS;

/** The kernel gives `start` in ticks of USER_HZ, which is 100 on every architecture that Linux runs on today. */
const TICK_MS = 10;
const UNKNOWN_PROGRAM = '[unknown]';

function memoryOf(numbers: Partial<Record<ProcessNumber, Known>>): Record<MemoryField, Known> {
  return Object.fromEntries(
    Object.entries(MEMORY_FIELDS).map(([field, number]) => [field, numbers[number] ?? null]),
  ) as Record<MemoryField, Known>;
}

export function toGrowth(growth: ProcessGrowth | null): GrowthModel | null {
  return (
    growth && {
      ...growth,
      window: nearestInt(growth.window),
      source: growth.source === 'detector' ? 'DETECTOR' : 'RECENT',
    }
  );
}

export function liveProcessModel(live: LiveView, process: LiveProcess): ProcessModel {
  const { numbers, leak } = process;
  return {
    key: process.key,
    nodeId: process.node,
    pid: process.pid,
    ppid: toInt(numbers.ppid),
    program: process.program ?? UNKNOWN_PROGRAM,
    commandLine: process.commandLine,
    user: process.user,
    uid: process.uid,
    gid: process.gid,
    service: process.service,
    cgroup: process.cgroup,
    state: process.state,
    startedAt: process.startedAt ?? startFromTicks(live, process.node, process.start),
    exitedAt: process.exitedAt,
    updatedAt: process.updatedAt,
    stale: process.stale,
    pgrp: toInt(numbers.pgrp),
    session: toInt(numbers.session),
    threads: toInt(numbers.threads),
    memory: memoryOf(numbers),
    cpu: { user: numbers.utime, system: numbers.stime, percent: roundPercent(process.cpuPercent) },
    faults: { minor: numbers.minflt, major: numbers.majflt },
    growth: toGrowth(process.growth),
    leak: {
      state: leak?.state ?? 'LEARNING',
      since: leak?.since ?? null,
      confidence: leak?.confidence ?? null,
      imminent: leak?.imminent ?? false,
    },
  };
}

function roundPercent(percent: Known): Known {
  return percent === null ? null : Math.round(percent * 100) / 100;
}

/** Until the facts have come: from the ticks and the time of boot. */
function startFromTicks(live: LiveView, id: NodeId, ticks: number): number {
  const node = live.node(id);
  const bootedAt = node?.record?.bootedAt;
  return bootedAt === undefined ? (node?.sampledAt ?? 0) : bootedAt + ticks * TICK_MS;
}

/** A process that only history remembers. One without a recorded exit ended at some time after its last sample. */
export function storedProcessModel(live: LiveView, process: StoredProcess): ProcessModel | null {
  const parts = parseProcessKey(process.key);
  if (!parts) return null;
  const leak = live.findings.ofProcess(process.key)?.finding;
  return {
    key: process.key,
    nodeId: parts.node,
    pid: parts.pid,
    ppid: toInt(process.ppid),
    program: process.program,
    commandLine: process.commandLine,
    user: process.user,
    uid: process.uid,
    gid: process.gid,
    service: process.service,
    cgroup: process.cgroup,
    state: null,
    startedAt: process.startedAt,
    exitedAt: process.exitedAt ?? process.lastSampleAt,
    updatedAt: process.lastSampleAt,
    stale: true,
    pgrp: null,
    session: null,
    threads: null,
    memory: memoryOf(process.memory),
    cpu: { user: null, system: null, percent: null },
    faults: { minor: null, major: null },
    growth: null,
    leak: {
      state: leak?.state ?? 'LEARNING',
      since: leak?.at ?? null,
      confidence: leak?.confidence ?? null,
      imminent: false,
    },
  };
}
