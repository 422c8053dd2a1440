import fc from 'fast-check';
import { AssignerProtocol } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './member-data.js';

const partitions = fc.uniqueArray(fc.nat(1000), { maxLength: 20 });

describe('what members and leader tell each other', () => {
  it('is read as Kafka’s consumer protocol by other software, and back', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z.]{1,30}$/), partitions, fc.nat(), (topic, owned, generation) => {
        const subscription = encodeSubscription(topic, owned, generation);
        expect(AssignerProtocol.MemberMetadata.decode(subscription)).toMatchObject({ version: 0, topics: [topic] });
        expect(decodeSubscription('m', subscription)).toEqual({ memberId: 'm', owned, generation });
        const share = { partitions: owned, pending: generation };
        const assignment = encodeAssignment(topic, share);
        expect(AssignerProtocol.MemberAssignment.decode(assignment)).toMatchObject({ assignment: { [topic]: owned } });
        expect(decodeAssignment(topic, assignment)).toEqual(share);
      }),
    );
  });

  it('is nothing when it cannot be read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(decodeSubscription('m', Buffer.from(bytes)).memberId).toBe('m');
        expect(Array.isArray(decodeAssignment('t', Buffer.from(bytes)).partitions)).toBe(true);
      }),
    );
    expect(decodeSubscription('m', Buffer.alloc(0))).toEqual({ memberId: 'm', owned: [], generation: -1 });
    expect(decodeAssignment('t', Buffer.alloc(0))).toEqual({ partitions: [], pending: 0 });
  });
});
