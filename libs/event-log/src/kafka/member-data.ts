import type { Claim, Share } from './assigner.js';

/** Version 0 of Kafka's consumer protocol: tools that list groups read it. */
const VERSION = 0;

/** What a member tells of itself: its topic, and as user data the partitions it still has. */
export function encodeSubscription(topic: string, owned: readonly number[], generation: number): Buffer {
  const data = Buffer.from(JSON.stringify({ owned, generation }));
  return Buffer.concat([int16(VERSION), int32(1), string(topic), int32(data.length), data]);
}

/** Never throws: a member that says something else claims nothing. */
export function decodeSubscription(memberId: string, metadata: Buffer): Claim {
  try {
    let at = 2;
    for (let topics = metadata.readInt32BE((at += 4) - 4); topics > 0; topics--) at += 2 + metadata.readInt16BE(at);
    const { owned, generation } = JSON.parse(userData(metadata, at)) as { owned: unknown; generation: unknown };
    if (!Array.isArray(owned) || typeof generation !== 'number') return { memberId, owned: [], generation: -1 };
    return { memberId, owned: owned.filter((one): one is number => Number.isSafeInteger(one)), generation };
  } catch {
    return { memberId, owned: [], generation: -1 };
  }
}

export function encodeAssignment(topic: string, { partitions, pending }: Share): Buffer {
  const data = Buffer.from(JSON.stringify({ pending }));
  const numbers = Buffer.concat([int32(partitions.length), ...partitions.map(int32)]);
  return Buffer.concat([int16(VERSION), int32(1), string(topic), numbers, int32(data.length), data]);
}

/** What the leader gave; nothing when it said nothing, or something that cannot be read. */
export function decodeAssignment(topic: string, assignment: Buffer): Share {
  const share: Share = { partitions: [], pending: 0 };
  try {
    if (assignment.length < 6) return share;
    let at = 6;
    for (let topics = assignment.readInt32BE(2); topics > 0; topics--) {
      const length = assignment.readInt16BE(at);
      const name = assignment.toString('utf8', at + 2, at + 2 + length);
      at += 2 + length;
      const count = assignment.readInt32BE(at);
      at += 4;
      for (let index = 0; index < count; index++, at += 4) {
        if (name === topic) share.partitions.push(assignment.readInt32BE(at));
      }
    }
    const { pending } = JSON.parse(userData(assignment, at)) as { pending: unknown };
    if (typeof pending === 'number') share.pending = pending;
  } catch {
    // What was read until here holds.
  }
  return share;
}

function userData(bytes: Buffer, at: number): string {
  const length = bytes.readInt32BE(at);
  return bytes.toString('utf8', at + 4, at + 4 + Math.max(0, length));
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function string(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int16(bytes.length), bytes]);
}
