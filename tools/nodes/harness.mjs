// Many hosts on one: real collectors in namespaces of their own, against one broker, history, writer, processor and API in
// another. Nothing listens outside of them.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createHost } from './host.mjs';
import { CORE, CORE_ADDRESS, makeNamespaces, removeNamespaces } from './namespaces.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..', '..');
const API_PORT = 4000;
/** A core that does not end within this time is ended. */
const STOP_MS = 30_000;

/**
 * Starts the core and boots the hosts; their collectors are started by the caller. Throws Error in one line.
 *
 * @param {{ nodes: number, directory: string, megabytes?: number, programs?: number, say?: (line: string) => void }}
 *   options `megabytes` are held by each of the `programs` of a host.
 */
export async function startHarness({ nodes, directory, megabytes = 16, programs = 2, say = () => {} }) {
  for (const app of ['collector', 'processor', 'writer', 'api']) {
    if (!existsSync(join(root, 'apps', app, 'dist', 'start.js'))) {
      throw new Error(`apps/${app} is not built: run npm run setup`);
    }
  }
  execFileSync('make', ['-s', '-C', here], { stdio: ['ignore', 'ignore', 'inherit'] });
  mkdirSync(directory, { recursive: true });
  say(`Making ${nodes + 1} network namespaces`);
  makeNamespaces(nodes);
  let core;
  const hosts = [];
  try {
    say('Starting broker, history, writer, processor and API');
    core = await startCore(directory);
    const program = join(root, '.cache', 'nodes', 'held-memory');
    for (let number = 1; number <= nodes; number++) {
      const { brokers } = core;
      hosts.push(createHost({ number, directory, root, brokers, program, megabytes, programs }));
    }
    say(`Booting ${nodes} hosts`);
    await Promise.all(hosts.map((host) => host.boot()));
  } catch (error) {
    await core?.stop();
    removeNamespaces();
    throw error;
  }
  return {
    hosts,
    namespace: CORE,
    brokers: core.brokers,
    /** Address of the API inside of the namespace. */
    apiUrl: `http://127.0.0.1:${API_PORT}/graphql`,
    query: (query, variables = {}) => ask(join(directory, 'api.sock'), query, variables),
    /** Rows of a SELECT. */
    sql: (sql) => select(join(directory, 'history.sock'), core.reader, sql),
    /** Runs a program of ours in the core's namespace, and gives the JSON that it prints. */
    inCore: (file, ...args) => runInCore(file, args),
    async stop() {
      await Promise.all(hosts.map((host) => host.stop()));
      await core.stop();
      removeNamespaces();
    },
  };
}

async function startCore(directory) {
  const args = [join(here, 'backbone.mjs'), directory, CORE_ADDRESS, String(API_PORT)];
  const child = spawn('ip', ['netns', 'exec', CORE, process.execPath, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Ctrl-C is ours to answer.
    detached: true,
  });
  const said = [];
  createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void gone.then(() =>
      reject(
        new Error(
          `the core did not start: ${(said.find((line) => line.includes('Error')) ?? said.at(-1) ?? 'it said nothing').trim()}`,
        ),
      ),
    );
  });
  return {
    ...JSON.parse(line),
    async stop() {
      child.stdin.end();
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await gone;
      clearTimeout(late);
    },
  };
}

async function ask(socketPath, query, variables) {
  const text = await post(
    { socketPath, path: '/graphql', type: 'application/json' },
    JSON.stringify({ query, variables }),
  );
  const { data, errors } = JSON.parse(text);
  if (errors || !data) throw new Error(`GraphQL: ${JSON.stringify(errors)}`);
  return data;
}

async function select(socketPath, { username, password }, sql) {
  const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
  const text = await post({ socketPath, path: '/?database=tidemark', headers }, `${sql} FORMAT JSONCompact`);
  return JSON.parse(text).data;
}

function post({ socketPath, path, type = 'text/plain', headers = {} }, body) {
  return new Promise((resolve, reject) => {
    const sent = request(
      { socketPath, path, method: 'POST', headers: { host: 'localhost', 'content-type': type, ...headers } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part) => (text += part));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${path} answered ${response.statusCode}: ${text.slice(0, 300)}`));
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function runInCore(file, args) {
  return new Promise((resolve, reject) => {
    const child = spawn('ip', ['netns', 'exec', CORE, process.execPath, join(here, file), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (part) => (text += part));
    child.once('exit', (code) =>
      code === 0 ? resolve(JSON.parse(text)) : reject(new Error(`${file} ended with ${code}`)),
    );
  });
}
