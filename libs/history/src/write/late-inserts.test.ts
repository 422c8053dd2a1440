import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createHistory } from '../history.js';
import { openTestHistory, type TestHistory } from '../testing/open-history.js';
import { simulateNode } from '../testing/simulated-node.js';
import type { Block } from './block.js';
import { sampleBlocks } from './sample-blocks.js';

/** A way to the server that keeps back the end of what is sent while it is narrow. */
async function openNarrowWay(url: string) {
  const TAIL = 20;
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const held = new Map<Socket, Buffer>();
  let narrow = true;
  const server = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    server.pipe(client);
    client.on('data', (data: Buffer) => {
      const all = Buffer.concat([held.get(server) ?? Buffer.alloc(0), data]);
      const keep = narrow ? Math.min(TAIL, all.length) : 0;
      held.set(server, all.subarray(all.length - keep));
      server.write(all.subarray(0, all.length - keep));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get waiting() {
      return [...held.values()].some((bytes) => bytes.length > 0);
    },
    widen() {
      narrow = false;
      for (const [socket, bytes] of held) socket.write(bytes);
      held.clear();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('an insert that is late', { timeout: 120_000 }, () => {
  let test: TestHistory;
  beforeAll(async () => {
    test = await openTestHistory();
  });
  afterAll(() => test.close());

  const blocksOf = (node: string, batch: number): Block[] =>
    sampleBlocks(
      simulateNode({
        ...{ node, from: Date.now() - 10_000, rounds: 5, roundMs: 1_000, processes: 5, seed: 7, keyframeEvery: 4 },
      }).chunks,
      () => batch,
    );
  const rows = async (node: string): Promise<number> => {
    const [row] = await test.connection.query<{ rows: number }>(
      `SELECT count() AS rows FROM process_samples WHERE node = '${node}'`,
    );
    return Number(row?.rows);
  };

  it('doubles nothing when its last bytes come after another wrote the same block', async () => {
    const way = await openNarrowWay(test.server.url);
    const late = createHistory({ ...test.options, url: way.url });
    try {
      const block = blocksOf('late', 1024).find(({ table }) => table === 'process_samples')!;
      const sent = late.write([block], { token: 'late', again: false });
      await vi.waitFor(() => expect(way.waiting).toBe(true), { timeout: 20_000 });
      // By a server that begins to run a statement before it has all of it, this is refused until the other is over.
      const taken = vi.waitFor(() => test.history.write([block], { token: 'late', again: true }), { timeout: 60_000 });
      await Promise.race([taken, new Promise((resolve) => setTimeout(resolve, 2_000))]);
      way.widen();
      await Promise.all([taken, sent]);
      expect(await rows('late')).toBe(block.rows);
    } finally {
      await late.close();
      await way.close();
    }
  });

  it('doubles nothing when many write the same blocks at the same time', async () => {
    for (let round = 1; round <= 5; round++) {
      const node = `many-${round}`;
      const blocks = blocksOf(node, 1024 * (10 + round));
      const write = (again: boolean): Promise<unknown> =>
        test.history.write(blocks, { token: node, again }).catch(async (error: unknown) => {
          expect(error).toMatchObject({ code: 'HISTORY_BUSY', retriable: true });
          await new Promise((resolve) => setTimeout(resolve, 10));
          return write(true);
        });
      await Promise.all([write(false), write(false), write(true), write(true)]);
      expect(await rows(node)).toBe(blocks.find(({ table }) => table === 'process_samples')!.rows);
    }
  });
});
