import { Inject } from '@nestjs/common';
import { Query, ResolveField, Resolver, Subscription } from '@nestjs/graphql';
import type { CgroupMemory, Disk, NetworkInterface } from '@tidemark/contracts';
import { mapIterator } from '../feed/map-iterator.js';
import { findingModel, type FindingModel } from '../finding/finding-model.js';
import { isOpen, newestFirst } from '../finding/finding-order.js';
import { GraphError } from '../graph-error.js';
import type { NodeSeriesMetric, SeriesPoint } from '../history-port.js';
import { pageSize, type Connection } from '../paging/connection.js';
import { listProcesses, type ProcessListInput } from '../process/process-list.js';
import type { ProcessModel } from '../process/process-model.js';
import { toInt } from '../scalars/int.js';
import { resolveWindow, type PeriodInput } from '../series/period.js';
import { GRAPH_SOURCES, type GraphContext, type GraphSources } from '../sources.js';
import { listNodes, type NodeListInput } from './node-list.js';
import { nodeModel, type NodeModel } from './node-model.js';

/** Enum `NodeMetric`, and what it is inside. */
const NODE_METRICS = {
  TOTAL: 'total',
  AVAILABLE: 'available',
  USED: 'used',
  FREE: 'free',
  ACTIVE: 'active',
  INACTIVE: 'inactive',
  BUFFERS: 'buffers',
  CACHED: 'cached',
  SHARED: 'shared',
  SWAP_TOTAL: 'swapTotal',
  SWAP_FREE: 'swapFree',
  SWAP_USED: 'swapUsed',
  LOAD_ONE: 'loadOne',
  LOAD_FIVE: 'loadFive',
  LOAD_FIFTEEN: 'loadFifteen',
  PRESSURE_SOME: 'pressureSome',
  PRESSURE_FULL: 'pressureFull',
} as const satisfies Record<string, NodeSeriesMetric>;

interface SeriesArgs {
  metric: keyof typeof NODE_METRICS;
  period: PeriodInput;
  resolution?: number | null;
}

const DEVICES = 100;
const OPEN_FINDINGS = 100;
/** `/proc/diskstats` counts in sectors of 512 bytes, whatever the disk's own are. */
const SECTOR = 512;

type DiskModel = Pick<Disk, 'name' | 'reads' | 'writes' | 'ioTime'> & {
  inFlight: number | null;
  readBytes: number;
  writtenBytes: number;
};

@Resolver('Node')
export class NodeResolver {
  constructor(@Inject(GRAPH_SOURCES) private readonly sources: GraphSources) {}

  @Query('node')
  node(_: unknown, { id }: { id: string }): NodeModel | null {
    const node = this.sources.live.node(id);
    return node ? nodeModel(node) : null;
  }

  @Query('nodes')
  nodes(_: unknown, input: NodeListInput): Connection<NodeModel> {
    return listNodes(this.sources.live, input);
  }

  @Subscription('nodeUpdated')
  nodeUpdated(_: unknown, { id }: { id: string }): AsyncIterableIterator<{ nodeUpdated: NodeModel }> {
    const { live, updates } = this.sources;
    const node = live.node(id);
    if (!node) {
      const name = JSON.stringify(id.slice(0, 80));
      throw new GraphError(
        'NODE_NOT_FOUND',
        `nodeUpdated: nothing was heard of a node ${name}; nodes lists those there are`,
      );
    }
    return mapIterator(updates.node(node.id), (known) => {
      const present = live.node(known);
      return present && { nodeUpdated: nodeModel(present) };
    });
  }

  @ResolveField('processes')
  processes({ id }: NodeModel, input: ProcessListInput): Connection<ProcessModel> {
    return listProcesses(this.sources.live, input, id);
  }

  @ResolveField('findings')
  findings({ id }: NodeModel): FindingModel[] {
    const open = [...this.sources.live.findings.all()].filter((one) => one.finding.node === id && isOpen(one));
    return open.sort(newestFirst).slice(0, OPEN_FINDINGS).map(findingModel);
  }

  @ResolveField('series')
  series({ id }: NodeModel, args: SeriesArgs, { loaders, now }: GraphContext): Promise<SeriesPoint[]> {
    const window = resolveWindow(args.period, args.resolution, now());
    return loaders.nodeSeries.load({ subject: id, metric: NODE_METRICS[args.metric], window });
  }

  @ResolveField('networkInterfaces')
  networkInterfaces({ system }: NodeModel, { first }: { first?: number | null }): NetworkInterface[] {
    return (system.interfaces ?? []).slice(0, pageSize(first, DEVICES));
  }

  @ResolveField('disks')
  disks({ system }: NodeModel, { first }: { first?: number | null }): DiskModel[] {
    return (system.disks ?? []).slice(0, pageSize(first, DEVICES)).map(({ readSectors, writtenSectors, ...disk }) => ({
      ...disk,
      inFlight: toInt(disk.inFlight),
      readBytes: readSectors * SECTOR,
      writtenBytes: writtenSectors * SECTOR,
    }));
  }

  @ResolveField('cgroups')
  cgroups(
    { system }: NodeModel,
    { path, first }: { path?: string | null; first?: number | null },
  ): (CgroupMemory & { anonymous: number | undefined })[] {
    const groups = (system.cgroups ?? []).filter((group) => group.path.startsWith(path ?? ''));
    const largest = [...groups].sort((a, b) => b.usage - a.usage).slice(0, pageSize(first, DEVICES));
    return largest.map((group) => ({ ...group, anonymous: group.anon }));
  }
}
