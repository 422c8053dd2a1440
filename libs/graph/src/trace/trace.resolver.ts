import { Inject } from '@nestjs/common';
import { Mutation, ResolveField, Resolver, Subscription } from '@nestjs/graphql';
import type { SiteOrderField } from '@tidemark/live';
import { mapIterator } from '../feed/map-iterator.js';
import { GraphError } from '../graph-error.js';
import { HISTORY_BATCH } from '../history-port.js';
import { pageSize } from '../paging/connection.js';
import { findProcess } from '../process/find-process.js';
import type { ProcessModel } from '../process/process-model.js';
import { askHistory, GRAPH_SOURCES, type GraphContext, type GraphSources } from '../sources.js';
import { storedSites } from './stored-sites.js';
import {
  allocationModel,
  liveTraceModel,
  siteModel,
  unknownSite,
  type AllocationModel,
  type SiteModel,
  type TraceModel,
} from './trace-model.js';
import { startTrace, stopTrace, type StartInput } from './trace-requests.js';

const ORDER_FIELDS = {
  LIVE_BYTES: 'liveBytes',
  LIVE_COUNT: 'liveCount',
  ALLOCATIONS: 'allocations',
  ALLOCATED_BYTES: 'allocatedBytes',
  BYTES_PER_HOUR: 'bytesPerHour',
  VERDICT: 'verdict',
} as const satisfies Record<string, SiteOrderField>;

interface SitesArgs {
  orderBy?: { field: keyof typeof ORDER_FIELDS; direction: 'ASC' | 'DESC' } | null;
  first?: number | null;
}

const USUAL_SITES = 20;
const USUAL_ALLOCATIONS = 100;

@Resolver('AllocationTrace')
export class TraceResolver {
  constructor(@Inject(GRAPH_SOURCES) private readonly sources: GraphSources) {}

  @Mutation('startAllocationTrace')
  startAllocationTrace(_: unknown, input: StartInput, context: GraphContext): Promise<TraceModel> {
    return startTrace(this.sources, context, input);
  }

  @Mutation('stopAllocationTrace')
  stopAllocationTrace(_: unknown, input: { node: string; pid: number }, context: GraphContext): Promise<TraceModel> {
    return stopTrace(this.sources, context, input);
  }

  @Subscription('traceUpdated')
  traceUpdated(
    _: unknown,
    { node, pid }: { node: string; pid: number },
  ): AsyncIterableIterator<{ traceUpdated: TraceModel }> {
    const { live, traces, updates, now } = this.sources;
    const key = live.process(node, pid)?.key;
    const trace = key ? traces.trace(key, now()) : traces.newest(node, pid, now());
    if (!trace) {
      const what = `process ${pid} of node ${JSON.stringify(node.slice(0, 80))}`;
      throw new GraphError('TRACE_NOT_FOUND', `traceUpdated: ${what} is not traced: startAllocationTrace begins it`);
    }
    return mapIterator(updates.trace(trace), (name) => {
      const present = traces.named(name, now());
      return present && { traceUpdated: liveTraceModel(present) };
    });
  }

  @ResolveField('sites')
  async sites({ from, processKey, state, mode }: TraceModel, { orderBy, first }: SitesArgs): Promise<SiteModel[]> {
    const limit = pageSize(first, USUAL_SITES);
    const field = ORDER_FIELDS[orderBy?.field ?? 'LIVE_BYTES'];
    const order = { field, descending: orderBy?.direction !== 'ASC', limit };
    if (!processKey || limit === 0) return [];
    if (from === 'live') {
      return this.sources.traces.sites(processKey, order).map((site) => siteModel(processKey, site));
    }
    const sites = await askHistory(this.sources, 'AllocationTrace.sites', (history) =>
      storedSites(history, processKey, { state, mode }, order),
    );
    return sites.map((site) => siteModel(processKey, site));
  }

  @ResolveField('sitesTotal')
  async sitesTotal({ sitesTotal, processKey }: TraceModel): Promise<number> {
    if (sitesTotal !== null || !processKey) return sitesTotal ?? 0;
    const sites = await askHistory(this.sources, 'AllocationTrace.sitesTotal', (history) =>
      history.tracedSites(processKey, 'liveBytes', HISTORY_BATCH.sites),
    );
    return sites.length;
  }

  @ResolveField('atRisk')
  async atRisk(
    { from, processKey, pid, state, mode }: TraceModel,
    { first }: { first?: number | null },
  ): Promise<AllocationModel[]> {
    const limit = pageSize(first, USUAL_ALLOCATIONS);
    if (!processKey || limit === 0) return [];
    if (from === 'live') {
      return this.sources.traces
        .atRisk(processKey, limit)
        .map(({ survivor, site }) =>
          allocationModel(pid, survivor, site ? siteModel(processKey, site) : unknownSite(processKey, survivor.site)),
        );
    }
    return askHistory(this.sources, 'AllocationTrace.atRisk', async (history) => {
      const order = { field: 'liveBytes', descending: true, limit: HISTORY_BATCH.sites } as const;
      const [survivors, sites] = await Promise.all([
        history.atRisk(processKey, Math.min(limit, HISTORY_BATCH.allocations)),
        storedSites(history, processKey, { state, mode }, order),
      ]);
      const known = new Map(sites.map((site) => [site.figures.site, siteModel(processKey, site)]));
      return survivors.map((one) =>
        allocationModel(pid, one, known.get(one.site) ?? unknownSite(processKey, one.site)),
      );
    });
  }
}

@Resolver('AllocationSite')
export class SiteResolver {
  constructor(@Inject(GRAPH_SOURCES) private readonly sources: GraphSources) {}

  @ResolveField('process')
  process({ processKey }: SiteModel, _: unknown, context: GraphContext): Promise<ProcessModel | null> | null {
    return processKey === null ? null : findProcess(this.sources, context, processKey);
  }
}
