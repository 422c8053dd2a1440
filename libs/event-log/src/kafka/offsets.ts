import type { Connections } from './connections.js';
import { check, Code, ProtocolError } from './protocol-errors.js';
import type { TopicDirectory } from './topic-directory.js';

/** In place of a time: the oldest record there is, or the one that will be written next. */
export const EARLIEST = -2;
export const LATEST = -1;

/**
 * The offset of the first record not older than `timestamp` (epoch milliseconds), per partition; the end where there is
 * none. Throws ProtocolError or EVENT_LOG_UNAVAILABLE when a leader does not answer.
 */
export async function findOffsets(
  connections: Connections,
  directory: TopicDirectory,
  topic: string,
  partitions: readonly number[],
  timestamp: number,
): Promise<Map<number, number>> {
  const found = await listOffsets(connections, directory, topic, partitions, timestamp);
  const young = partitions.filter((partition) => found.get(partition)! < 0);
  if (young.length > 0) {
    for (const [partition, end] of await listOffsets(connections, directory, topic, young, LATEST)) {
      found.set(partition, end);
    }
  }
  return found;
}

/** The first offset that a partition still has, and the one that will be written next. */
export async function findBounds(
  connections: Connections,
  directory: TopicDirectory,
  topic: string,
  partition: number,
): Promise<{ start: number; end: number }> {
  const start = await findOffsets(connections, directory, topic, [partition], EARLIEST);
  const end = await findOffsets(connections, directory, topic, [partition], LATEST);
  return { start: start.get(partition)!, end: end.get(partition)! };
}

async function listOffsets(
  connections: Connections,
  directory: TopicDirectory,
  topic: string,
  partitions: readonly number[],
  timestamp: number,
): Promise<Map<number, number>> {
  const perLeader = new Map<number, number[]>();
  const layout = directory.known(topic) ?? (await directory.refresh(topic));
  for (const partition of partitions) {
    const leader = layout.leaders[partition] ?? -1;
    if (leader < 0) throw new ProtocolError(Code.LeaderNotAvailable, 'ListOffsets', `${topic}[${partition}]`);
    const list = perLeader.get(leader);
    if (list) list.push(partition);
    else perLeader.set(leader, [partition]);
  }
  const found = new Map<number, number>();
  await Promise.all(
    [...perLeader].map(async ([leader, led]) => {
      const answer = (await connections.ask(leader, 'ListOffsets', {
        replicaId: -1,
        isolationLevel: 0,
        topics: [{ topic, partitions: led.map((partition) => ({ partition, timestamp })) }],
      })) as unknown as { responses: { partitions: { partition: number; offset: string; errorCode: number }[] }[] };
      for (const { partition, offset, errorCode } of answer.responses.flatMap((one) => one.partitions)) {
        check(errorCode, 'ListOffsets', `${topic}[${partition}]`);
        found.set(partition, Number(offset));
      }
    }),
  );
  return found;
}
