// redis-server under redis-benchmark: one server a call, on a socket of its own, nothing kept.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const TESTS = 'set,get,lpush,hset';

/**
 * Requests a second over all tests (total requests by total time), and microseconds of the server's CPU time for each, which the
 * neighbours of the machine touch less; undefined when redis is not installed.
 * `environment`: of the server alone; `directory`: for its socket.
 */
export async function redisThroughput({ environment, directory, scale }) {
  if (spawnSync('redis-server', ['--version']).error || spawnSync('redis-benchmark', ['--version']).error)
    return undefined;
  const socket = join(directory, 'redis.sock');
  const server = spawn(
    'redis-server',
    ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--daemonize', 'no'],
    { env: { ...process.env, ...environment }, stdio: 'ignore', cwd: directory },
  );
  const ended = once(server, 'exit');
  try {
    await listening(socket, server);
    const requests = Math.max(1000, Math.round(100_000 * scale));
    const args = ['-s', socket, '-t', TESTS, '-n', String(requests), '-c', '50', '-r', '100000', '-d', '100', '--csv'];
    const done = spawnSync('redis-benchmark', args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`redis-benchmark ended with ${done.status}: ${done.stderr}`);
    const rates = done.stdout
      .split('\n')
      .slice(1)
      .map((line) => Number(line.split(',')[1]?.replaceAll('"', '')))
      .filter((rate) => rate > 0);
    const rate = rates.length / rates.reduce((sum, one) => sum + 1 / one, 0);
    return { rate, cpuUs: cpuSeconds(server.pid) / ((rates.length * requests) / 1e6) };
  } finally {
    server.kill('SIGTERM');
    await ended;
  }
}

/** User and system time, fields 14 and 15 of /proc/[pid]/stat, in clock ticks of 10 ms. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function listening(socket, server) {
  for (let tries = 0; tries < 200; tries++) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`);
    if (existsSync(socket) && spawnSync('redis-cli', ['-s', socket, 'ping']).status === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('redis-server does not answer');
}
