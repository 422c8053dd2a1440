import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Connection, Engine } from './engine.js';
import type { EmbeddedUsers } from './options.js';

const reserved = new Set(
  'query database user password default_format query_id session_id session_check session_timeout enable_http_compression compress decompress wait_end_of_query buffer_size quota_key role'.split(
    ' ',
  ),
);

export function createHttpServer(engine: Engine, users: EmbeddedUsers): Server {
  return createServer((request, response) => {
    answer(engine, users, request, response).catch((error: unknown) => fail(response, error));
  });
}

async function answer(engine: Engine, users: EmbeddedUsers, request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/ping') {
    response.end('Ok.\n');
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  let body: Buffer = Buffer.concat(chunks);
  if (request.headers['content-encoding'] === 'gzip') body = gunzipSync(body);
  const reader = authenticate(users, request, url);
  const connection = engine.connect();
  try {
    const sql = url.searchParams.get('query') ?? '';
    await prepare(connection, url, reader);
    const format = url.searchParams.get('default_format') ?? 'TabSeparated';
    response.setHeader('X-ClickHouse-Query-Id', url.searchParams.get('query_id') ?? randomUUID());
    if (/^\s*insert\b/i.test(sql) && body.length > 0) {
      const { rowsWritten, bytesWritten } = await connection.insert(`${sql.trimEnd()}\n`, body);
      const summary = { written_rows: String(rowsWritten), written_bytes: String(bytesWritten) };
      response.setHeader('X-ClickHouse-Summary', JSON.stringify(summary));
      response.end();
      return;
    }
    const { bytes } = await connection.query(`${sql}\n${body.toString('utf8')}`, format);
    response.setHeader('X-ClickHouse-Format', format);
    response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
    if (
      url.searchParams.get('enable_http_compression') === '1' &&
      request.headers['accept-encoding']?.includes('gzip')
    ) {
      response.setHeader('Content-Encoding', 'gzip');
      response.end(gzipSync(bytes));
    } else response.end(bytes);
  } finally {
    connection.close();
  }
}

function authenticate(users: EmbeddedUsers, request: IncomingMessage, url: URL): boolean {
  const basic = /^Basic (.*)$/i.exec(request.headers.authorization ?? '');
  const [user, password] = basic
    ? Buffer.from(basic[1]!, 'base64').toString('utf8').split(/:(.*)/s)
    : [
        request.headers['x-clickhouse-user'] ?? url.searchParams.get('user') ?? 'default',
        request.headers['x-clickhouse-key'] ?? url.searchParams.get('password') ?? '',
      ];
  for (const [role, known] of Object.entries(users)) {
    if (known.username === user && known.password === password) return role === 'reader';
  }
  throw new Error(
    `Code: 516. DB::Exception: ${String(user)}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`,
  );
}

async function prepare(connection: Connection, url: URL, reader: boolean) {
  await connection.query('SET implicit_select = 0');
  const database = url.searchParams.get('database');
  if (database) await connection.query(`USE \`${database.replace(/[\\`]/g, '\\$&')}\``);
  for (const [name, value] of url.searchParams) {
    if (reserved.has(name)) continue;
    if (!/^\w+$/.test(name)) throw new Error(`Code: 115. DB::Exception: Unknown setting '${name}'. (UNKNOWN_SETTING)`);
    await connection.query(`SET ${name} = '${value.replace(/[\\']/g, '\\$&')}'`);
  }
  if (reader) await connection.query('SET readonly = 1');
}

function fail(response: ServerResponse, error: unknown) {
  const message = error instanceof Error ? error.message : String(error);
  const code = /^Code: (\d+)/.exec(message)?.[1] ?? '1002';
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.statusCode = code === '516' ? 403 : code === '60' || code === '81' ? 404 : code === '62' ? 400 : 500;
  response.setHeader('X-ClickHouse-Exception-Code', code);
  response.end(`${message} (version 26.7.2.1)\n`);
}
