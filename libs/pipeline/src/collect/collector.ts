import { randomUUID } from 'node:crypto';
import { Topic, type NodeRecord } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import { createProcfs, readHost, type Host, type Procfs } from '@tidemark/procfs';
import type { Logger } from '@tidemark/service';
import { createLinger, type Linger } from './linger.js';
import { createJumpDetector, type Clock } from './clock.js';
import type { CollectConfig } from './config.js';
import { openFilesLimit } from './descriptor-budget.js';
import { CollectError } from './errors.js';
import { createFactsReader } from './facts.js';
import { createMerger, type Merger } from './merge.js';
import { bootOf, nodeRecord } from './node-record.js';
import { Outbox } from './outbox.js';
import { createRedactor, type Redactor } from './redact.js';
import type { Turn } from './schedule.js';
import type { CollectStats } from './self-metrics.js';
import { startSlices } from './slices.js';
import { SmapsReader } from './smaps-reader.js';
import { Sweep } from './sweep.js';
import { createSystemSources, type SourceName, type SystemSources } from './system-sources.js';
import type { TrackedProcess } from './tracked-process.js';
import { createUserNames } from './user-names.js';

export interface CollectorDeps {
  log: EventLog;
  config: CollectConfig;
  logger: Logger;
  clock: Clock;
}

/** After a loss the next keyframe comes this soon at the soonest, or losses would breed keyframes and these losses. */
const KEYFRAME_PAUSE_MS = 10_000;
/** Times `collect.linger`. */
const LONGEST_HOLD = 1.5;
/** Share of the descriptors we allow ourselves that control groups may have. */
const CGROUP_SHARE = 0.25;

/** The parts of a collector and what one round does with them. Throws when /proc is not one, or a setting is wrong. */
export class Collector {
  readonly host: Host;
  readonly sweep: Sweep;
  private readonly run = randomUUID();
  private readonly startedAt: number;
  private readonly procfs: Procfs;
  private readonly ownPid: number;
  private readonly sources: SystemSources;
  private readonly smaps: SmapsReader;
  private readonly merger: Merger;
  private readonly linger: Linger;
  private readonly outbox: Outbox;
  private readonly redactor: Redactor;
  private readonly jumps = createJumpDetector();
  private bootedAt: number;
  private keyframeAt = Number.NEGATIVE_INFINITY;
  private lost = false;
  private counted = {
    rounds: 0,
    keyframes: 0,
    skippedRounds: 0,
    failedRounds: 0,
    latenessMs: 0,
    cpuMs: 0,
    lastCpuMs: 0,
  };

  constructor(private readonly deps: CollectorDeps) {
    const { config, clock, logger, log } = deps;
    this.startedAt = clock.wall();
    this.redactor = createRedactor(config.redact);
    this.procfs = createProcfs({ root: config.procRoot, sys: config.sysRoot });
    this.host = findHost(this.procfs);
    this.bootedAt = this.host.bootedAt;
    this.ownPid = Number(this.procfs.readLink('self') ?? 0);
    const facts = createFactsReader({
      procfs: this.procfs,
      bootedAt: () => this.bootedAt,
      redactor: this.redactor,
      users: createUserNames(config.passwdFile, () => clock.monotonic()),
      commandLineLength: config.commandLineLength,
    });
    const maxOpenFiles = config.maxOpenFiles || Math.floor(openFilesLimit() / 2);
    const forCgroups = Math.floor(maxOpenFiles * CGROUP_SHARE);
    this.sweep = new Sweep({
      procfs: this.procfs,
      facts,
      clock,
      maxOpenFiles: maxOpenFiles - forCgroups,
      onMemory: (process) => this.smaps.want(process),
    });
    this.sources = createSystemSources({
      procfs: this.procfs,
      hierarchy: this.host.cgroups,
      maxOpenFiles: forCgroups,
    });
    const { smapsBudget, smapsLimit } = config;
    this.smaps = new SmapsReader({
      procfs: this.procfs,
      clock,
      share: smapsBudget / 100,
      limitMs: smapsLimit,
      onChange: this.sweep.note,
    });
    this.merger = createMerger({ node: config.node, boot: bootOf(this.host), run: this.run });
    this.linger = createLinger({ lingerMs: config.linger, intervalMs: config.interval });
    this.outbox = new Outbox({
      log,
      clock,
      logger,
      directory: config.spoolDirectory,
      memoryBytes: config.spoolMemory,
      diskBytes: config.spoolDisk,
      onLoss: () => (this.lost = true),
    });
  }

  /** Reads what is due, tells what changed. Rejects when processes cannot be listed; the next round tries again. */
  async round(turn: Turn<SourceName>): Promise<void> {
    const { clock } = this.deps;
    const slices = startSlices(clock);
    const at = clock.wall();
    this.noticeJump(at);
    this.counted.latenessMs = turn.latenessMs;
    const sweeping = turn.due.has('processes');
    const keyframe = sweeping && this.keyframeIsDue();
    try {
      if (sweeping) {
        this.counted.rounds++;
        this.counted.skippedRounds += turn.skipped.get('processes') ?? 0;
        await this.sweep.run(slices);
      }
      const { processes } = this.sweep;
      const system = await this.sources.read(turn.due, keyframe, processes, slices);
      this.send({ at, keyframe, processes: this.told(sweeping, keyframe), exits: this.sweep.takeExits(), system });
      if (keyframe) {
        this.counted.keyframes++;
        this.keyframeAt = clock.monotonic();
        this.lost = false;
      }
    } catch (error) {
      this.counted.failedRounds++;
      throw error;
    } finally {
      this.counted.lastCpuMs = slices.end();
      this.counted.cpuMs += this.counted.lastCpuMs;
    }
    if (sweeping) this.smaps.spend(this.sweep.processes);
  }

