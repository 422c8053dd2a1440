import { Inject } from '@nestjs/common';
import { Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { NodeId } from '@tidemark/contracts';
import type { LiveNode, NodeShare, ProcessAggregate } from '@tidemark/live';
import type { SeriesPoint } from '../history-port.js';
import { nodeModel, type NodeModel } from '../node/node-model.js';
import { pageSize } from '../paging/connection.js';
import {
  MEMORY_METRICS,
  toAggregateFilter,
  toSelection,
  type MemoryMetricName,
  type ProcessFilterInput,
} from '../process/process-input.js';
import { LAST_HOUR, resolvePeriod, resolveWindow, type PeriodInput } from '../series/period.js';
import { askHistory, GRAPH_SOURCES, type GraphSources } from '../sources.js';

interface AggregateInput {
  filter: ProcessFilterInput;
  metric: MemoryMetricName;
  period?: PeriodInput | null;
}

type AggregateModel = Omit<ProcessAggregate, 'byNode' | 'byProgram'> & {
  metric: MemoryMetricName;
  nodesReporting: number;
  nodesExpected: number;
  byNode: (args: { first?: number | null }) => NodeShareModel[];
  byProgram: (args: { first?: number | null }) => ProgramShareModel[];
  /** What `series` is asked with. */
  input: AggregateInput;
};

type NodeShareModel = Omit<NodeShare, 'node'> & { node: NodeModel };
interface ProgramShareModel {
  program: string;
  total: number;
  processes: number;
  nodes: number;
  max: number | null;
}

interface ClusterModel {
  version: string;
  now: number;
  nodesExpected: number;
  nodesReporting: number;
  nodesAwaited: NodeId[];
  processes: number;
  memory: () => ClusterMemoryModel;
  findings: () => Record<'growing' | 'suspected' | 'confirmed' | 'imminent', number>;
}

interface ClusterMemoryModel {
  total: number;
  available: number;
  used: number;
  free: number;
  swapTotal: number | null;
  swapFree: number | null;
}

const SHARES = 100;
const PROGRAMS = 20;
const UNKNOWN_PROGRAM = '[unknown]';

@Resolver('Cluster')
export class ClusterResolver {
  constructor(@Inject(GRAPH_SOURCES) private readonly sources: GraphSources) {}

  @Query('cluster')
  cluster(): ClusterModel {
    const { live, version, now } = this.sources;
    const nodes = live.nodes();
    const reporting = nodes.filter(({ state }) => state === 'ACTIVE');
    const expected = nodes.filter(({ state }) => state !== 'LEFT');
    return {
      version,
      now: now(),
      nodesExpected: expected.length,
      nodesReporting: reporting.length,
      nodesAwaited: expected.filter(({ system }) => !system.memory).map(({ id }) => id),
      processes: reporting.reduce((sum, node) => sum + node.processCount, 0),
      memory: () => sumMemory(reporting),
      findings: () => this.countFindings(),
    };
  }

  @ResolveField('programs')
  programs(_: unknown, { metric, first }: { metric: MemoryMetricName; first?: number | null }): ProgramShareModel[] {
    const { byProgram } = this.sources.live.aggregate({ selection: {} }, MEMORY_METRICS[metric]);
    return toProgramShares(byProgram, pageSize(first, PROGRAMS));
  }

  private countFindings(): Record<'growing' | 'suspected' | 'confirmed' | 'imminent', number> {
    const counts = { growing: 0, suspected: 0, confirmed: 0, imminent: 0 };
    for (const { finding } of this.sources.live.findings.all()) {
      if (finding.state === 'GROWING') counts.growing++;
      if (finding.state === 'SUSPECTED') counts.suspected++;
      if (finding.state === 'CONFIRMED') counts.confirmed++;
      if (finding.imminent && finding.state !== 'CLEARED') counts.imminent++;
    }
    return counts;
  }
}

@Resolver('ClusterAggregate')
export class ClusterAggregateResolver {
  constructor(@Inject(GRAPH_SOURCES) private readonly sources: GraphSources) {}

  @Query('clusterAggregate')
  clusterAggregate(_: unknown, input: AggregateInput): AggregateModel {
    const { live, now } = this.sources;
    // A period that is wrong is told even when no series is asked for.
    if (input.period) resolvePeriod(input.period, now());
    const selection = toSelection(input.filter);
    const { byNode, byProgram, ...sums } = live.aggregate({ selection }, MEMORY_METRICS[input.metric]);
    // A node that is named and was never heard of is expected all the same: the answer lacks it.
    const ids = new Set(selection.nodes ?? live.nodes().map(({ id }) => id));
    const states = [...ids].map((id) => live.node(id)?.state);
    return {
      ...sums,
      metric: input.metric,
      nodesReporting: states.filter((state) => state === 'ACTIVE').length,
      nodesExpected: states.filter((state) => state !== 'LEFT').length,
      byNode: ({ first }) =>
        byNode.slice(0, pageSize(first, SHARES)).flatMap(({ node, ...share }) => {
          const known = live.node(node);
          return known ? [{ ...share, node: nodeModel(known) }] : [];
        }),
      byProgram: ({ first }) => toProgramShares(byProgram, pageSize(first, SHARES)),
      input,
    };
  }

  @ResolveField('series')
  series({ input }: AggregateModel, { resolution }: { resolution?: number | null }): Promise<SeriesPoint[]> {
    const { metric, period, filter } = input;
    const window = resolveWindow(period ?? LAST_HOUR, resolution, this.sources.now());
    const wanted = toAggregateFilter(filter);
    return askHistory(this.sources, 'ClusterAggregate.series', (history) =>
      history.aggregateSeries(wanted, MEMORY_METRICS[metric], window),
    );
  }
}

function toProgramShares(shares: ProcessAggregate['byProgram'], count: number): ProgramShareModel[] {
  return shares.slice(0, count).map(({ program, ...share }) => ({ ...share, program: program ?? UNKNOWN_PROGRAM }));
}

/** Swap is null only when no node said anything of it. */
function sumMemory(nodes: readonly LiveNode[]): ClusterMemoryModel {
  const memories = nodes.flatMap(({ system }) => system.memory ?? []);
  const sum = (values: readonly (number | undefined)[]) =>
    values.reduce<number>((total, value) => total + (value ?? 0), 0);
  const sumKnown = (values: readonly (number | undefined)[]) =>
    values.every((value) => value === undefined) ? null : sum(values);
  return {
    total: sum(memories.map(({ total }) => total)),
    available: sum(memories.map(({ available }) => available)),
    used: sum(memories.map(({ used }) => used)),
    free: sum(memories.map(({ free }) => free)),
    swapTotal: sumKnown(memories.map(({ swapTotal }) => swapTotal)),
    swapFree: sumKnown(memories.map(({ swapFree }) => swapFree)),
  };
}
