import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { authenticate, type Role } from './access.js';
import type { Connection } from './engine.js';
import { EngineException, toException } from './exception.js';
import type { Lane, Lanes } from './lanes.js';
import { addBlockInfo } from './native-blocks.js';
import { readQueryRequest, type QueryRequest } from './request.js';
import { readStatement, type Statement } from './request-body.js';
import { contentTypeOf, reportsProgress } from './result-formats.js';
import { knownEncodings, type ResponseEncoding } from './response-encoding.js';
import { createResultWriter, sendException } from './result-writer.js';
import { runInsert, runText, type Outcome } from './run-statement.js';
import type { ServerParts } from './server-parts.js';
import { assignments, parameterPrelude, prelude } from './settings.js';
import { readShape } from './statement.js';

const encodings = knownEncodings();
/** As in the server: up to here an error still replaces the result. */
const holdBytes = 2 ** 20;
/** The engine's "the server is shutting down due to a fatal error". */
const aborted = 236;
let heldCount = 0;

/** Answers one request for a query; never throws. */
export async function answerQuery(
  parts: ServerParts,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { version } = parts.identity;
  const gone = new AbortController();
  response.once('close', () => {
    if (response.writableFinished) return;
    gone.abort(new EngineException(394, 'QUERY_WAS_CANCELLED', 'Query was cancelled'));
  });
  let headers: Record<string, string> = {};
  let packing: { encoding: ResponseEncoding | null; blocks: boolean } = { encoding: null, blocks: false };
  try {
    const request = readQueryRequest(message, encodings);
    headers = commonHeaders(parts, request);
    packing = { encoding: request.encoding, blocks: request.compress };
    const role = authenticate(parts.users, request.credentials);
    const allow = (kind: Statement['kind']) => {
      if (kind === 'insert' && role === 'reader') {
        throw new EngineException(164, 'READONLY', 'reader: Cannot execute query in readonly mode');
      }
    };
    const statement = await readStatement(message, request, parts, allow);
    const run = { parts, request, role, statement, response, headers, signal: gone.signal };
    const outcome = await runAndEmpty(run);
    if (outcome.exception?.code === aborted) parts.onBroken();
    await outcome.finish();
  } catch (error) {
    const exception = toException(error);
    if (exception.code === aborted) parts.onBroken();
    sendException(response, exception, { headers, ...packing, version });
  }
}

/** Whatever becomes of the statement, its rows are gone afterwards. */
async function runAndEmpty(run: Run): Promise<Outcome> {
  const { statement, parts, request } = run;
  const outcomeOf = (): Promise<Outcome> => withQueryId(parts, request, () => runStatement(run));
  if (statement.kind !== 'insert') return outcomeOf();
  let inserted = false;
  try {
    const outcome = await outcomeOf();
    inserted = outcome.exception === null;
    return outcome;
  } finally {
    await (inserted ? parts.files.giveBack(statement.file) : parts.files.drop(statement.file));
  }
}

async function withQueryId<T>(parts: ServerParts, { queryId }: QueryRequest, run: () => Promise<T>): Promise<T> {
  if (parts.queryIds.has(queryId)) {
    const sentence = `Query with id = ${queryId} is already running`;
    throw new EngineException(216, 'QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING', sentence);
  }
  parts.queryIds.add(queryId);
  try {
    return await run();
  } finally {
    parts.queryIds.delete(queryId);
  }
}

interface Run {
  parts: ServerParts;
  request: QueryRequest;
  role: Role;
  statement: Statement;
  response: ServerResponse;
  headers: Record<string, string>;
  signal: AbortSignal;
}

/** Resolves when lane and session are free again; what is left of the answer is then to be sent. */
async function runStatement(run: Run): Promise<Outcome> {
  const { parts, request, role, statement, signal } = run;
  const insertsRows = statement.kind === 'insert' || isInsertOfRows(statement.sql);
  const gate = role === 'reader' ? await parts.readers.take(signal) : null;
  const lane = await takeLane(insertsRows ? parts.writing : parts.reading, signal, gate);
  try {
    const lent = await openConnection(run);
    let state = { usable: false, clean: false };
    try {
      const context = {
        engine: parts.engine,
        connection: lent.connection,
        request,
        role,
        pipe: parts.pipes[lane.index]!,
        signal,
        defaultFormat: request.defaultFormat ?? 'TabSeparated',
        writer: (format: string | null) => openWriter(run, format),
      };
      const outcome = await (statement.kind === 'insert'
        ? runInsert(statement, context)
        : runText(statement.sql, context));
      state = { usable: true, clean: outcome.clean };
      return outcome;
    } finally {
      await lent.giveBack(state);
    }
  } finally {
    lane.release();
    gate?.release();
  }
}

