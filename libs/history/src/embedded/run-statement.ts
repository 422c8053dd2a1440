import { permit, type Role } from './access.js';
import type { Connection, Engine } from './engine.js';
import { EngineException, toException } from './exception.js';
import { openOutputPipe } from './output-pipe.js';
import type { QueryRequest } from './request.js';
import type { Statement } from './request-body.js';
import type { ResultWriter, Summary } from './result-writer.js';
import { readShape, type StatementShape } from './statement.js';

export interface RunContext {
  engine: Engine;
  connection: Connection;
  request: QueryRequest;
  role: Role;
  /** Name of the pipe this lane may use. */
  pipe: string;
  /** Aborts when the client is gone. */
  signal: AbortSignal;
  /** Format when the statement names none. */
  defaultFormat: string;
  writer(format: string | null): ResultWriter;
}

/** Statements whose results may be large. */
const streamedVerbs = new Set(['SELECT', 'WITH', 'FROM', '(']);
/** Others that leave nothing behind in the engine session. */
const cleanVerbs = new Set(['INSERT', 'SHOW', 'DESCRIBE', 'DESC', 'EXISTS', 'EXPLAIN', 'CHECK']);
const silentVerbs = new Set(
  'INSERT CREATE ALTER DROP RENAME TRUNCATE OPTIMIZE SET USE DETACH ATTACH SYSTEM DELETE UPDATE GRANT REVOKE'.split(
    ' ',
  ),
);
const syntaxError = 62;

/** How a statement ended in the engine. */
export interface Outcome {
  /** The engine session is as it was before. */
  clean: boolean;
  exception: EngineException | null;
  /** Sends what is left of the answer: to be called when session and lane are free for the client's next request. */
  finish(): Promise<void>;
}

/** Runs SQL without rows of its own and sends its result, but for its end. */
export async function runText(sql: string, context: RunContext): Promise<Outcome> {
  const { request, role } = context;
  const shape = readShape(sql);
  // Who may do everything is not worth asking the parser for.
  const mayAll = role === 'admin' && !request.readOnly;
  const classification = mayAll ? null : await context.connection.classify(sql);
  permit({ role, readOnly: request.readOnly, shape, classification, parameters: request.parameters });
  const streams = streamedVerbs.has(shape.verb);
  const streamed = streams ? await streamResult(sql, shape, context) : null;
  return streamed ?? (await bufferResult(sql, shape, context));
}

async function bufferResult(sql: string, shape: StatementShape, context: RunContext): Promise<Outcome> {
  const hasResult = shape.format !== null || !silentVerbs.has(shape.verb);
  const writer = context.writer(hasResult ? (shape.format ?? context.defaultFormat) : null);
  try {
    const result = await context.connection.query(sql, context.defaultFormat);
    const clean = streamedVerbs.has(shape.verb) || cleanVerbs.has(shape.verb);
    return {
      clean,
      exception: null,
      async finish() {
        await writer.write(result.bytes);
        await writer.end(summaryOf(result, hasResult ? 'read' : 'written'));
      },
    };
  } catch (error) {
    return failure(writer, toException(error));
  }
}

function failure(writer: ResultWriter, exception: EngineException): Outcome {
  return { clean: false, exception, finish: () => writer.fail(exception) };
}

/**
 * Lets the engine write the result into a pipe while it is sent on: no result need fit in memory. Null when the engine does
 * not take the statement with `INTO OUTFILE` put in; nothing was sent then.
 */
async function streamResult(sql: string, shape: StatementShape, context: RunContext): Promise<Outcome | null> {
  const { connection, pipe, signal } = context;
  const target = ` INTO OUTFILE '${pipe}' TRUNCATE `;
  const piped = `${sql.slice(0, shape.outputAt)}${target}${sql.slice(shape.outputAt)}`;
  const writer = context.writer(shape.format ?? context.defaultFormat);
  const output = openOutputPipe(pipe);
  const killer = killOnAbort(context, target.trim());
  const running = connection.query(piped, context.defaultFormat).finally(() => output.finish());
  let sent = 0;
  try {
    const [figures] = await Promise.all([
      running,
      pump(output.stream, async (chunk) => {
        sent += chunk.length;
        if (!signal.aborted) await writer.write(chunk);
      }),
    ]);
    return { clean: true, exception: null, finish: () => writer.end(summaryOf(figures, 'read')) };
  } catch (error) {
    output.stream.resume();
    await running.catch(() => undefined);
    const exception = toException(error);
    return exception.code === syntaxError && sent === 0 ? null : failure(writer, exception);
  } finally {
    output.stream.destroy();
    await killer.stop();
  }
}

