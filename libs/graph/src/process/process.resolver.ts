import { Inject } from '@nestjs/common';
import { Query, ResolveField, Resolver, Subscription } from '@nestjs/graphql';
import { GraphError } from '../graph-error.js';
import type { NodeModel } from '../node/node-model.js';
import { nodeModel } from '../node/node-model.js';
import type { FindingModel } from '../finding/finding-model.js';
import { findingModel } from '../finding/finding-model.js';
import type { SeriesPoint } from '../history-port.js';
import type { Connection } from '../paging/connection.js';
import { resolveWindow, type PeriodInput } from '../series/period.js';
import { mapIterator } from '../feed/map-iterator.js';
import { GRAPH_SOURCES, type GraphContext, type GraphSources } from '../sources.js';
import { findTrace } from '../trace/find-trace.js';
import type { TraceModel } from '../trace/trace-model.js';
import { findProcess } from './find-process.js';
import { MEMORY_METRICS, type MemoryMetricName } from './process-input.js';
import { listProcesses, type ProcessListInput } from './process-list.js';
import { liveProcessModel, type ProcessModel } from './process-model.js';

interface SeriesArgs {
  metric: MemoryMetricName;
  period: PeriodInput;
  resolution?: number | null;
}

@Resolver('Process')
export class ProcessResolver {
  constructor(@Inject(GRAPH_SOURCES) private readonly sources: GraphSources) {}

  @Query('process')
  process(_: unknown, { node, pid }: { node: string; pid: number }): ProcessModel | null {
    const { live } = this.sources;
    const process = live.process(node, pid);
    return process ? liveProcessModel(live, process) : null;
  }

  @Query('processByKey')
  processByKey(_: unknown, { key }: { key: string }, context: GraphContext): Promise<ProcessModel | null> {
    return findProcess(this.sources, context, key);
  }

  @Query('processes')
  processes(_: unknown, input: ProcessListInput): Connection<ProcessModel> {
    return listProcesses(this.sources.live, input);
  }

  @Subscription('processUpdated')
  processUpdated(
    _: unknown,
    { node, pid }: { node: string; pid: number },
  ): AsyncIterableIterator<{ processUpdated: ProcessModel }> {
    const { live, updates } = this.sources;
    const process = live.process(node, pid);
    if (!process) {
      const why = live.node(node) ? `no process ${pid} lives on it` : 'this node was never heard of';
      throw new GraphError('PROCESS_NOT_FOUND', `processUpdated: node ${JSON.stringify(node.slice(0, 80))}: ${why}`);
    }
    return mapIterator(updates.process(process.node, pid, process.key), (key) => {
      const present = live.processByKey(key);
      return present && { processUpdated: liveProcessModel(live, present) };
    });
  }

  @ResolveField('node')
  node({ nodeId }: ProcessModel): NodeModel {
    const node = this.sources.live.node(nodeId);
    if (node) return nodeModel(node);
    throw new GraphError('NODE_NOT_FOUND', `Process.node: nothing was heard of node ${nodeId} for long`);
  }

  @ResolveField('parent')
  parent({ nodeId, ppid, exitedAt }: ProcessModel): ProcessModel | null {
    const { live } = this.sources;
    if (ppid === null || ppid === 0 || exitedAt !== null) return null;
    const parent = live.process(nodeId, ppid);
    return parent ? liveProcessModel(live, parent) : null;
  }

  @ResolveField('children')
  children({ nodeId, pid, exitedAt }: ProcessModel): ProcessModel[] {
    const { live } = this.sources;
    // The pid of a process that is gone may be another's, with children of its own.
    if (exitedAt !== null) return [];
    return live.children(nodeId, pid).map((child) => liveProcessModel(live, child));
  }

  @ResolveField('findings')
  async findings({ key }: ProcessModel, _: unknown, { loaders }: GraphContext): Promise<FindingModel[]> {
    return (await loaders.findingsOfProcess.load(key)).map(findingModel);
  }

  @ResolveField('trace')
  trace({ key }: ProcessModel, _: unknown, context: GraphContext): Promise<TraceModel | null> {
    return findTrace(this.sources, context, key);
  }

  @ResolveField('series')
  series({ key }: ProcessModel, args: SeriesArgs, { loaders, now }: GraphContext): Promise<SeriesPoint[]> {
    const window = resolveWindow(args.period, args.resolution, now());
    return loaders.processSeries.load({ subject: key, metric: MEMORY_METRICS[args.metric], window });
  }
}
