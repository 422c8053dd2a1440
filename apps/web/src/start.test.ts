import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@tidemark/service';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readConfig, type WebConfig } from './config.js';
import { startWeb, type WebServer } from './start.js';

const directory = mkdtempSync(join(tmpdir(), 'tidemark-web-'));
/** An API that says what it was asked, and refuses strangers when told to. */
let api: Server;
let apiUrl: string;
let guarded = false;
let asked: { headers: IncomingMessage['headers']; body: string; url: string }[] = [];
let web: WebServer | undefined;

beforeAll(async () => {
  writeFileSync(join(directory, 'index.html'), '<!doctype html><title>page</title>');
  api = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      asked.push({ headers: request.headers, body, url: request.url ?? '' });
      if (guarded && request.headers.authorization !== 'Bearer right') {
        response.writeHead(401, { 'content-type': 'application/json' });
        return response.end('{"errors":[{"message":"no","extensions":{"code":"UNAUTHENTICATED"}}]}');
      }
      response.writeHead(200, { 'content-type': 'application/json', 'x-kept': 'yes' });
      response.write('{"data":');
      // The second half comes later: whoever gathers answers would hold back the first.
      setTimeout(() => response.end('{"__typename":"Query"}}'), 150);
    });
  });
  api.on('upgrade', (request, stream) => {
    asked.push({ headers: request.headers, body: '', url: request.url ?? '' });
    stream.on('error', () => stream.destroy());
    stream.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello');
    stream.on('data', (part: Buffer) => stream.write(part));
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  apiUrl = `http://127.0.0.1:${(api.address() as AddressInfo).port}/graphql`;
});

beforeEach(() => {
  asked = [];
  guarded = false;
});
afterEach(async () => {
  await web?.stop(2_000);
  web = undefined;
});
afterAll(() => {
  api?.closeAllConnections();
  api?.close();
  rmSync(directory, { recursive: true, force: true });
});

async function start(...settings: string[]): Promise<URL> {
  const args = [`web.apiUrl=${apiUrl}`, 'web.port=0', ...settings].flatMap((setting) => ['--set', setting]);
  web = await startWeb(readConfig(args, {}) as WebConfig, silentLogger, directory);
  return new URL(web.url);
}

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
  /** Parts as they came. */
  parts: number;
}

