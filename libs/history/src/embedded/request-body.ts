import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { pipeline as pipeTo, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { decodeBlocks } from './compressed-blocks.js';
import { EngineException, toException } from './exception.js';
import { readForm } from './multipart.js';
import { addParameter, type QueryRequest } from './request.js';
import type { ScratchFiles } from './scratch-files.js';
import { readHead, type InsertHead } from './statement.js';

/** A statement with all that the engine needs to run it. */
export type Statement =
  | { kind: 'text'; sql: string }
  /** The text up to the rows, and the file in the scratch directory that holds them. */
  | { kind: 'insert'; text: Buffer; head: InsertHead; file: string };

/** Of SQL; rows of an INSERT do not count. */
const maxTextBytes = 4 * 2 ** 20;
/** How much of a body is looked at to find out whether rows follow. */
const windowBytes = 256 * 2 ** 10;
/** Silence of a client in the middle of a body after which the request is given up. */
const receiveTimeoutMs = 60_000;

export interface BodyPlace {
  /** Scratch directory. */
  run: string;
  /** Of that directory; an insert takes one for its rows. */
  files: ScratchFiles;
}

/**
 * Reads the whole request: SQL into memory, rows of an INSERT into a file. An insert thus starts only when its rows
 * are all there: a client that vanishes half-way inserts nothing, and one that is slow holds nobody up.
 *
 * @throws EngineException for what cannot be read.
 */
export async function readStatement(
  message: IncomingMessage,
  request: QueryRequest,
  place: BodyPlace,
  allow: (kind: Statement['kind']) => void,
): Promise<Statement> {
  const { socket } = message;
  const silence = () =>
    message.destroy(new EngineException(209, 'SOCKET_TIMEOUT', 'Timeout exceeded while reading from socket'));
  socket.setTimeout(receiveTimeoutMs, silence);
  try {
    const body = decodeBody(message, request);
    if (/^multipart\/form-data/i.test(message.headers['content-type'] ?? '')) await readFields(message, body, request);
    else return await splitStatement(body, request.query, place, allow);
    allow('text');
    return { kind: 'text', sql: request.query };
  } catch (error) {
    throw asReadError(error);
  } finally {
    socket.setTimeout(0);
    socket.removeListener('timeout', silence);
  }
}

function asReadError(error: unknown): EngineException {
  if (error instanceof EngineException) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code.startsWith('Z_') || (code.startsWith('ERR_') && code.includes('BROTLI'))) {
    return new EngineException(271, 'CANNOT_DECOMPRESS', `The request body cannot be decompressed: ${code}`);
  }
  if (code === 'ENOSPC')
    return new EngineException(243, 'NOT_ENOUGH_SPACE', 'No space left on device for the rows of the insert');
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return new EngineException(210, 'NETWORK_ERROR', 'The client went away before its request was complete');
  }
  return toException(error);
}

function decodeBody(message: IncomingMessage, request: QueryRequest): Readable {
  const name = message.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const isPlain = name === 'identity' || name === '';
  // pipeline() hands an error of the socket on, so that a request cut off is never taken for a whole one.
  const plain = isPlain ? message : pipeTo(message, decoderOf(name), () => undefined);
  return request.decompress ? decodeBlocks(plain) : plain;
}

function decoderOf(name: string) {
  if (name === 'gzip' || name === 'x-gzip') return zlib.createGunzip();
  if (name === 'deflate') return zlib.createInflate();
  if (name === 'br') return zlib.createBrotliDecompress();
  if (name === 'zstd' && 'createZstdDecompress' in zlib) {
    return (zlib.createZstdDecompress as () => zlib.Gunzip)();
  }
  throw new EngineException(
    89,
    'UNKNOWN_COMPRESSION_METHOD',
    `Unknown compression method ${name}, use gzip, deflate or br`,
  );
}

async function readFields(message: IncomingMessage, body: Readable, request: QueryRequest): Promise<void> {
  const fields = readForm(message.headers['content-type'] ?? '', await collect(body, []));
  for (const [name, value] of fields) {
    if (name === 'query') request.query += value;
    else addParameter(request, name, value);
  }
}

async function splitStatement(
  body: Readable,
  query: string,
  place: BodyPlace,
  allow: (kind: Statement['kind']) => void,
): Promise<Statement> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const window: Buffer[] = [];
  let size = 0;
  let ended = false;
  while (size < windowBytes && !ended) {
    const step = await chunks.next();
    ended = step.done === true;
    if (step.done === true) break;
    window.push(step.value);
    size += step.value.length;
  }
  const first = Buffer.concat(window);
  const { text, head } = findHead(query, first);
  const isSmallValues = head.kind === 'insert' && head.format === 'Values' && ended;
  if (head.kind === 'plain' || isSmallValues) {
    allow('text');
    const rest = ended ? Buffer.alloc(0) : await collect({ [Symbol.asyncIterator]: () => chunks }, [text]);
    return { kind: 'text', sql: decodeText(Buffer.concat([text, rest])) };
  }
  allow('insert');
  const start = text.subarray(head.dataAt);
  const file = place.files.take();
  const path = join(place.run, file);
  try {
    if (ended) await writeFile(path, start, { mode: 0o600 });
    else await spool(start, chunks, path);
  } catch (error) {
    await place.files.drop(file);
    throw error;
  }
  return { kind: 'insert', text: text.subarray(0, head.dataAt), head, file };
}

/** The text so far, and where its rows begin: in the query parameter, or in the body when the SQL is there. */
function findHead(query: string, body: Buffer): { text: Buffer; head: ReturnType<typeof readHead> } {
  const parameter = Buffer.from(query);
  const alone = readHead(parameter.toString('latin1'));
  if (alone.kind === 'insert') return { text: Buffer.concat([parameter, body]), head: alone };
  const text = parameter.length === 0 ? body : Buffer.concat([parameter, Buffer.from('\n'), body]);
  return { text, head: readHead(text.toString('latin1')) };
}

async function spool(start: Buffer, chunks: AsyncIterator<Buffer>, path: string): Promise<void> {
  async function* all() {
    yield start;
    for (let step = await chunks.next(); step.done !== true; step = await chunks.next()) yield step.value;
  }
  await pipeline(all, createWriteStream(path, { mode: 0o600 }));
}

async function collect(body: AsyncIterable<Buffer>, before: readonly Buffer[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = before.reduce((sum, part) => sum + part.length, 0);
  for await (const part of body) {
    size += part.length;
    if (size > maxTextBytes) {
      throw new EngineException(229, 'QUERY_IS_TOO_LARGE', `The query is longer than ${maxTextBytes} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** @throws EngineException SYNTAX_ERROR: SQL reaches the engine as a string, so other encodings would be changed. */
export function decodeText(bytes: Buffer): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new EngineException(
      62,
      'SYNTAX_ERROR',
      'The query is not valid UTF-8: pass such bytes as rows of an INSERT, or with unhex()',
    );
  }
  if (text.includes('\0')) throw new EngineException(62, 'SYNTAX_ERROR', 'The query has a NUL character');
  return text;
}
