import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { murmur2, partitionOf } from './partitioner.js';

describe('the partitioner', () => {
  // Values of Apache Kafka's own test, UtilsTest.testMurmur2.
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as Kafka does', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash);
  });

  test('every key has one partition, within range', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 1024 }), (key, partitions) => {
        const partition = partitionOf(key, partitions);
        expect(partition).toBeGreaterThanOrEqual(0);
        expect(partition).toBeLessThan(partitions);
        expect(Number.isInteger(partition)).toBe(true);
        expect(partitionOf(key, partitions)).toBe(partition);
      }),
    );
  });

  test('node names spread over all partitions of the sample topic', () => {
    const used = new Map<number, number>();
    for (let node = 0; node < 1_600; node++) {
      const partition = partitionOf(`node-${node}.example.org`, 16);
      used.set(partition, (used.get(partition) ?? 0) + 1);
    }
    expect(used.size).toBe(16);
    expect(Math.max(...used.values())).toBeLessThan(200);
  });
});
