import { EventLogError } from '../errors.js';
import type { CommittedPosition, SubscribeOptions } from '../event-log.js';
import { backoffDelay, sleep } from '../timing.js';
import type { Connections } from './connections.js';
import { warnUnlessAway, type Warn } from './failures.js';
import type { GroupMember } from './group-member.js';
import { EARLIEST, findOffsets, LATEST } from './offsets.js';
import type { TopicDirectory } from './topic-directory.js';

/** A change of leaders takes this many tries without being worth a word. */
const PATIENT_TRIES = 5;
const PAUSE = { initialMs: 50, maxMs: 2_000 };

export interface BeginningPorts {
  connections: Connections;
  directory: TopicDirectory;
  topic: string;
  from: SubscribeOptions['from'];
  /** Undefined for an ephemeral subscription. */
  member: GroupMember | undefined;
  stillMine: () => boolean;
  signal: AbortSignal;
  warn: Warn;
}

export interface Beginning {
  committed: CommittedPosition | undefined;
  position: number;
}

/**
 * Where a partition begins: at `at` when it is given, else at the group's position, else where the subscription says.
 * Tried until it is known; undefined when the partition was closed before.
 */
export async function findBeginning(
  partition: number,
  at: number | undefined,
  ports: BeginningPorts,
): Promise<Beginning | undefined> {
  const { directory, topic, signal, warn } = ports;
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      return await lookUp(partition, at, ports);
    } catch (error) {
      if (signal.aborted) return undefined;
      if (error instanceof EventLogError && !error.retriable) throw error;
      const name = `${topic}[${partition}]`;
      if (attempt > PATIENT_TRIES) warnUnlessAway(warn, error, `Kafka: ${name} cannot begin`, `begin of ${name}`);
      await directory.refresh(topic).catch(() => {});
      await sleep(backoffDelay(attempt, PAUSE), signal);
    }
  }
  return undefined;
}

async function lookUp(
  partition: number,
  at: number | undefined,
  { connections, directory, topic, from, member, stillMine }: BeginningPorts,
): Promise<Beginning> {
  const committed = (await member?.positions([partition]))?.get(partition);
  if (at !== undefined) {
    return { committed: committed && { ...committed, offset: Math.min(committed.offset, at) }, position: at };
  }
  if (committed) return { committed, position: committed.offset };
  const time = from === 'earliest' ? EARLIEST : from === 'latest' ? LATEST : Date.now() - from.sinceMs;
  const position = (await findOffsets(connections, directory, topic, [partition], time)).get(partition)!;
  // What the next owner would find at its own time is not what this one found.
  if (member && from !== 'earliest') await member.commit(partition, { offset: position, metadata: '' }, stillMine);
  return { committed, position };
}
