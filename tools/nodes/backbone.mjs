// Runs inside the namespace of the core: broker, history, writer, processor and API, and two sockets in the file system
// through which API and history are asked from outside. Prints one line of JSON when everything listens; ends with its
// standard input.
import { spawn } from 'node:child_process';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startEmbeddedServer } from '@tidemark/history/embedded';
import { startKafka } from '../kafka/cluster.mjs';

const [directory, address, apiPort] = process.argv.slice(2);
const root = join(fileURLToPath(new URL('.', import.meta.url)), '..', '..');
const children = [];
const users = {
  admin: { username: 'default', password: 'admin-secret' },
  reader: { username: 'reader', password: 'reader-secret' },
};
let kafka;
let history;
let stopping;

process.stdin.on('end', () => void stop()).resume();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

try {
  [kafka, history] = await Promise.all([
    startKafka({ directory: join(directory, 'kafka'), host: address }),
    startEmbeddedServer({ directory: join(directory, 'history'), port: 0, users }),
  ]);
  const brokers = kafka.bootstrap.join(',');
  const log = { 'kafka.brokers': brokers, 'log.format': 'json', 'history.url': history.url };
  const as = ({ username, password }) => ({ 'history.username': username, 'history.password': password });
  await Promise.all([
    app('writer', { ...log, ...as(users.admin) }, 'Recording'),
    app('processor', { ...log, ...as(users.admin) }, 'Judging'),
    app('api', { ...log, ...as(users.reader), 'api.port': apiPort }, 'GraphQL'),
  ]);
  await relay('api.sock', Number(apiPort));
  await relay('history.sock', Number(new URL(history.url).port));
  process.stdout.write(`${JSON.stringify({ brokers, reader: users.reader })}\n`);
} catch (error) {
  if (!stopping) process.stderr.write(`${error.message}\n`);
  await stop(1);
}

/** Starts one of our apps and waits until it says the word. */
function app(name, settings, word) {
  const args = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const main = join(root, 'apps', name, 'dist', 'main.js');
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => line.startsWith(word) && resolve());
    child.once('exit', (code, signal) => {
      reject(new Error(`the ${name} ended with ${code ?? signal}`));
      if (!stopping) process.stderr.write(`the ${name} ended with ${code ?? signal}\n`);
    });
  });
}

/** A socket in the file system is seen from every network namespace. */
function relay(name, port) {
  const server = createServer((from) => {
    const to = createConnection(port, '127.0.0.1');
    for (const [one, other] of [
      [from, to],
      [to, from],
    ]) {
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(join(directory, name), resolve);
  });
}

async function stop(code = 0) {
  if (stopping) return;
  stopping = true;
  await Promise.all(
    children.map(
      (child) =>
        new Promise((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) return resolve();
          child.once('exit', resolve);
          child.kill('SIGTERM');
          setTimeout(() => child.kill('SIGKILL'), 12_000).unref();
        }),
    ),
  );
  await Promise.allSettled([kafka?.stop(), history?.stop()]);
  process.exit(code);
}
