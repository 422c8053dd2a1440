import { createServer, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { EventLogError } from '../errors.js';
import { Connections } from './connections.js';
import { resolveKafkaOptions, type ResolvedKafkaOptions } from './options.js';

const API_VERSIONS = 18;
const APIS = { Metadata: 3, Heartbeat: 12, Fetch: 1 } as const;

/** What a broker does with a request. */
type Act = 'answer' | 'late' | 'silent' | 'half' | 'close' | 'reset' | 'garbage' | 'stranger';

/** Sockets that said half an answer: what came after it would be taken for the rest. */
const broken = new WeakSet<Socket>();

/** Something that speaks just enough of the protocol; `act` says what becomes of each request. */
async function fakeBroker(act: () => Act): Promise<{ server: Server; address: string }> {
  const server = createServer((socket) => {
    let read = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      if (broken.has(socket)) return;
      read = Buffer.concat([read, bytes]);
      while (read.length >= 4 && read.length >= 4 + read.readInt32BE(0)) {
        const end = 4 + read.readInt32BE(0);
        const done = act();
        serve(socket, read.readInt16BE(4), read.readInt32BE(8), done);
        if (done === 'half' || done === 'garbage') return void broken.add(socket);
        read = read.subarray(end);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return { server, address: `127.0.0.1:${port}` };
}

function serve(socket: Socket, api: number, correlation: number, act: Act): void {
  const answer = frame(correlation, api === API_VERSIONS ? versions() : Buffer.from(`to ${api}`));
  if (act === 'answer') socket.write(answer);
  else if (act === 'late') setTimeout(() => socket.writable && !broken.has(socket) && socket.write(answer), 60);
  else if (act === 'half') socket.write(answer.subarray(0, 7));
  else if (act === 'close') socket.end();
  else if (act === 'reset') socket.resetAndDestroy();
  else if (act === 'garbage') socket.write(Buffer.alloc(40, 0xff));
  else if (act === 'stranger') socket.write(frame(correlation + 1_000, Buffer.from('to nobody')));
}

function frame(correlation: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + body.length, 0);
  head.writeInt32BE(correlation, 4);
  return Buffer.concat([head, body]);
}

/** An answer to ApiVersions: everything from version 0 to that which is wanted. */
function versions(): Buffer {
  const keys = [...Object.values(APIS), API_VERSIONS];
  const body = Buffer.alloc(2 + 4 + keys.length * 6 + 4);
  body.writeInt32BE(keys.length, 2);
  keys.forEach((key, index) => {
    body.writeInt16BE(key, 6 + index * 6);
    body.writeInt16BE(11, 10 + index * 6);
  });
  return body;
}

const bodyOf: Record<keyof typeof APIS, object> = {
  Metadata: { topics: ['t'], allowAutoTopicCreation: false },
  Heartbeat: { groupId: 'g', groupGenerationId: 1, memberId: 'm' },
  Fetch: { isolationLevel: 0, maxWaitTime: 10, minBytes: 1, maxBytes: 100, topics: [] },
};

describe('connections to brokers', () => {
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  async function open(act: () => Act, more: Partial<ResolvedKafkaOptions> = {}) {
    const broker = await fakeBroker(act);
    const options = { ...resolveKafkaOptions({ brokers: [broker.address] }), ...more };
    const connections = new Connections(options, () => {});
    const [host, port] = broker.address.split(':') as [string, string];
    connections.learn([{ nodeId: 1, host, port: Number(port) }]);
    ends.push(
      () => connections.close(),
      () => new Promise((resolve) => broker.server.close(resolve)),
    );
    const ask = async (api: keyof typeof APIS): Promise<string> =>
      (await connections.ask(1, api, bodyOf[api], (payload) => payload.toString())) as unknown as string;
    return ask;
  }

  it('every request ends, with its own answer or an error, whatever brokers do and however many are asked', async () => {
    const acts = fc.array(
      fc.record({
        act: fc.constantFrom<Act>(
          'answer',
          'answer',
          'late',
          'silent',
          'half',
          'close',
          'reset',
          'garbage',
          'stranger',
        ),
        api: fc.constantFrom<keyof typeof APIS>('Metadata', 'Heartbeat', 'Fetch'),
        wait: fc.nat(40),
      }),
      { minLength: 3, maxLength: 25 },
    );
    await fc.assert(
      fc.asyncProperty(acts, async (steps) => {
        let at = 0;
        const ask = await open(() => steps[at++ % steps.length]!.act, {
          attemptTimeoutMs: 80,
          requestTimeoutMs: 80,
        });
        const ended = steps.map(async ({ api, wait }) => {
          await new Promise((resolve) => setTimeout(resolve, wait));
          return { api, result: await ask(api).catch((error: unknown) => error) };
        });
        for (const { api, result } of await Promise.all(ended)) {
          if (result !== `to ${APIS[api]}`) expect(result).toBeInstanceOf(EventLogError);
        }
      }),
      { numRuns: 60, endOnFailure: true },
    );
  }, 300_000);

  it('asks for nothing and wakes for nothing while nobody asks', async () => {
    const ask = await open(() => 'answer');
    await expect(ask('Metadata')).resolves.toBe('to 3');
    await expect(ask('Fetch')).resolves.toBe('to 1');
    let woken = 0;
    const { setTimeout: before } = globalThis;
    globalThis.setTimeout = ((...given: Parameters<typeof before>) => {
      woken++;
      return before(...given);
    }) as typeof before;
    await new Promise((resolve) => before(resolve, 300));
    globalThis.setTimeout = before;
    expect(woken).toBe(0);
  });
});
