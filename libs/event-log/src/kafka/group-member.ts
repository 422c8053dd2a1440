import { setMaxListeners } from 'node:events';
import { EventLogError } from '../errors.js';
import type { CommittedPosition } from '../event-log.js';
import { backoffDelay, Pulse, settledBy, sleep } from '../timing.js';
import { assignCooperatively, type Share } from './assigner.js';
import type { Answer, Connections } from './connections.js';
import { warnUnlessAway, type Warn } from './failures.js';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './member-data.js';
import { check, Code, isRefused, protocolCode, ProtocolError } from './protocol-errors.js';
import type { TopicDirectory } from './topic-directory.js';

const PROTOCOL = 'tidemark-cooperative';
/** A change of coordinators takes this many tries without being worth a word. */
const PATIENT_TRIES = 5;
const PAUSE = { initialMs: 50, maxMs: 2_000 };

export interface MemberPorts {
  connections: Connections;
  /** To leave by: the member's own sockets may wait for a round of the group to end. */
  aside: Connections;
  directory: TopicDirectory;
  /** Both as the brokers know them. */
  group: string;
  topic: string;
  sessionTimeoutMs: number;
  heartbeatMs: number;
  /** Partitions that this member serves, those included that it is giving back. */
  owned(): readonly number[];
  /** The group gave these; whoever is missing is to be given back, and then `rejoin` called. */
  onAssigned(share: Share): void;
  /** The group went on without this member: nothing that it serves is its own any more. */
  onLost(): void;
  onFatal(error: Error): void;
  warn: Warn;
}

interface Membership {
  coordinator: number;
  memberId: string;
  generation: number;
}

interface Commit {
  partition: number;
  position: CommittedPosition;
  stillOwned: () => boolean;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Membership of one consumer group: joins, shows that it lives, joins again when the group changes, commits. */
export class GroupMember {
  readonly #ports: MemberPorts;
  readonly #ended = new AbortController();
  readonly #changed = new Pulse();
  /** Wakes the heart before its time. */
  readonly #nudge = new Pulse();
  #memberId = '';
  /** Set between a sync and the next join: only then a commit carries a generation that holds. */
  #membership: Membership | undefined;
  #generation = -1;
  #rejoinWanted = false;
  #commits: Commit[] = [];
  #flushing = false;
  #running: Promise<void> = Promise.resolve();

  constructor(ports: MemberPorts) {
    this.#ports = ports;
    // Whatever waits, for each partition and call, listens for the end.
    setMaxListeners(0, this.#ended.signal);
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#ended.signal.aborted) this.#ports.onFatal(error as Error);
    });
  }

