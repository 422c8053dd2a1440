import type { ServerResponse } from 'node:http';
import type { Transform, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';

/** The way of a result to the client, through what packs it. */
export interface Outlet {
  /** Resolves when more may come; rejects when the client is gone or stands still too long. */
  write(chunk: Buffer): Promise<void>;
  end(): Promise<void>;
  /** Sends the last bytes and leaves the chunked body without its end, so that no client takes it for whole. */
  breakOff(last: string): Promise<void>;
}

/** How long a client may stand still before it is given up. */
const sendTimeoutMs = 60_000;

export function createOutlet(response: ServerResponse, stages: readonly Transform[]): Outlet {
  const [first] = stages;
  const last = stages.at(-1);
  if (first === undefined || last === undefined) {
    return {
      write: (chunk) => send(response, chunk, response),
      end: () => new Promise((resolve) => response.end(resolve)),
      async breakOff(text) {
        await new Promise<void>((resolve) => response.write(text, () => resolve()));
        response.socket?.end();
      },
    };
  }
  if (stages.length > 1) pipeline([...stages]).catch(() => response.destroy());
  last.pipe(response, { end: false });
  last.once('error', () => response.destroy());
  response.once('close', () => first.destroy());
  const flush = async (text: string) => {
    first.end(text);
    await finished(last, { writable: false });
  };
  return {
    write: (chunk) => send(first, chunk, response),
    async end() {
      await flush('');
      await new Promise<void>((resolve) => response.end(resolve));
    },
    async breakOff(text) {
      await flush(text);
      await new Promise<void>((resolve) => response.write('', () => resolve()));
      response.socket?.end();
    },
  };
}

async function send(target: Writable, chunk: Buffer, response: ServerResponse): Promise<void> {
  if (response.destroyed) throw new Error('The client is gone');
  if (target.write(chunk)) return;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => response.destroy(), sendTimeoutMs);
    const settle = (act: () => void) => {
      clearTimeout(timer);
      target.removeListener('drain', onDrain);
      target.removeListener('close', onGone);
      response.removeListener('close', onGone);
      act();
    };
    const onDrain = () => settle(resolve);
    const onGone = () => settle(() => reject(new Error('The client is gone')));
    target.once('drain', onDrain);
    target.once('close', onGone);
    response.once('close', onGone);
  });
}
