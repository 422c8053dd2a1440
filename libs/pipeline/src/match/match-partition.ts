import {
  ContractError,
  decodeAllocationChunk,
  encodeFindingRecord,
  findingKey,
  Topic,
  type AllocationChunk,
  type Finding,
  type ProcessKey,
} from '@tidemark/contracts';
import type { EventLog, LogRecord, PartitionContext, PartitionHandler } from '@tidemark/event-log';
import { createSiteLedger, type SiteProfile } from '@tidemark/leak';
import type { Logger } from '@tidemark/service';
import type { DetectorHistory } from '../detect/detector-history.js';
import type { SiteSuspicions } from '../detect/site-suspicions.js';
import { settledWithin } from '../detect/settled-within.js';
import { keptRow, rememberLedgers } from './kept-ledgers.js';
import { createLookAssembly, type LookAssembly } from './look-assembly.js';
import type { MatchMetrics } from './match-metrics.js';
import { createMatchedProcess, type MatchedProcess } from './matched-process.js';

export interface MatchPartitionDeps {
  log: EventLog;
  profile: SiteProfile;
  history: DetectorHistory;
  /** Open findings on sites, also those of traces that are over. */
  suspicions: SiteSuspicions;
  logger: Logger;
  metrics: MatchMetrics;
  /** Of time by the log, after which a trace that nobody tells of any more is forgotten, milliseconds. */
  forgetAfterMs: number;
  commitEveryMs: number;
  /** How long judging waits for history that is away before it begins with the newest keyframes, milliseconds. */
  waitForHistoryMs: number;
  /** For what is kept when the partition is given up, milliseconds: less than a group gives for that. */
  closeMs: number;
}

export interface MatchPartition extends PartitionHandler {
  processes(): Iterable<MatchedProcess>;
  process(key: ProcessKey): MatchedProcess | undefined;
}

interface Entry {
  assembly: LookAssembly;
  process: MatchedProcess | undefined;
  /** Data time of the newest chunk, and when the log took it. */
  at: number;
  heardAt: number;
}

interface State {
  deps: MatchPartitionDeps;
  context: PartitionContext;
  entries: Map<ProcessKey, Entry>;
  remembered: Map<string, Awaited<ReturnType<typeof rememberLedgers>>>;
  /** Findings of looks that are judged already: kept until the log has them, since judging again would not repeat them. */
  unwritten: Finding[];
  /** The next offset to read. */
  next: number;
  committed: number;
  committedAt: number;
  /** Since when history has not answered; undefined when it did. */
  awaySince: number | undefined;
}

/**
 * Matches the allocations of the processes whose chunks come through one partition. What it knows begins with the newest
 * keyframe of each: that far back, and no further, the position stays, so that a restart reads them again.
 */
export function createMatchPartition(deps: MatchPartitionDeps, context: PartitionContext): MatchPartition {
  const state: State = {
    ...{ deps, context, entries: new Map(), remembered: new Map(), unwritten: [] },
    ...{ next: context.committed?.offset ?? -1, committed: -1, committedAt: -Infinity, awaySince: undefined },
  };
  return {
    *processes() {
      for (const { process } of state.entries.values()) if (process) yield process;
    },
    process: (key) => state.entries.get(key)?.process,
    async handle(records) {
      // From the first commit on, what is acknowledged frees the window and moves no position.
      if (state.committed < 0 && records[0]) await commit(state, records[0].offset);
      for (const record of records) await handleRecord(state, record);
      forgetSilent(state, records.at(-1)?.timestamp ?? 0);
      if (performance.now() - state.committedAt >= deps.commitEveryMs) await commit(state, safeOffset(state));
    },
    async close() {
      const processes = [...state.entries.values()].flatMap(({ process }) => process ?? []);
      await settledWithin(deps.closeMs, keep(state, processes));
      if (state.committed >= 0) await commit(state, safeOffset(state));
      state.entries.clear();
    },
  };
}

async function handleRecord(state: State, record: LogRecord): Promise<void> {
  const { deps, context } = state;
  try {
    if (record.value !== null) await match(state, decodeAllocationChunk(record.value, record.headers), record);
    await writeFindings(state);
    state.next = record.offset + 1;
    context.acknowledge(record.offset);
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    deps.metrics.rejected.inc();
    const { offset, partition } = record;
    deps.logger.warn({ offset, partition, error: error.message }, 'allocation chunk put aside');
    await context.reject(record, error);
    state.next = record.offset + 1;
  }
}