function ask(url: URL, path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: url.port, path, headers, method: body === undefined ? 'GET' : 'POST' };
    const request = httpRequest({ ...options, agent: false }, (response) => {
      const parts: string[] = [];
      response.on('data', (part: Buffer) => parts.push(part.toString()));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          ...{ status: response.statusCode ?? 0, headers: response.headers },
          ...{ body: parts.join(''), parts: parts.length },
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Opens a WebSocket by hand; what comes back until `end` holds. */
function upgrade(url: URL, headers: Record<string, string>, end: (text: string) => boolean, say = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), '127.0.0.1');
    let text = '';
    const lines = Object.entries({ host: url.host, connection: 'upgrade', upgrade: 'websocket', ...headers });
    socket.write(`GET /graphql HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    socket.on('data', (part) => {
      text += part.toString();
      if (say !== '' && text.includes('hello')) socket.write(say);
      if (!end(text)) return;
      socket.destroy();
      resolve(text);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

const JSON_TYPE = { 'content-type': 'application/json' };

describe('the web server', () => {
  it('hands out the page, and passes questions on with their token and in their own time', async () => {
    const url = await start();
    expect((await ask(url, '/')).body).toContain('<title>page</title>');
    const question = '{"query":"{ __typename }"}';
    const answer = await ask(url, '/graphql', { ...JSON_TYPE, authorization: 'Bearer right' }, question);
    expect(answer).toMatchObject({ status: 200, body: '{"data":{"__typename":"Query"}}' });
    expect(answer.parts).toBeGreaterThan(1);
    expect(answer.headers['x-kept']).toBe('yes');
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ body: question, headers: { authorization: 'Bearer right' } });
    // The API checks that it is called by its own name.
    expect(asked[0]!.headers.host).toBe(new URL(apiUrl).host);
  });

  it('passes WebSockets of its own page on, byte by byte', async () => {
    const url = await start();
    const text = await upgrade(
      url,
      { origin: url.origin },
      (got) => got.includes('hello') && got.includes('echo'),
      'echo',
    );
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    expect(text).toContain('hello');
    expect(asked[0]!.headers['origin']).toBeUndefined();
  });

  it.each([
    ['a foreign name (DNS rebinding)', { host: 'evil.example' }],
    ['a foreign page', { origin: 'https://evil.example' }],
    ['a page without an origin', { origin: 'null' }],
  ])('passes nothing on for %s', async (_who, headers) => {
    const url = await start();
    expect((await ask(url, '/graphql', { ...JSON_TYPE, ...headers }, '{}')).status).toBe(403);
    expect(await upgrade(url, headers, (text) => text.includes('\r\n\r\n'))).toMatch(/^HTTP\/1\.1 403 /);
    expect(asked).toEqual([]);
  });

  it('answers under names that were allowed', async () => {
    const url = await start('web.allowedHosts=memory.example');
    const headers = { ...JSON_TYPE, host: 'memory.example', origin: 'https://memory.example' };
    expect((await ask(url, '/graphql', headers, '{}')).status).toBe(200);
  });

  it('beyond loopback passes on only to an API that asks everybody for the token', async () => {
    const url = await start('web.host=0.0.0.0');
    const open = await ask(url, '/graphql', JSON_TYPE, '{}');
    expect(open.status).toBe(403);
    expect(open.body).toContain('API_OPEN');
    expect((await ask(url, '/')).status).toBe(200);
    await web?.stop(1_000);
    guarded = true;
    const again = await start('web.host=0.0.0.0');
    expect((await ask(again, '/graphql', { ...JSON_TYPE, authorization: 'Bearer right' }, '{}')).status).toBe(200);
    expect((await ask(again, '/graphql', JSON_TYPE, '{}')).status).toBe(401);
  });

  it('is ready while the API answers, with a token or without, and lives on without it', async () => {
    const url = await start();
    expect((await ask(url, '/health/ready')).status).toBe(200);
    guarded = true;
    await web?.stop(1_000);
    expect((await ask(await start(), '/health/ready')).status).toBe(200);
    await web?.stop(1_000);
    const lonely = await start('web.apiUrl=http://127.0.0.1:9/graphql');
    expect((await ask(lonely, '/health/ready')).status).toBe(503);
    expect((await ask(lonely, '/health/live')).status).toBe(200);
    const answer = await ask(lonely, '/graphql', JSON_TYPE, '{}');
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body)).toMatchObject({ errors: [{ extensions: { code: 'API_UNREACHABLE' } }] });
    expect(await upgrade(lonely, {}, (text) => text.includes('\r\n\r\n'))).toMatch(/^HTTP\/1\.1 502 /);
  });

  it('answers nothing else', async () => {
    const url = await start();
    expect((await ask(url, '/metrics')).status).toBe(404);
    expect((await ask(url, '/../package.json')).status).toBe(404);
    expect((await ask(url, '/graphql?query={__typename}')).status).toBe(405);
    expect(asked).toEqual([]);
  });

  it('finishes the answer under way when it stops, and ends WebSockets', async () => {
    const url = await start();
    const socket = upgrade(url, { origin: url.origin }, () => false);
    const answer = ask(url, '/graphql', JSON_TYPE, '{}');
    while (asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    await web?.stop(5_000);
    expect((await answer).body).toBe('{"data":{"__typename":"Query"}}');
    expect(await socket).toContain('101');
    await expect(ask(url, '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('names a port that is taken', async () => {
    const { port } = await start();
    const args = ['--set', `web.port=${port}`];
    await expect(startWeb(readConfig(args, {}) as WebConfig, silentLogger, directory)).rejects.toThrow(
      `web.port: port ${port} of 127.0.0.1 is in use by another program`,
    );
  });
});
