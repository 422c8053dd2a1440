import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { encodeBlocks } from './compressed-blocks.js';
import { httpStatus, type EngineException } from './exception.js';
import type { ResponseEncoding } from './request.js';

/** Figures of X-ClickHouse-Summary, as text there. */
export interface Summary {
  read_rows: number;
  read_bytes: number;
  written_rows: number;
  written_bytes: number;
  result_rows: number;
  result_bytes: number;
  elapsed_ns: number;
}

export interface WriterOptions {
  headers: Record<string, string>;
  encoding: ResponseEncoding | null;
  /** In the native protocol's blocks. */
  blocks: boolean;
  /** Bytes held back before the status line goes out: up to there an error still gets a status of its own. */
  holdBytes: number;
  /** Where to put what is held back beyond memory; null sends it instead. */
  spillFile: string | null;
  version: string;
}

/** Sends one result. Exactly one of `end` and `fail` ends it. */
export interface ResultWriter {
  /** Resolves when more may come: a client that reads slowly slows the query down. */
  write(chunk: Buffer): Promise<void>;
  end(summary: Summary): Promise<void>;
  fail(exception: EngineException): Promise<void>;
}

export const noSummary: Summary = {
  read_rows: 0,
  read_bytes: 0,
  written_rows: 0,
  written_bytes: 0,
  result_rows: 0,
  result_bytes: 0,
  elapsed_ns: 0,
};

/** Beyond it, a result that is to be held whole goes to a file. */
const spillAfterBytes = 8 * 2 ** 20;
/** How long a client may stand still before it is given up. */
const sendTimeoutMs = 60_000;

export function createResultWriter(response: ServerResponse, options: WriterOptions): ResultWriter {
  const tag = randomBytes(8).toString('hex');
  let held: Buffer[] = [];
  let heldBytes = 0;
  let spill: WriteStream | null = null;
  let sink: Writable | null = null;

  /** Sends the status line; the result follows. */
  const open = (summary: Summary): Writable => {
    response.statusCode = 200;
    for (const [name, value] of Object.entries(options.headers)) response.setHeader(name, value);
    response.setHeader('X-ClickHouse-Summary', summaryText(summary));
    response.setHeader('X-ClickHouse-Exception-Tag', tag);
    if (options.encoding !== null) response.setHeader('Content-Encoding', options.encoding);
    const stages: Transform[] = [];
    if (options.blocks) stages.push(encodeBlocks());
    if (options.encoding !== null) stages.push(encoderOf(options.encoding));
    if (stages.length === 0) return response;
    const all: readonly (NodeJS.ReadWriteStream | NodeJS.WritableStream)[] = [...stages, response];
    pipeline(all).catch(() => response.destroy());
    return stages[0]!;
  };

  const flushHeld = async (target: Writable) => {
    const chunks = held;
    held = [];
    heldBytes = 0;
    for (const chunk of chunks) await send(target, chunk, response);
  };

  const holdWhole = async (chunk: Buffer, file: string) => {
    spill ??= createWriteStream(file, { mode: 0o600 });
    const target = spill;
    if (held.length > 0) await flushHeld(target);
    await send(target, chunk, response);
  };

  return {
    async write(chunk) {
      if (chunk.length === 0) return;
      if (sink !== null) return send(sink, chunk, response);
      if (options.spillFile !== null && (spill !== null || heldBytes + chunk.length > spillAfterBytes)) {
        return holdWhole(chunk, options.spillFile);
      }
      held.push(chunk);
      heldBytes += chunk.length;
      if (options.spillFile !== null || heldBytes <= options.holdBytes) return;
      sink = open(noSummary);
      await flushHeld(sink);
    },
    async end(summary) {
      if (sink === null && spill === null && options.encoding === null && !options.blocks) {
        response.setHeader('Content-Length', heldBytes);
      }
      sink ??= open(summary);
      await flushHeld(sink);
      if (spill !== null && options.spillFile !== null) {
        await finished(spill);
        await pipeline(createReadStream(options.spillFile), sink);
        await rm(options.spillFile, { force: true });
      } else await new Promise<void>((resolve) => sink!.end(resolve));
    },
    async fail(exception) {
      spill?.destroy();
      if (options.spillFile !== null) await rm(options.spillFile, { force: true });
      if (sink === null) sendException(response, exception, options.version, options.headers);
      else await breakOff(sink, response, exceptionBlock(exception.toText(options.version), tag));
    },
  };
}

function finished(stream: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('error', reject);
    stream.end(resolve);
  });
}

/** Writes and waits while the other side is behind; throws when it is gone or stands still too long. */
async function send(target: Writable, chunk: Buffer, response: ServerResponse): Promise<void> {
  if (response.destroyed) throw new Error('The client is gone');
  if (target.write(chunk)) return;
  await new Promise<void>((resolve, reject) => {
    const settle = (act: () => void) => () => {
      clearTimeout(timer);
      target.removeListener('drain', onDrain);
      target.removeListener('error', onGone);
      response.removeListener('close', onGone);
      act();
    };
    const onDrain = settle(resolve);
    const onGone = settle(() => reject(new Error('The client is gone')));
    const timer = setTimeout(() => {
      response.destroy();
    }, sendTimeoutMs);
    target.once('drain', onDrain);
    target.once('error', onGone);
    response.once('close', onGone);
  });
}

function encoderOf(encoding: ResponseEncoding): Transform {
  const level = 1;
  if (encoding === 'gzip') return zlib.createGzip({ level });
  if (encoding === 'deflate') return zlib.createDeflate({ level });
  if (encoding === 'zstd') return (zlib as unknown as { createZstdCompress(): Transform }).createZstdCompress();
  return zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: level } });
}

/** Encodings of results, best first, as far as this Node has them. */
export function knownEncodings(): ResponseEncoding[] {
  return ['br', 'gzip', 'deflate', ...('createZstdCompress' in zlib ? ['zstd' as const] : [])];
}

export function summaryText(summary: Summary): string {
  return JSON.stringify(Object.fromEntries(Object.entries(summary).map(([name, value]) => [name, String(value)])));
}

/** An error before anything of a result was sent. */
export function sendException(
  response: ServerResponse,
  exception: EngineException,
  version: string,
  headers: Record<string, string> = {},
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = Buffer.from(`${exception.toText(version)}\n`);
  response.statusCode = httpStatus(exception.code);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
  response.setHeader('Content-Length', body.length);
  response.setHeader('X-ClickHouse-Exception-Code', exception.code);
  if (response.statusCode === 503) response.setHeader('Retry-After', 1);
  // What is left of a body that nobody reads would hold the connection.
  if (!response.req.complete) response.setHeader('Connection', 'close');
  response.end(body);
}

/** What the server puts behind a result that broke off; its parts let a client tell it from data. */
function exceptionBlock(text: string, tag: string): string {
  const message = `${text}\n`;
  return `\r\n__exception__\r\n${tag}\r\n${message}${Buffer.byteLength(message)} ${tag}\r\n__exception__\r\n`;
}

/** Sends the last bytes and leaves the chunked body without its end, so that no client takes it for whole. */
async function breakOff(sink: Writable, response: ServerResponse, text: string): Promise<void> {
  if (response.destroyed) return;
  const { socket } = response;
  if (sink === response) {
    await new Promise<void>((resolve) => response.write(text, () => resolve()));
    socket?.end();
    return;
  }
  sink.write(text);
  const flush = (sink as Partial<zlib.Gzip>).flush?.bind(sink);
  if (flush !== undefined) await new Promise<void>((resolve) => flush(() => resolve()));
  setImmediate(() => socket?.end());
}
