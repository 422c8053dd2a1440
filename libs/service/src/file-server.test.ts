import { createServer, request as httpRequest, type Server } from 'node:http';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFileServer } from './file-server.js';

const root = mkdtempSync(join(tmpdir(), 'tidemark-files-'));
const directory = join(root, 'page');
const SCRIPT = 'console.log("hello");\n'.repeat(50);
let server: Server;

beforeAll(async () => {
  mkdirSync(join(directory, 'assets'), { recursive: true });
  writeFileSync(join(root, 'secret.txt'), 'secret');
  writeFileSync(join(directory, 'index.html'), '<!doctype html><title>x</title>');
  writeFileSync(join(directory, 'assets', 'main-Ab12_-9z.js'), SCRIPT);
  writeFileSync(join(directory, 'assets', 'main-Ab12_-9z.js.br'), brotliCompressSync(SCRIPT));
  writeFileSync(join(directory, 'assets', 'main-Ab12_-9z.js.gz'), gzipSync(SCRIPT));
  const files = createFileServer({ directory });
  server = createServer((request, response) => files(request, response, () => response.writeHead(418).end()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(() => {
  server?.close();
  rmSync(root, { recursive: true, force: true });
});

interface Answer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  body: Buffer;
}

/** Sends the path as it is: `fetch` would tidy the dots away. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo;
    const request = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
      );
    });
    request.on('error', reject);
    request.end();
  });
}

const ASSET = '/assets/main-Ab12_-9z.js';

describe('the file server', () => {
  it('answers / with the index, under headers that let nothing foreign run', async () => {
    const { status, headers, body } = await ask('/?x=1');
    expect(status).toBe(200);
    expect(body.toString()).toBe('<!doctype html><title>x</title>');
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(headers['cache-control']).toBe('no-cache');
    const policy = String(headers['content-security-policy']).split('; ');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy.join()).not.toMatch(/unsafe|https?:|\*/);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  });

  it('sends the best encoding that the browser takes, and names with a digest for good', async () => {
    const br = await ask(ASSET, { 'accept-encoding': 'gzip, deflate, br' });
    expect(br.headers).toMatchObject({ 'content-encoding': 'br', vary: 'accept-encoding' });
    expect(br.headers['cache-control']).toContain('immutable');
    expect(brotliDecompressSync(br.body).toString()).toBe(SCRIPT);
    const gzip = await ask(ASSET, { 'accept-encoding': 'gzip, br;q=0' });
    expect(gzip.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(gzip.body).toString()).toBe(SCRIPT);
    const plain = await ask(ASSET);
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.body.toString()).toBe(SCRIPT);
    expect(Number(plain.headers['content-length'])).toBe(Buffer.byteLength(SCRIPT));
  });

  it('answers 304 to whoever has it already, and HEAD without a body', async () => {
    const { headers } = await ask(ASSET);
    const again = await ask(ASSET, { 'if-none-match': `"other", W/${String(headers['etag'])}` });
    expect(again.status).toBe(304);
    expect(again.body.length).toBe(0);
    const head = await ask(ASSET, {}, 'HEAD');
    expect([head.status, head.body.length]).toEqual([200, 0]);
  });

  it.each([
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '//etc/passwd',
    '/assets',
    '/assets/main-Ab12_-9z.js.br',
    '/constructor',
    '/index.html%00.js',
  ])('gives %s on to what comes after it', async (path) => {
    expect((await ask(path)).status).toBe(418);
  });

  it('gives on what is no reading', async () => {
    expect((await ask('/', {}, 'POST')).status).toBe(418);
  });

  it('says how to build a page that is not there', () => {
    expect(() => createFileServer({ directory: join(root, 'none') })).toThrow(
      /none has no index\.html: build the page/,
    );
  });
});