  /** The partitions that were to be given back are: the group shall hand them on. */
  rejoin(): void {
    this.#rejoinWanted = true;
    this.#nudge.fire();
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const share = await this.#joinAndSync();
        if (signal.aborted) return;
        attempt = 0;
        this.#ports.onAssigned(share);
        await this.#beat();
      } catch (error) {
        if (signal.aborted) return;
        this.#leaveGeneration(error, attempt);
        if (protocolCode(error) === Code.RebalanceInProgress) attempt = 0;
        else await sleep(backoffDelay(Math.max(1, attempt), PAUSE), signal);
      }
    }
  }

  /** What an error means for the membership; throws when it is for good. */
  #leaveGeneration(error: unknown, attempt: number): void {
    this.#membership = undefined;
    const code = protocolCode(error);
    if (isRefused(code)) throw this.#refused(code!);
    if (code === Code.InconsistentProtocol || code === Code.InvalidSessionTimeout || code === Code.GroupMaxSize) {
      throw this.#impossible(error as Error);
    }
    if (error instanceof EventLogError && !error.retriable) throw error;
    if (code === Code.UnknownMember) {
      this.#memberId = '';
      this.#generation = -1;
      this.#ports.onLost();
      this.#changed.fire();
    }
    const { group, warn } = this.#ports;
    if (code === Code.UnknownMember) {
      warn(`Kafka: group ${group} went on without this member, which was silent for too long; it joins again`);
    } else if (attempt > PATIENT_TRIES) {
      warnUnlessAway(warn, error, `Kafka: group ${group} cannot be joined yet`, `group ${group}`);
    }
  }

  async #joinAndSync(): Promise<Share> {
    this.#membership = undefined;
    this.#rejoinWanted = false;
    const { group, topic, connections } = this.#ports;
    const coordinator = await findCoordinator(connections, group);
    const joined = await this.#join(coordinator);
    const { memberId, generationId, leaderId, members } = joined;
    const groupAssignment = memberId === leaderId ? await this.#assign(members) : [];
    const synced = await connections.ask(coordinator, 'SyncGroup', {
      groupId: group,
      generationId,
      memberId,
      groupAssignment,
    });
    check(synced['errorCode'] as number, 'SyncGroup');
    this.#generation = generationId;
    this.#membership = { coordinator, memberId, generation: generationId };
    this.#changed.fire();
    return decodeAssignment(topic, synced['memberAssignment'] as Buffer);
  }

  async #join(coordinator: number): Promise<{
    memberId: string;
    generationId: number;
    leaderId: string;
    members: { memberId: string; memberMetadata: Buffer }[];
  }> {
    const { group, topic, sessionTimeoutMs, connections, owned } = this.#ports;
    for (;;) {
      const metadata = encodeSubscription(topic, owned(), this.#generation);
      const answer: Answer = await connections.ask(coordinator, 'JoinGroup', {
        groupId: group,
        sessionTimeout: sessionTimeoutMs,
        rebalanceTimeout: sessionTimeoutMs,
        memberId: this.#memberId,
        protocolType: 'consumer',
        groupProtocols: [{ name: PROTOCOL, metadata }],
      });
      const code = answer['errorCode'] as number;
      if (code === Code.MemberIdRequired) {
        this.#memberId = answer['memberId'] as string;
        continue;
      }
      check(code, 'JoinGroup');
      this.#memberId = answer['memberId'] as string;
      return answer as never;
    }
  }

  async #assign(members: readonly { memberId: string; memberMetadata: Buffer }[]): Promise<object[]> {
    const { directory, topic } = this.#ports;
    const { leaders } = await directory.refresh(topic);
    const claims = members.map(({ memberId, memberMetadata }) => decodeSubscription(memberId, memberMetadata));
    const shares = assignCooperatively(claims, leaders.length);
    return [...shares].map(([memberId, share]) => ({ memberId, memberAssignment: encodeAssignment(topic, share) }));
  }

  /** Heartbeats until the group changes; throws what a heartbeat was answered. */
  async #beat(): Promise<void> {
    const { signal } = this.#ended;
    const { group, heartbeatMs, connections } = this.#ports;
    const { coordinator, memberId, generation } = this.#membership!;
    while (!signal.aborted && !this.#rejoinWanted) {
      const answer = await connections.ask(coordinator, 'Heartbeat', {
        groupId: group,
        groupGenerationId: generation,
        memberId,
      });
      check(answer['errorCode'] as number, 'Heartbeat');
      if (!this.#rejoinWanted) await this.#wait(heartbeatMs);
    }
    this.#membership = undefined;
  }

  async #wait(ms: number): Promise<void> {
    const timer = setTimeout(() => this.#nudge.fire(), ms);
    await this.#nudge.next(this.#ended.signal);
    clearTimeout(timer);
  }

  /**
   * Makes a position durable. While the group changes it waits for the new generation; `stillOwned` is asked before every
   * try. Throws EVENT_LOG_REVOKED when the partition is not this member's any more, ProtocolError otherwise.
   */
  commit(partition: number, position: CommittedPosition, stillOwned: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#commits.push({ partition, position, stillOwned, resolve, reject });
      if (this.#commits.length === 1) setImmediate(() => void this.#flush());
    });
  }

  /** What waits at the same time goes in one request; one is under way at a time. */
  async #flush(): Promise<void> {
    const { signal } = this.#ended;
    if (this.#flushing) return;
    this.#flushing = true;
    for (let attempt = 1; this.#commits.length > 0;) {
      this.#commits = this.#commits.filter((commit) => {
        const owned = commit.stillOwned() && !signal.aborted;
        if (!owned) commit.reject(revoked(this.#ports.topic, commit.partition));
        return owned;
      });
      if (this.#commits.length === 0) break;
      const membership = this.#membership;
      if (!membership) {
        await this.#changed.next(signal);
        continue;
      }
      const batch = this.#commits.splice(0);
      const again = await this.#send(membership, batch);
      if (again.length === 0) {
        attempt = 1;
        continue;
      }
      this.#commits.unshift(...again);
      // The heart finds out what became of the group.
      this.#nudge.fire();
      await sleep(backoffDelay(attempt++, PAUSE), signal);
    }
    this.#flushing = false;
  }

  /** Settles the commits; those that may succeed later are given back. */
  async #send(membership: Membership, batch: readonly Commit[]): Promise<Commit[]> {
    const { group, topic, connections } = this.#ports;
    const codes = new Map<number, number>();
    try {
      const answer = (await connections.ask(membership.coordinator, 'OffsetCommit', {
        groupId: group,
        groupGenerationId: membership.generation,
        memberId: membership.memberId,
        topics: [
          {
            topic,
            partitions: batch.map(({ partition, position: { offset, metadata } }) => ({
              partition,
              offset: String(offset),
              metadata,
            })),
          },
        ],
      })) as unknown as { responses: { partitions: { partition: number; errorCode: number }[] }[] };
      for (const { partition, errorCode } of answer.responses.flatMap((one) => one.partitions)) {
        codes.set(partition, errorCode);
      }
    } catch (error) {
      if (error instanceof EventLogError && error.retriable) return [...batch];
      for (const commit of batch) commit.reject(error as Error);
      return [];
    }
    return batch.filter((commit) => this.#settle(commit, codes.get(commit.partition) ?? Code.RequestTimedOut));
  }

  /** True when it is to be tried again. */
  #settle(commit: Commit, code: number): boolean {
    if (code === Code.None) commit.resolve();
    else if (isRefused(code)) commit.reject(this.#refused(code));
    else if (PASSING.includes(code)) return true;
    else commit.reject(new ProtocolError(code, 'OffsetCommit', `${this.#ports.topic}[${commit.partition}]`));
    return false;
  }

  /** A partition was lost or closed: commits that wait for it look again. */
  look(): void {
    this.#changed.fire();
  }

  /** What the group committed of partitions; missing where it never did. */
  async positions(partitions: readonly number[]): Promise<Map<number, CommittedPosition>> {
    const { group, topic, connections } = this.#ports;
    const coordinator = this.#membership?.coordinator ?? (await findCoordinator(connections, group));
    return readPositions(connections, coordinator, group, topic, partitions);
  }

  /** Leaves the group, so that others get the partitions at once; gives up at the deadline. */
  async leave(deadline: number): Promise<void> {
    const { group, aside } = this.#ports;
    const memberId = this.#memberId;
    this.#end();
    if (memberId === '') return;
    const left = findCoordinator(aside, group).then((node) =>
      aside.ask(node, 'LeaveGroup', { groupId: group, memberId, members: [{ memberId }] }),
    );
    await settledBy(left, deadline).catch(() => {});
  }

  /** Stops at once and says nothing to the group. */
  abandon(): void {
    this.#end();
  }

  /** Resolves when nothing runs any more. */
  ended(): Promise<void> {
    return this.#running;
  }

  #end(): void {
    this.#membership = undefined;
    this.#ended.abort();
  }

  #refused(code: number): EventLogError {
    return new EventLogError(
      'EVENT_LOG_ACCESS',
      `Kafka refuses group ${this.#ports.group} (error ${code}): give the user of kafka.username the right to read as this group`,
      false,
    );
  }

  #impossible(error: Error): EventLogError {
    return new EventLogError(
      'EVENT_LOG_INVALID',
      `group ${this.#ports.group} cannot be joined (${error.message}): it is used by other software, or the brokers' limits of sessions and groups do not allow it`,
      false,
      { cause: error },
    );
  }
}