  stats(): CollectStats {
    const outbox = this.outbox.stats();
    const smaps = this.smaps.stats();
    const { tally } = this.procfs;
    return {
      ...this.counted,
      processes: this.sweep.processes.length,
      clockJumps: this.jumps.jumps,
      reads: tally.reads,
      opens: tally.opens,
      bytesRead: tally.bytes,
      openFiles: this.sweep.descriptors.used,
      rss: this.sweep.residentBytes(this.ownPid) ?? process.memoryUsage.rss(),
      sentBytes: outbox.sentBytes,
      sentRecords: outbox.sentRecords,
      spooledBytes: outbox.waitingBytes,
      spooledDiskBytes: outbox.diskBytes,
      droppedBytes: outbox.droppedBytes,
      droppedRecords: outbox.droppedRecords,
      deniedProcesses: this.sweep.denied,
      malformedBlocks: this.sweep.malformed,
      smapsReadings: smaps.readings,
      smapsCpuMs: smaps.cpuMs,
      smapsDenied: smaps.denied,
      smapsTooLarge: smaps.tooLarge,
    };
  }

  /** Why the log takes nothing; null while it does. */
  get logFailure(): string | null {
    return this.outbox.stats().failing;
  }

  record(state: NodeRecord['state']): NodeRecord {
    const { config, clock } = this.deps;
    return nodeRecord({
      config,
      host: { ...this.host, bootedAt: this.bootedAt },
      run: this.run,
      units: this.procfs.units,
      startedAt: this.startedAt,
      at: clock.wall(),
      state,
      stats: this.stats(),
      limitations: this.limitations(),
    });
  }

  /** What this host cannot show, each in one line for a person. */
  limitations(): string[] {
    const { sweep, redactor, deps } = this;
    const found = [...this.host.limitations, ...this.sources.problems()];
    if (sweep.denied > 0) found.push(`${sweep.denied} processes: not permitted to read them; run as root to see them`);
    const { tooLarge } = this.smaps.stats();
    if (tooLarge > 0) {
      const { smapsLimit } = deps.config;
      found.push(
        `pss, uss and dirty: ${tooLarge} processes are so large that reading them takes over ${smapsLimit} ms`,
      );
    }
    if (sweep.processes.length > sweep.descriptors.limit) {
      found.push(`open files: ${sweep.descriptors.limit} for ${sweep.processes.length} processes; raise ulimit -n`);
    }
    if (redactor.timeouts > 0) {
      found.push(`collect.redact: ${redactor.timeouts} command lines blanked whole, its expressions took too long`);
    }
    return found;
  }

  async close(deadlineMs: number): Promise<void> {
    await this.smaps.close();
    this.sweep.close();
    this.sources.close();
    await this.outbox.drain(deadlineMs);
  }

  private send(round: Parameters<Merger['merge']>[0]): void {
    const { node, linger } = this.deps.config;
    const timestamp = round.at;
    const records = this.merger.merge(round).map((one) => ({ topic: Topic.Samples, key: node, ...one, timestamp }));
    const waits = this.linger.waits(records.reduce((sum, { value }) => sum + value.byteLength, 0));
    // A round that fails or is late must not keep the one before.
    this.outbox.send(records, waits ? linger * LONGEST_HOLD : 0);
  }

  /** Whom the round tells of: nobody when only the node's own figures were read. */
  private told(sweeping: boolean, keyframe: boolean): readonly TrackedProcess[] {
    if (!sweeping) return [];
    const noted = this.sweep.takeNoted();
    return keyframe ? this.sweep.processes : noted;
  }

  private keyframeIsDue(): boolean {
    const age = this.deps.clock.monotonic() - this.keyframeAt;
    if (age >= this.deps.config.keyframeInterval) return true;
    return this.lost && age >= KEYFRAME_PAUSE_MS && this.logFailure === null;
  }

  /** The kernel moves the time of boot along when the time of day is set. */
  private noticeJump(wall: number): void {
    const jumpedMs = this.jumps.observe(wall, this.deps.clock.monotonic());
    if (jumpedMs === 0) return;
    this.deps.logger.warn({ jumpedMs }, 'the time of day jumped; rounds go on as before');
    const { bootedAt } = readHost(this.procfs);
    if (bootedAt === this.bootedAt) return;
    this.sweep.shiftStarts(bootedAt - this.bootedAt);
    this.bootedAt = bootedAt;
  }
}

/** Throws CollectError COLLECT_PROC when the configured root is no /proc. */
function findHost(procfs: Procfs): Host {
  try {
    return readHost(procfs);
  } catch (error) {
    throw new CollectError('COLLECT_PROC', `collect.procRoot: ${(error as Error).message}`, { cause: error });
  }
}
