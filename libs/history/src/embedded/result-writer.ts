import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import { encodeBlock, encodeBlocks } from './compressed-blocks.js';
import { httpStatus, type EngineException } from './exception.js';
import { holdResult } from './held-result.js';
import type { Translation } from './native-blocks.js';
import { createOutlet, type Outlet } from './outlet.js';
import { encoderOf, encodeWhole, type ResponseEncoding } from './response-encoding.js';

/** Figures of X-ClickHouse-Summary. */
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
  /** Applied before all else; null leaves the result as the engine wrote it. */
  translation: Translation | null;
  /** Bytes held back before the status line goes out: up to there an error still gets a status of its own. */
  holdBytes: number;
  /** Holds the whole result, in this file beyond what memory takes. */
  holdFile: string | null;
  version: string;
}

/** Sends one result. Exactly one of `end` and `fail` ends it. */
export interface ResultWriter {
  /** Resolves when more may come: a client that reads slowly slows the query down. */
  write(chunk: Buffer): Promise<void>;
  end(summary: Summary): Promise<void>;
  fail(exception: EngineException): Promise<void>;
}

const noSummary: Summary = {
  read_rows: 0,
  read_bytes: 0,
  written_rows: 0,
  written_bytes: 0,
  result_rows: 0,
  result_bytes: 0,
  elapsed_ns: 0,
};

/** Beyond it, a result that is to be held whole goes to a file. */
const holdInMemoryBytes = 8 * 2 ** 20;

export function createResultWriter(response: ServerResponse, options: WriterOptions): ResultWriter {
  const tag = randomBytes(8).toString('hex');
  const held = holdResult(options.holdFile, holdInMemoryBytes);
  let outlet: Outlet | null = null;
  const open = async (summary: Summary): Promise<Outlet> => {
    sendHead(response, options, summary, tag);
    const opened = createOutlet(response, stagesOf(options));
    for await (const chunk of held.release()) await opened.write(chunk as Buffer);
    return opened;
  };
  return {
    async write(written) {
      const chunk = options.translation?.push(written) ?? written;
      if (chunk.length === 0) return;
      if (outlet !== null) return outlet.write(chunk);
      await held.add(chunk);
      if (options.holdFile === null && held.bytes > options.holdBytes) outlet = await open(noSummary);
    },
    async end(summary) {
      const isPlain = options.encoding === null && !options.blocks;
      if (outlet === null && isPlain) response.setHeader('Content-Length', held.bytes);
      outlet ??= await open(summary);
      await outlet.end();
      await held.discard();
    },
    async fail(exception) {
      await held.discard();
      if (outlet === null) sendException(response, exception, options);
      else if (!response.destroyed) await outlet.breakOff(exceptionBlock(exception.toText(options.version), tag));
    },
  };
}

function sendHead(response: ServerResponse, options: WriterOptions, summary: Summary, tag: string): void {
  response.statusCode = 200;
  for (const [name, value] of Object.entries(options.headers)) response.setHeader(name, value);
  const figures = Object.entries(summary).map(([name, value]) => [name, String(value)]);
  response.setHeader('X-ClickHouse-Summary', JSON.stringify(Object.fromEntries(figures)));
  response.setHeader('X-ClickHouse-Exception-Tag', tag);
  if (options.encoding !== null) response.setHeader('Content-Encoding', options.encoding);
}

/** What packs the result, in order. */
function stagesOf({ blocks, encoding }: WriterOptions): Transform[] {
  return [...(blocks ? [encodeBlocks()] : []), ...(encoding === null ? [] : [encoderOf(encoding)])];
}

/** An error before anything of a result was sent. */
export function sendException(
  response: ServerResponse,
  exception: EngineException,
  options: Pick<WriterOptions, 'headers' | 'encoding' | 'blocks' | 'version'>,
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const text = Buffer.from(`${exception.toText(options.version)}\n`);
  const framed = options.blocks ? encodeBlock(text) : text;
  const body = options.encoding === null ? framed : encodeWhole(options.encoding, framed);
  response.statusCode = httpStatus(exception.code);
  for (const [name, value] of Object.entries(options.headers)) response.setHeader(name, value);
  response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
  response.setHeader('Content-Length', body.length);
  if (options.encoding !== null) response.setHeader('Content-Encoding', options.encoding);
  response.setHeader('X-ClickHouse-Exception-Code', exception.code);
  if (response.statusCode === 503) response.setHeader('Retry-After', 1);
  // What is left of a body that nobody reads would hold the connection.
  if (!response.req.complete) response.setHeader('Connection', 'close');
  response.end(body);
}

/** What the server puts behind a result that broke off; its frame lets a client tell it from data. */
function exceptionBlock(text: string, tag: string): string {
  const message = `${text}\n`;
  return `\r\n__exception__\r\n${tag}\r\n${message}${Buffer.byteLength(message)} ${tag}\r\n__exception__\r\n`;
}
