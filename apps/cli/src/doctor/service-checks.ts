import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatBytes } from '../terminal/figures.js';
import { limited, missing, ok, type Check } from './check.js';

export interface ServiceNeeds {
  apiPort: number;
  historyPort: number;
  dataDirectory: string;
  /** Directories of programs, as in PATH. */
  path: string;
}

/** What the processes of Tidemark itself need. */
export async function serviceChecks(needs: ServiceNeeds): Promise<Check[]> {
  return [
    nodeVersion(process.versions.node),
    await engine(),
    diskSpace(needs.dataDirectory),
    await portFree('API port', needs.apiPort, '--port'),
    await portFree('history port', needs.historyPort, '--history-port'),
    program(needs.path, 'docker', 'only tests against a real Kafka and ClickHouse want it'),
    program(needs.path, 'java', 'only a local Kafka wants it'),
  ];
}

/** As in the engines of package.json. */
const LEAST_NODE = [20, 19] as const;

export function nodeVersion(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const enough = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]);
  if (!enough) return missing('node', `Node ${version} is too old`, `install Node ${LEAST_NODE.join('.')} or newer`);
  const zstd = major > 22 || (major === 22 && minor >= 15);
  return ok('node', `Node ${version}${zstd ? '' : '; records are compressed with gzip (zstd from 22.15)'}`);
}

const ENGINE_DEADLINE_MS = 30_000;

/** Loads the engine of the embedded history in a process of its own: a library that does not fit this CPU would crash. */
async function engine(): Promise<Check> {
  const name = 'history';
  const advice = 'run "npm run setup"; elsewhere than on glibc Linux, use a ClickHouse server';
  const binary = `@chdb/lib-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`;
  let file: string;
  try {
    const history = fileURLToPath(import.meta.resolve('@tidemark/history'));
    file = createRequire(createRequire(history).resolve('chdb')).resolve(binary);
  } catch {
    return missing(name, `the embedded ClickHouse (${binary}) is not installed`, advice);
  }
  const why = await new Promise<string | undefined>((resolve) => {
    const script = `require(${JSON.stringify(file)})`;
    execFile(process.execPath, ['-e', script], { timeout: ENGINE_DEADLINE_MS }, (error, _, stderr) => {
      const line = stderr.split('\n').find((text) => text.includes('Error')) ?? error?.message;
      resolve(error === null ? undefined : (line ?? 'unknown').trim());
    });
  });
  if (why === undefined) return ok(name, 'the embedded ClickHouse (chDB) loads');
  return missing(name, `the embedded ClickHouse does not load: ${why}`, advice);
}

const COMFORTABLE_BYTES = 2 * 1024 ** 3;
const LEAST_BYTES = 200 * 1024 ** 2;

function diskSpace(directory: string): Check {
  const name = 'disk';
  let existing = directory;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(existing);
    const free = bavail * bsize;
    const found = `${formatBytes(free)} free for ${directory}`;
    if (free >= COMFORTABLE_BYTES) return ok(name, found);
    const advice = 'choose another place: tidemark up --data DIR';
    if (free >= LEAST_BYTES) return limited(name, `${found}: history may have to be short`, advice);
    return missing(name, found, advice);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return missing(name, `${existing} cannot be written (${code})`, 'choose another place: tidemark up --data DIR');
  }
}

async function portFree(name: string, port: number, option: string): Promise<Check> {
  const address = `127.0.0.1:${port}`;
  const code = await new Promise<string | undefined>((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(undefined)));
  });
  if (code === undefined) return ok(name, `${address} is free`);
  const advice = `stop it, or take another: tidemark up ${option} N`;
  if (code !== 'EADDRINUSE') return limited(name, `${address} cannot be taken (${code})`, advice);
  if (await isTidemark(port)) return ok(name, `${address} is taken by a Tidemark that runs`);
  return limited(name, `${address} is taken by another program`, advice);
}

/** Only Tidemark's API answers here with a report of its health by parts. */
async function isTidemark(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/health/live`, { signal: AbortSignal.timeout(2_000) });
    const body: unknown = await answer.json();
    return typeof body === 'object' && body !== null && 'parts' in body;
  } catch {
    return false;
  }
}

function program(path: string, name: string, use: string): Check {
  const found = path
    .split(delimiter)
    .filter(Boolean)
    .map((directory) => join(directory, name))
    .find(isExecutable);
  return found === undefined ? ok(name, `not installed; ${use}`) : ok(name, found);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
