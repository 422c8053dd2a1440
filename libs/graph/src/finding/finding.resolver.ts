import { Inject } from '@nestjs/common';
import { Mutation, Query, ResolveField, Resolver, Subscription } from '@nestjs/graphql';
import type { LiveFinding } from '@tidemark/live';
import { mapIterator } from '../feed/map-iterator.js';
import { GraphError } from '../graph-error.js';
import { nodeModel, type NodeModel } from '../node/node-model.js';
import type { Connection } from '../paging/connection.js';
import { findProcess } from '../process/find-process.js';
import type { ProcessModel } from '../process/process-model.js';
import { askHistory, GRAPH_SOURCES, type GraphContext, type GraphSources } from '../sources.js';
import { findSite } from '../trace/finding-site.js';
import type { SiteModel } from '../trace/trace-model.js';
import { isNews, matchesFinding, toFindingQuery, type FindingFilterInput } from './finding-filter.js';
import { listFindings, type FindingListInput } from './finding-list.js';
import { findingModel, type FindingModel } from './finding-model.js';
import { isOpen, newestFirst } from './finding-order.js';

const MAX_NOTE = 4_000;

@Resolver('Finding')
export class FindingResolver {
  constructor(@Inject(GRAPH_SOURCES) private readonly sources: GraphSources) {}

  @Query('findings')
  findings(_: unknown, input: FindingListInput): Promise<Connection<FindingModel>> {
    return listFindings(this.sources, input);
  }

  @Query('finding')
  async finding(_: unknown, { id }: { id: string }): Promise<FindingModel | null> {
    const found = await this.find(id);
    return found && findingModel(found);
  }

  @Mutation('acknowledgeFinding')
  async acknowledgeFinding(
    _: unknown,
    { id, note = null }: { id: string; note?: string | null },
    { authorized }: GraphContext,
  ): Promise<FindingModel> {
    if (!authorized) {
      throw new GraphError('UNAUTHENTICATED', 'acknowledgeFinding: needs the header Authorization: Bearer TOKEN', {
        status: 401,
      });
    }
    if (note !== null && note.length > MAX_NOTE) {
      throw new GraphError('BAD_INPUT', `note: ${note.length} characters are more than ${MAX_NOTE}`);
    }
    const found = await this.find(id);
    if (!found) throw new GraphError('FINDING_NOT_FOUND', `id: there is no finding ${JSON.stringify(id.slice(0, 80))}`);
    const { live, now, acknowledge } = this.sources;
    const { subject } = found.finding;
    const acknowledgement = { v: 1, type: 'acknowledgement', id, subject, at: now(), note } as const;
    try {
      await acknowledge(acknowledgement);
    } catch (error) {
      this.sources.logger.warn({ finding: id, error: (error as Error).message }, 'acknowledgement not written');
      throw new GraphError('LOG_UNAVAILABLE', 'acknowledgeFinding: the event log does not answer; try again', {
        status: 503,
      });
    }
    live.applyFinding(acknowledgement);
    return findingModel({ ...found, acknowledgement });
  }

  @Subscription('leakSuspected')
  leakSuspected(
    _: unknown,
    { filter, includeOpen }: { filter?: FindingFilterInput | null; includeOpen: boolean },
  ): AsyncIterableIterator<{ leakSuspected: FindingModel }> {
    const { live, updates, now } = this.sources;
    const query = toFindingQuery(filter, now());
    // Oldest first, as they would have come.
    const open = includeOpen ? [...live.findings.all()].filter((one) => isOpen(one) && matchesFinding(query, one)) : [];
    // A period ends now, news come later.
    const lasting = toFindingQuery(filter && { ...filter, period: null }, now());
    const source = updates.findings((event) => isNews(lasting, event), open.sort(newestFirst).reverse());
    return mapIterator(source, (finding) => ({ leakSuspected: findingModel(finding) }));
  }

  @ResolveField('node')
  node({ nodeId }: FindingModel): NodeModel | null {
    const node = this.sources.live.node(nodeId);
    return node ? nodeModel(node) : null;
  }

  @ResolveField('process')
  process({ processKey }: FindingModel, _: unknown, context: GraphContext): Promise<ProcessModel | null> | null {
    return processKey === null ? null : findProcess(this.sources, context, processKey);
  }

  @ResolveField('site')
  site(finding: FindingModel, _: unknown, context: GraphContext): Promise<SiteModel | null> {
    return findSite(this.sources, context, finding);
  }

  private async find(id: string): Promise<LiveFinding | null> {
    const present = this.sources.live.findings.get(id);
    if (present || !this.sources.history) return present ?? null;
    return askHistory(this.sources, 'finding', (history) => history.finding(id));
  }
}
