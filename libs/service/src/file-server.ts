import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, relative, sep } from 'node:path';

/** Answers what it has and gives everything else on; the shape that Node's HTTP frameworks call a middleware. */
export type FileServer = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

export interface FileServerOptions {
  /** Read once, whole; beside `NAME` may lie `NAME.br` and `NAME.gz`, the same compressed. */
  directory: string;
  /** What `/` answers with. Default `index.html`. */
  index?: string;
}

interface StoredFile {
  etag: string;
  type: string;
  cacheControl: string;
  plain: Buffer;
  br: Buffer | undefined;
  gzip: Buffer | undefined;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

/** Only what comes from this server runs, loads or is asked; text never becomes script; nobody frames the page. */
const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** Names that carry a digest of their content, as bundlers write them, never change. */
const DIGEST = /-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$/;

/**
 * Serves the files of a directory from memory: what was not there at the start does not exist, so no path leads out.
 * Throws Error when there is no index file.
 */
export function createFileServer({ directory, index = 'index.html' }: FileServerOptions): FileServer {
  if (!existsSync(join(directory, index))) {
    throw new Error(`${directory} has no ${index}: build the page with npm run setup`);
  }
  const files = readFiles(directory);
  files.set('/', files.get(`/${index}`)!);
  return (request, response, next) => {
    const { method, url = '/' } = request;
    const file = method === 'GET' || method === 'HEAD' ? files.get(url.split('?')[0] ?? '/') : undefined;
    if (!file) return next();
    sendFile(file, request, response);
  };
}

function readFiles(directory: string): Map<string, StoredFile> {
  const files = new Map<string, StoredFile>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || /\.(br|gz)$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const plain = readFileSync(path);
    files.set(`/${relative(directory, path).split(sep).join('/')}`, {
      plain,
      etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
      type: TYPES[extname(path)] ?? 'application/octet-stream',
      cacheControl: DIGEST.test(entry.name) ? 'public, max-age=31536000, immutable' : 'no-cache',
      br: readIfThere(`${path}.br`),
      gzip: readIfThere(`${path}.gz`),
    });
  }
  return files;
}

function readIfThere(path: string): Buffer | undefined {
  return existsSync(path) ? readFileSync(path) : undefined;
}

function sendFile(file: StoredFile, request: IncomingMessage, response: ServerResponse): void {
  const shared = { ...HEADERS, etag: file.etag, 'cache-control': file.cacheControl, vary: 'accept-encoding' };
  if (matches(request.headers['if-none-match'], file.etag)) {
    response.writeHead(304, shared);
    return void response.end();
  }
  const encoding = chooseEncoding(file, request.headers['accept-encoding']);
  const body = (encoding && file[encoding]) ?? file.plain;
  response.writeHead(200, {
    ...shared,
    'content-type': file.type,
    'content-length': body.length,
    ...(encoding && { 'content-encoding': encoding }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function matches(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((one) => one.trim().replace(/^W\//, '') === etag);
}

function chooseEncoding(file: StoredFile, header: string | string[] | undefined): 'br' | 'gzip' | undefined {
  const accepted = String(header ?? '')
    .split(',')
    .filter((one) => !/;\s*q=0(\.0*)?\s*$/.test(one))
    .map((one) => one.split(';')[0]?.trim().toLowerCase());
  return (['br', 'gzip'] as const).find((encoding) => file[encoding] !== undefined && accepted.includes(encoding));
}
