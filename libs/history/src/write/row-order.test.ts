import type { NodeId, SampleChunk } from '@tidemark/contracts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { orderRows } from './row-order.js';

interface Row {
  node: string;
  boot: string;
  pid: number;
  start: number;
  at: number;
  given: number;
}

describe('the order of rows in a block', () => {
  const rows = fc.array(
    fc.tuple(fc.oneof(fc.nat(3), fc.constant(0xffff_ffff)), fc.oneof(fc.nat(2), fc.constant(Number.MAX_SAFE_INTEGER))),
    { maxLength: 20 },
  );
  /** As collectors list them: each pid once, ascending. */
  const listed = rows.map((some) => [...new Map(some)].sort(([a], [b]) => a - b));
  const chunk = (rows: typeof listed) =>
    fc.record({
      node: fc.constantFrom('a', 'ab', 'b', 'a-1'),
      boot: fc.constantFrom('x', 'xy', 'y'),
      at: fc.nat(5),
      rows,
    });

  it.each([
    ['in any order', chunk(rows)],
    ['listed by pid', chunk(listed)],
  ])('of chunks with rows %s is by node, boot, pid, start and time, and else as they came', (_, one) => {
    fc.assert(
      fc.property(
        fc.oneof(fc.array(one, { maxLength: 12 }), fc.array(one, { minLength: 20, maxLength: 40 })),
        (given) => {
          const chunks = given.map(
            ({ node, boot, at, rows }) =>
              ({
                node: node as NodeId,
                boot,
                at,
                procs: { pid: rows.map(([pid]) => pid), start: rows.map(([, start]) => start) },
              }) as SampleChunk,
          );
          let count = 0;
          const all: Row[] = chunks.flatMap(({ node, boot, at, procs }) =>
            procs.pid.map((pid, index) => ({ node, boot, pid, start: procs.start[index]!, at, given: count++ })),
          );
          const text = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);
          const wanted = all.toSorted(
            (a, b) => text(a.node, b.node) || text(a.boot, b.boot) || a.pid - b.pid || a.start - b.start || a.at - b.at,
          );
          const order = orderRows(chunks, ({ procs }) => procs);
          const placed = new Array<Omit<Row, 'given'>>(order.rows);
          for (const { chunk, places } of order.chunks) {
            chunk.procs.pid.forEach((pid, index) => {
              placed[places[index]!] = {
                node: chunk.node,
                boot: chunk.boot,
                pid,
                start: chunk.procs.start[index]!,
                at: chunk.at,
              };
            });
          }
          expect(placed).toEqual(wanted.map(({ given: _given, ...row }) => row));
          expect(order.runs.flatMap(({ node, boot, rows }) => new Array(rows).fill(`${node} ${boot}`))).toEqual(
            wanted.map(({ node, boot }) => `${node} ${boot}`),
          );
        },
      ),
    );
  });
});