/** The broker that keeps a group; throws ProtocolError while none does. */
export async function findCoordinator(connections: Connections, group: string): Promise<number> {
  const answer = await connections.askAny('GroupCoordinator', { groupId: group, coordinatorType: 0 });
  check(answer['errorCode'] as number, 'FindCoordinator', answer['errorMessage'] as string | null);
  const coordinator = answer['coordinator'] as { nodeId: number; host: string; port: number };
  connections.add(coordinator);
  return coordinator.nodeId;
}

/** What a group committed of the partitions of a topic. */
export async function readPositions(
  connections: Connections,
  coordinator: number,
  group: string,
  topic: string,
  partitions: readonly number[],
): Promise<Map<number, CommittedPosition>> {
  const answer = (await connections.ask(coordinator, 'OffsetFetch', {
    groupId: group,
    topics: [{ topic, partitions: partitions.map((partition) => ({ partition })) }],
  })) as unknown as {
    errorCode?: number;
    responses: { partitions: { partition: number; offset: string; metadata: string | null; errorCode: number }[] }[];
  };
  check(answer.errorCode ?? 0, 'OffsetFetch', group);
  const positions = new Map<number, CommittedPosition>();
  for (const { partition, offset, metadata, errorCode } of answer.responses.flatMap((one) => one.partitions)) {
    check(errorCode, 'OffsetFetch', `${topic}[${partition}]`);
    if (Number(offset) >= 0) positions.set(partition, { offset: Number(offset), metadata: metadata ?? '' });
  }
  return positions;
}

/** The same commit may succeed when the group, or its coordinator, has settled. */
const PASSING: readonly number[] = [
  Code.IllegalGeneration,
  Code.RebalanceInProgress,
  Code.UnknownMember,
  Code.CoordinatorLoading,
  Code.CoordinatorNotAvailable,
  Code.NotCoordinator,
  Code.RequestTimedOut,
  Code.UnknownTopic,
];

export function revoked(topic: string, partition: number): EventLogError {
  return new EventLogError(
    'EVENT_LOG_REVOKED',
    `${topic}[${partition}] is no longer this member's: its commit is refused`,
    false,
  );
}
