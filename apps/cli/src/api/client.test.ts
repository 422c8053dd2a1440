import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CliError, Exit } from '../exit-codes.js';
import { createApiClient } from './client.js';

const open: Server[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** The answers of what is no Tidemark API, or none in order; the real API is asked in the cross-process tests. */
async function listen(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
}

function answering(status: number, body: string, type = 'application/json'): RequestListener {
  return (_, response) => response.writeHead(status, { 'content-type': type }).end(body);
}

async function failure(url: string, token?: string, deadlineMs?: number): Promise<CliError> {
  try {
    await createApiClient({ url, token }, deadlineMs).query('{ cluster { version } }');
  } catch (error) {
    if (error instanceof CliError) return error;
    throw error;
  }
  throw new Error('the query did not fail');
}

describe('the API client', () => {
  it('says how to start an API where none listens', async () => {
    const url = await listen(answering(200, ''));
    await new Promise((resolve) => open.splice(0)[0]?.close(resolve));
    const error = await failure(url);
    expect(error.exit).toBe(Exit.Unreachable);
    expect(error.message).toContain(`${url} (connection refused)`);
    expect(error.hint).toMatch(/tidemark up.*--url/);
  });

  it('says that a host name is unknown', async () => {
    const error = await failure('http://no-such-host.invalid/graphql');
    expect(error.exit).toBe(Exit.Unreachable);
    expect(error.message).toMatch(/unknown host|cannot be resolved/);
  });

  it('gives a silent server up at the deadline', async () => {
    const url = await listen(() => {});
    const error = await failure(url, undefined, 200);
    expect(error.exit).toBe(Exit.Unreachable);
    expect(error.message).toContain('no answer within 0.2 s');
  });

  it.each([
    ['a page', answering(200, '<html>hello</html>', 'text/html'), 'HTTP 200, text/html'],
    ['another path', answering(404, 'Not found', 'text/plain'), 'HTTP 404, text/plain'],
    ['JSON of another kind', answering(200, '{"hello":1}'), 'HTTP 200, application/json'],
    ['JSON that is no object', answering(200, '17'), 'HTTP 200'],
    ['errors that are no list', answering(200, '{"errors":{"a":1}}'), 'HTTP 200'],
  ])('tells %s from a Tidemark API', async (_, answer, text) => {
    const error = await failure(await listen(answer));
    expect(error.exit).toBe(Exit.Unreachable);
    expect(error.message).toContain(text);
    expect(error.hint).toContain('--url');
  });

  it.each([
    ['a bare status', answering(401, ''), undefined],
    ['a coded error', answering(200, '{"errors":[{"message":"token","extensions":{"code":"UNAUTHENTICATED"}}]}'), 'x'],
    ['a coded refusal', answering(403, '{"errors":[{"message":"no","extensions":{"code":"FORBIDDEN"}}]}'), 'x'],
  ])('takes %s as denied and says what to do about the token', async (_, answer, token) => {
    const error = await failure(await listen(answer), token);
    expect(error.exit).toBe(Exit.Denied);
    expect(error.hint).toContain(token === undefined ? 'TIDEMARK_TOKEN' : 'not the right one');
  });

  it('passes on what the API refused, with its code', async () => {
    const body = JSON.stringify({ errors: [{ message: 'too deep', extensions: { code: 'QUERY_TOO_DEEP' } }] });
    const error = await failure(await listen(answering(400, body)));
    expect(error.exit).toBe(Exit.Refused);
    expect(error.message).toBe('the API refused: too deep (QUERY_TOO_DEEP)');
  });

  it('sends the token and the variables, and gives the data', async () => {
    let seen: { authorization: string | undefined; body: unknown } | undefined;
    const url = await listen((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        seen = { authorization: request.headers.authorization, body: JSON.parse(text) };
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"data":{"a":1}}');
      });
    });
    await expect(createApiClient({ url, token: 'secret' }).query('{ a }', { x: 1 })).resolves.toEqual({ a: 1 });
    expect(seen).toEqual({ authorization: 'Bearer secret', body: { query: '{ a }', variables: { x: 1 } } });
  });

  it('gives a request up when it is told to', async () => {
    const url = await listen(() => {});
    const stop = new AbortController();
    const answer = createApiClient({ url, token: undefined }).query('{ a }', {}, stop.signal);
    stop.abort();
    await expect(answer).rejects.toThrow('aborted');
  });
});
