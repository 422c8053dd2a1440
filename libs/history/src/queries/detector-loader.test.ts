import type { NodeId } from '@tidemark/contracts';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../connection.js';
import { createDetectorLoader } from './detector-loader.js';

/** A connection that answers from rows as a server would, and notes what it was asked. */
function connectionOver(rows: readonly { node: string; boot: string; pid: number }[]) {
  const asked: { nodes: string[]; boots: string[] }[] = [];
  const connection = {
    query: async (sql: string, parameters: { nodes: string[]; boots: string[] }) => {
      asked.push(parameters);
      const found = rows.filter(({ node, boot }) => parameters.nodes.includes(node) && parameters.boots.includes(boot));
      return sql.includes('leak_states')
        ? found.map((row) => ({ ...row, start: '5', at_ms: '7', snapshot: '{}' }))
        : found.map((row) => ({ ...row, start: '5', floor: [['60', '4096']] }));
    },
  };
  return { asked, connection: connection as unknown as Connection };
}

const ROWS = ['a', 'b', 'c'].flatMap((node) => ['1', 'services'].map((boot, pid) => ({ node, boot, pid })));

describe('what a processor asks of many nodes', () => {
  it('is one query, and each gets its own', async () => {
    const { asked, connection } = connectionOver(ROWS);
    const loader = createDetectorLoader(connection);
    const wanted = [
      ['a', '1'],
      ['a', 'services'],
      ['b', '1'],
      ['nobody', '1'],
    ] as const;
    const found = await Promise.all(wanted.map(([node, boot]) => loader.loadSeries(node as NodeId, boot)));
    expect(found.map((rows) => rows.map(({ node, boot, pid, start, at }) => [node, boot, pid, start, at]))).toEqual([
      [['a', '1', 0, 5, 7]],
      [['a', 'services', 1, 5, 7]],
      // Nobody asked for the services of b, though one query has both names.
      [['b', '1', 0, 5, 7]],
      [],
    ]);
    expect(asked).toEqual([{ nodes: ['a', 'b', 'nobody'], boots: ['1', 'services'] }]);
  });

  it('is asked anew each time, two queries for the floors of all', async () => {
    const { asked, connection } = connectionOver(ROWS);
    const loader = createDetectorLoader(connection);
    for (let time = 1; time <= 2; time++) {
      const [a, c] = await Promise.all(['a', 'c'].map((node) => loader.loadMinima(node as NodeId, '1')));
      const floor = [{ at: 60_000, bytes: 4096 }];
      expect(a).toEqual([{ pid: 0, start: 5, minute: floor, hour: floor }]);
      expect(c).toEqual(a);
      expect(asked).toHaveLength(2 * time);
    }
  });

  it('is cut into queries of 200', async () => {
    const { asked, connection } = connectionOver([]);
    const loader = createDetectorLoader(connection);
    await Promise.all(Array.from({ length: 450 }, (_, index) => loader.loadSeries(`n${index}` as NodeId, '1')));
    expect(asked.map(({ nodes }) => nodes.length)).toEqual([200, 200, 50]);
  });

  it('fails for each when the query fails', async () => {
    const connection = { query: () => Promise.reject(new Error('away')) } as unknown as Connection;
    const loader = createDetectorLoader(connection);
    const results = await Promise.allSettled(['a', 'b'].map((node) => loader.loadSeries(node as NodeId, '1')));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});
