import type { CpuTimes, NodeId, NodeRecord, PressureLine, SystemMemory } from '@tidemark/contracts';
import type { LiveNode } from '@tidemark/live';
import { GraphError } from '../graph-error.js';
import { nearestInt, toInt } from '../scalars/int.js';

/** Type `Node`, without the fields that other questions answer. */
export interface NodeModel {
  id: NodeId;
  hostname: string;
  state: LiveNode['state'];
  lastSeen: number;
  sampledAt: number | null;
  stale: boolean;
  kernel: string | null;
  architecture: string | null;
  cpuCount: number | null;
  pageSize: number | null;
  boot: string | null;
  bootedAt: number | null;
  uptime: number | null;
  sampleInterval: number | null;
  /** Throws GraphError NODE_NOT_SAMPLED while nothing is known. */
  memory: () => SystemMemory;
  load: LiveNode['system']['load'] | null;
  pressure: { some: PressureLine; full: PressureLine | null } | null;
  cpu: CpuModel | null;
  cpus: () => CpuModel[];
  counters: () => CountersModel | null;
  processCount: number;
  limitations: readonly string[];
  collector: (NodeRecord['collector'] & { at: number }) | null;
  dataLoss: {
    missedChunks: number;
    lastGapAt: number | null;
    droppedBytes: number | null;
    droppedChunks: number | null;
  };
  /** For the fields with arguments. */
  system: LiveNode['system'];
}

type CpuModel = CpuTimes & { busyPercent: number | null };

interface CountersModel {
  contextSwitches: number | undefined;
  interrupts: number | undefined;
  forks: number | undefined;
  pagedIn: number | undefined;
  pagedOut: number | undefined;
  swappedIn: number | undefined;
  swappedOut: number | undefined;
  oomKills: number | undefined;
}

export function nodeModel(node: LiveNode): NodeModel {
  const { record, system } = node;
  const [all, ...single] = cpuModels(node);
  return {
    id: node.id,
    hostname: record?.hostname ?? node.id,
    state: node.state,
    lastSeen: node.lastSeen,
    sampledAt: node.sampledAt,
    stale: node.stale,
    kernel: record?.kernel ?? null,
    architecture: record?.architecture ?? null,
    cpuCount: toInt(record?.cpus),
    pageSize: toInt(record?.pageSize),
    boot: node.boot,
    bootedAt: record?.bootedAt ?? null,
    uptime: system.uptime?.up ?? null,
    sampleInterval: toInt(record?.interval),
    memory: () => memoryOf(node),
    load: system.load
      ? { ...system.load, running: nearestInt(system.load.running), total: nearestInt(system.load.total) }
      : null,
    pressure: system.pressure ? { some: system.pressure.some, full: system.pressure.full ?? null } : null,
    cpu: all ?? null,
    cpus: () => single,
    counters: () => countersOf(node),
    processCount: node.processCount,
    limitations: record?.limitations ?? [],
    collector: record && { ...record.collector, pid: nearestInt(record.collector.pid), at: record.at },
    dataLoss: {
      missedChunks: node.missedChunks,
      lastGapAt: node.lastGapAt,
      droppedBytes: record?.collector.droppedBytes ?? null,
      droppedChunks: record?.collector.droppedChunks ?? null,
    },
    system,
  };
}

function memoryOf({ id, system }: LiveNode): SystemMemory {
  if (system.memory) return system.memory;
  throw new GraphError('NODE_NOT_SAMPLED', `Node.memory: node ${id} has registered and not sent a sample yet`);
}

/** The sum of all CPUs first, undefined when the kernel did not say. */
function cpuModels({ system, busyPercent }: LiveNode): [CpuModel | undefined, ...CpuModel[]] {
  const models = (system.cpus ?? []).map((cpu) => ({ ...cpu, busyPercent: busyPercent.get(cpu.name) ?? null }));
  return [models.find(({ name }) => name === 'cpu'), ...models.filter(({ name }) => name !== 'cpu')];
}

function countersOf({ system: { counters } }: LiveNode): CountersModel | null {
  if (!counters) return null;
  const { contextSwitches, interrupts, processes, pagedIn, pagedOut, swappedIn, swappedOut, oomKills } = counters;
  return { contextSwitches, interrupts, forks: processes, pagedIn, pagedOut, swappedIn, swappedOut, oomKills };
}