async function takeLane(lanes: Lanes, signal: AbortSignal, gate: Lane | null): Promise<Lane> {
  try {
    return await lanes.take(signal);
  } catch (error) {
    gate?.release();
    throw error;
  }
}

function isInsertOfRows(sql: string): boolean {
  if (!/^\s*insert\b/i.test(sql)) return false;
  return !readShape(sql).mentions.has('select');
}

interface Lent {
  connection: Connection;
  /** `usable` false when the request broke off; `clean` when its statement left the engine session as it was. */
  giveBack(state: { usable: boolean; clean: boolean }): Promise<void>;
}

/** An engine session set up for the request, or the one its session_id names. */
async function openConnection({ parts, request, role }: Run): Promise<Lent> {
  const { pool, sessions, readerLimits } = parts;
  const parameters = parameterPrelude(request.parameters);
  // A reader can neither make temporary tables nor SET: nothing would live in its session.
  if (request.session === null || role === 'reader') {
    const wanted = prelude(request, role, readerLimits);
    const connection = await pool.take(wanted, parameters);
    return {
      connection,
      giveBack: async ({ usable, clean }) => pool.giveBack(wanted, connection, usable && clean && parameters === ''),
    };
  }
  const lasting = prelude({ ...request, settings: [] }, role, readerLimits);
  const { connection, giveBack } = await sessions.borrow(request.session, () => pool.take(lasting, ''));
  try {
    const restore = await setForOneQuery(connection, request.settings);
    const more = [request.database === null ? '' : lasting, parameters].filter(Boolean).join(';\n');
    if (more !== '') await connection.query(more);
    return {
      connection,
      async giveBack({ usable }) {
        const restored =
          restore === '' ||
          (await connection.query(restore).then(
            () => true,
            () => false,
          ));
        giveBack(usable && restored);
      },
    };
  } catch (error) {
    giveBack(true);
    throw error;
  }
}

/** Sets what the URL asks for and tells how to undo it: what a session SETs itself has to stay. */
async function setForOneQuery(connection: Connection, settings: QueryRequest['settings']): Promise<string> {
  if (settings.length === 0) return '';
  const wanted = assignments(settings);
  const names = settings.map(([name]) => `'${name}'`).join(', ');
  const { bytes } = await connection.query(
    `SELECT name, value, changed FROM system.settings WHERE name IN (${names})`,
    'JSONCompactEachRow',
  );
  const before = bytes
    .toString('utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as [string, string, number]);
  await connection.query(`SET ${wanted}`);
  return before
    .map(([name, value, changed]) => (changed === 1 ? `SET ${assignments([[name, value]])}` : `SET ${name} = DEFAULT`))
    .join('; ');
}

function openWriter({ parts, request, response, headers }: Run, format: string | null) {
  const result: Record<string, string> = {
    ...headers,
    'Content-Type': format === null ? 'text/plain; charset=UTF-8' : contentTypeOf(format),
    ...(format === null ? {} : { 'X-ClickHouse-Format': format }),
  };
  const isNative = format?.toLowerCase() === 'native';
  return createResultWriter(response, {
    headers: result,
    encoding: request.encoding,
    blocks: request.compress,
    holdBytes: format !== null && reportsProgress(format) ? 0 : holdBytes,
    translation: isNative && request.protocolVersion > 0 ? addBlockInfo(request.protocolVersion) : null,
    holdFile: request.waitEnd ? join(parts.run, `held-${(heldCount += 1)}`) : null,
    version: parts.identity.version,
  });
}

function commonHeaders({ identity }: ServerParts, request: QueryRequest): Record<string, string> {
  return {
    'X-ClickHouse-Query-Id': headerText(request.queryId),
    'X-ClickHouse-Server-Display-Name': identity.displayName,
    'X-ClickHouse-Timezone': identity.timezone,
  };
}

/** A header holds one line of Latin letters, whatever the client calls its query. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 1024);
}
