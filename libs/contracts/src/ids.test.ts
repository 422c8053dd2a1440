import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBootId, isNodeId, parseProcessKey, processKey, toNodeId, type NodeId } from './ids.js';
import { deadLetterTopic, TOPICS } from './topics.js';

describe('a process key', () => {
  test('gives back its parts', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9._-]{1,60}$/),
        fc.uuid(),
        fc.nat(4_194_304),
        fc.nat(Number.MAX_SAFE_INTEGER),
        (node, boot, pid, start) => {
          const key = processKey(node as NodeId, boot, pid, start);
          expect(parseProcessKey(key)).toEqual({ node, boot, pid, start });
        },
      ),
    );
  });

  test.each([
    '',
    'n/b/1',
    'n/b/1/2/3',
    'n/b/-1/2',
    'n/b/1/-2',
    'n/b/1.5/2',
    'n/b/x/2',
    'n n/b/1/2',
    'n/b!/1/2',
    `n/b/${'9'.repeat(11)}/2`,
    `n/b/1/${'9'.repeat(17)}`,
    'n/b/1/2\n',
  ])('is not %j', (text) => {
    expect(parseProcessKey(text)).toBeUndefined();
  });

  test('of any text is one or is not, without an error', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const parts = parseProcessKey(text);
        if (parts) expect(processKey(parts.node, parts.boot, parts.pid, parts.start).length).toBeGreaterThan(0);
      }),
    );
  });
});

describe('a node id', () => {
  test.each(['db-1.example.org', 'A_b', 'x', 'n'.repeat(253)])('may be %s', (text) => {
    expect(isNodeId(text)).toBe(true);
    expect(toNodeId(text)).toBe(text);
  });

  test.each(['', 'a b', 'a/b', 'a\n', 'ä', 'n'.repeat(254), '../x/'])('may not be %j, which is named', (text) => {
    expect(isNodeId(text)).toBe(false);
    expect(() => toNodeId(text)).toThrow(RangeError);
    expect(() => toNodeId(text)).toThrow(JSON.stringify(text.slice(0, 80)));
  });

  test('a boot id is letters, digits and dashes', () => {
    expect([isBootId('7a2c0f3e-90b1'), isBootId(''), isBootId('a/b'), isBootId('b'.repeat(65))]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('the topics', () => {
  test('have names of their own that every adapter takes, and a dead-letter topic each', () => {
    const names = TOPICS.flatMap(({ name }) => [name, deadLetterTopic(name)]);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9._-]{1,249}$/);
    for (const { partitions, retentionMs } of TOPICS) {
      expect(partitions).toBeGreaterThan(0);
      expect(retentionMs).toBeGreaterThan(0);
    }
  });
});