/** Reads the pipe to its end whatever becomes of the client: the engine must not wait for a reader that is gone. */
async function pump(stream: AsyncIterable<Buffer>, write: (chunk: Buffer) => Promise<void>): Promise<void> {
  let failure: unknown = null;
  for await (const chunk of stream) {
    if (failure !== null) continue;
    try {
      await write(chunk);
    } catch (error) {
      failure = error;
    }
  }
  if (failure !== null) throw failure;
}

/**
 * The engine takes no signal: the query is found by the pipe it writes to, and killed, again until it is gone. `stop`
 * resolves when no kill is under way any more, so that none can hit the pipe's next query.
 */
function killOnAbort({ engine, signal }: RunContext, mark: string): { stop(): Promise<void> } {
  let stopped = false;
  let killing: Promise<void> = Promise.resolve();
  const kill = async () => {
    while (!stopped) {
      await killQueries(engine, mark).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const onAbort = () => (killing = kill());
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return {
    async stop() {
      stopped = true;
      signal.removeEventListener('abort', onAbort);
      await killing;
    },
  };
}

/** Asks all queries whose text contains the mark to end. */
async function killQueries(engine: Engine, mark: string): Promise<void> {
  const connection = engine.connect();
  try {
    const text = mark.replace(/[\\']/g, '\\$&');
    const { bytes } = await connection.query(
      `SELECT query_id FROM system.processes WHERE position(query, '${text}') > 0 AND query_id != queryID()`,
    );
    for (const id of bytes.toString('utf8').split('\n').filter(Boolean)) {
      await connection.query(`KILL QUERY WHERE query_id = '${id}' ASYNC`);
    }
  } finally {
    connection.close();
  }
}

/** Runs an INSERT whose rows lie in a file of the scratch directory. Only the admin gets here. */
export async function runInsert(insert: Extract<Statement, { kind: 'insert' }>, context: RunContext): Promise<Outcome> {
  const writer = context.writer(null);
  try {
    const sql = insertFromFile(insert);
    const figures = await context.connection.query(sql);
    return { clean: true, exception: null, finish: () => writer.end(summaryOf(figures, 'written')) };
  } catch (error) {
    const { code, label, message } = toException(error);
    const place = new RegExp(`\\(in file/uri [^)]*${insert.file}\\): |[^\\s']*\\b${insert.file}\\b`, 'g');
    return failure(writer, new EngineException(code, label, message.replace(place, '')));
  }
}

function insertFromFile({ text, head, file }: Extract<Statement, { kind: 'insert' }>): string {
  const cut = (start: number, end: number) => text.toString('utf8', start, end);
  if (head.input !== null) {
    const [start, end] = head.input;
    // What input() takes from the request, file() takes from the file; both are given the structure.
    const call = `file('${file}', '${head.format}', `;
    const open = text.indexOf('(', end) + 1;
    return `${cut(0, start)}${call}${cut(open, head.headEnd)}`;
  }
  const [settingsStart, settingsEnd] = head.settings;
  return `${cut(0, head.sourceAt)} FROM INFILE '${file}' ${cut(settingsStart, settingsEnd)} FORMAT ${head.format}`;
}

function summaryOf(
  figures: { elapsed: number; rowsRead: number; bytesRead: number },
  way: 'read' | 'written',
): Summary {
  const [rows, bytes] = [figures.rowsRead, figures.bytesRead];
  const isRead = way === 'read';
  return {
    read_rows: rows,
    read_bytes: bytes,
    written_rows: isRead ? 0 : rows,
    written_bytes: isRead ? 0 : bytes,
    result_rows: rows,
    result_bytes: bytes,
    elapsed_ns: Math.round(figures.elapsed * 1e9),
  };
}