async function match(state: State, chunk: AllocationChunk, record: LogRecord): Promise<void> {
  const { entries, deps, unwritten } = state;
  const entry = entries.get(chunk.key) ?? { assembly: createLookAssembly(), process: undefined, at: 0, heardAt: 0 };
  // Asked before anything is changed: when history cannot answer, the record comes again.
  const recall = entry.process ? undefined : await remember(state, chunk);
  entries.set(chunk.key, entry);
  deps.metrics.chunks.inc();
  const isLate = entry.process !== undefined && chunk.run !== entry.process.newest.run && chunk.at < entry.at;
  if (isLate) return;
  entry.heardAt = record.timestamp;
  const look = entry.assembly.add(chunk, record.offset);
  if (!look) return;
  entry.at = chunk.at;
  if (entry.process?.newest.trace !== chunk.trace) {
    entry.process = createMatchedProcess({
      first: chunk,
      remembered: recall?.(chunk.pid, chunk.start, chunk.trace),
      createLedger: () => createSiteLedger(deps.profile),
    });
  }
  unwritten.push(...entry.process.take(look));
  if (!chunk.keyframe && chunk.state === 'ACTIVE') return;
  await writeFindings(state);
  await keep(state, [entry.process]);
  // What a trace left when it ended needs no reading again: it is judged, and history has it.
  if (chunk.state !== 'ACTIVE') entries.delete(chunk.key);
}

type Recall = Awaited<ReturnType<typeof rememberLedgers>>;

async function remember(state: State, { node, boot }: AllocationChunk): Promise<Recall | undefined> {
  const { deps, remembered } = state;
  const name = `${node}/${boot}`;
  const known = remembered.get(name);
  if (known) return known;
  const waited = state.awaySince === undefined ? 0 : performance.now() - state.awaySince;
  const left = deps.waitForHistoryMs - waited;
  try {
    const asked = rememberLedgers(deps.history, node, boot, deps.profile, deps.logger);
    // During an outage that was waited for, nobody waits long again.
    const recall = await settledWithin(Math.max(100, left), asked);
    if (!recall) throw new Error('history does not answer');
    state.awaySince = undefined;
    remembered.set(name, recall);
    return recall;
  } catch (error) {
    state.awaySince ??= performance.now();
    const { message } = error as Error;
    if (left > 0) throw Object.assign(new Error(`waits for what history knows: ${message}`), { retriable: true });
    deps.logger.warn({ node, error: message }, 'sites are judged anew: history does not tell what was known');
    return undefined;
  }
}

async function writeFindings({ deps, unwritten }: State): Promise<void> {
  if (unwritten.length === 0) return;
  const { suspicions } = deps;
  // Of one subject the newest record is kept by the log: what an earlier trace left open is closed before it.
  const findings = unwritten.flatMap((finding) => [...suspicions.clearEarlier(finding), finding]);
  await deps.log.append(
    findings.map((finding) => ({ topic: Topic.Findings, key: findingKey(finding), ...encodeFindingRecord(finding) })),
  );
  for (const finding of findings) {
    const { state, message } = finding;
    suspicions.note(finding);
    deps.metrics.findings.inc({ state });
    deps.logger[state === 'SUSPECTED' || state === 'CONFIRMED' ? 'warn' : 'debug']({ state }, message);
  }
  unwritten.length = 0;
}

/** History that is away costs a restart its head start, and must not hold up judging. */
async function keep({ deps }: State, processes: readonly MatchedProcess[]): Promise<void> {
  try {
    await deps.history.saveSeries(processes.flatMap((process) => keptRow(process.kept())));
  } catch (error) {
    const keys = processes.map(({ key }) => key).slice(0, 3);
    deps.logger.warn({ processes: keys, error: (error as Error).message }, 'judgement of sites was not kept');
  }
}

function forgetSilent({ entries, deps }: State, now: number): void {
  for (const [key, { heardAt }] of entries) if (now - heardAt > deps.forgetAfterMs) entries.delete(key);
}

/** Reading from here on makes all that is known anew. */
function safeOffset({ entries, next }: State): number {
  let safe = next;
  for (const { process } of entries.values()) if (process) safe = Math.min(safe, process.keyframeOffset);
  return safe;
}

async function commit(state: State, offset: number): Promise<void> {
  state.committedAt = performance.now();
  if (offset === state.committed) return;
  await state.context.commit(offset);
  state.committed = offset;
}
