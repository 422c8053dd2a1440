// From the moment a round of the collector begins to the moment a subscriber has its figures, through the whole
// standalone: /proc, event log, live view, graphql-ws. Reference: a bare WebSocket ping to the same server.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

const SAMPLES = Number(process.env.SAMPLES ?? 120);
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const data = mkdtempSync(join(tmpdir(), 'tidemark-latency-'));
const main = join(root, 'apps', 'standalone', 'dist', 'main.js');
const child = spawn(
  process.execPath,
  [main, '--data', data, '--port', '0', '--history-port', '0', '--set', `node.id=${hostname()}`],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
try {
  const url = await address(child);
  const latencies = await follow(url);
  const pings = await ping(url);
  const row = (name, values) => {
    values.sort((a, b) => a - b);
    const at = (share) => values[Math.min(values.length - 1, Math.floor(share * values.length))].toFixed(1);
    process.stdout.write(
      `${name.padEnd(34)} p50 ${at(0.5).padStart(7)} ms   p99 ${at(0.99).padStart(7)} ms   max ${at(1).padStart(7)} ms   n ${values.length}\n`,
    );
  };
  row('round begins → subscriber has it', latencies);
  row('reference: WebSocket ping', pings);
} finally {
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  rmSync(data, { recursive: true, force: true });
}

function address(process) {
  return new Promise((resolve, reject) => {
    createInterface({ input: process.stdout }).on('line', (line) => {
      const url = /GraphQL\s+(http:\S+)/.exec(line)?.[1];
      if (url) resolve(url);
    });
    process.once('exit', (code) => reject(new Error(`the standalone ended with ${code}`)));
  });
}

function follow(url) {
  const client = createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket });
  return new Promise((resolve, reject) => {
    const latencies = [];
    let last = '';
    client.subscribe(
      { query: 'subscription ($id: ID!) { nodeUpdated(id: $id) { sampledAt } }', variables: { id: hostname() } },
      {
        next({ data: received, errors }) {
          if (errors) return reject(new Error(JSON.stringify(errors)));
          const { sampledAt } = received.nodeUpdated;
          // Heartbeats update the node too; only the first news of a round counts.
          if (sampledAt === last) return;
          const first = last === '';
          last = sampledAt;
          if (!first) latencies.push(Date.now() - Date.parse(sampledAt));
          if (latencies.length === SAMPLES) void Promise.resolve(client.dispose()).then(() => resolve(latencies));
        },
        error: reject,
        complete() {},
      },
    );
  });
}

async function ping(url) {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws');
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const times = [];
  for (let n = 0; n < SAMPLES; n++) {
    const start = performance.now();
    await new Promise((resolve) => {
      socket.once('pong', resolve);
      socket.ping();
    });
    times.push(performance.now() - start);
  }
  socket.close();
  return times;
}
