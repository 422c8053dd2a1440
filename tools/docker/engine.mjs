// A Docker engine for the tests: the one that answers already, or one that is started here and stopped again.
// `node tools/docker/engine.mjs start|stop|status`
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const START_MS = 60_000;
const STOP_MS = 30_000;
const STANDARD_SOCKET = '/var/run/docker.sock';
/** Images and containers of an engine that is started here; outside the working tree, which tools walk through. */
const DATA = process.env.TIDEMARK_DOCKER_DATA ?? '/var/lib/tidemark-docker';
/** Socket paths are short by the kernel's rule (108 bytes). */
const RUN = process.env.TIDEMARK_DOCKER_RUN ?? '/run/tidemark-docker';
const SOCKET = join(RUN, 'docker.sock');
const PID_FILE = join(RUN, 'dockerd.pid');
const LOG = join(RUN, 'dockerd.log');

/**
 * Address of an engine that answers (`unix:///…` or what DOCKER_HOST says); undefined when none does.
 *
 * @returns {Promise<string | undefined>}
 */
export async function findEngine() {
  const { DOCKER_HOST } = process.env;
  // An address that is no socket is left to the docker command, which knows its certificates.
  if (DOCKER_HOST && !DOCKER_HOST.startsWith('unix://')) return answersCommand(DOCKER_HOST) ? DOCKER_HOST : undefined;
  const sockets = DOCKER_HOST ? [DOCKER_HOST.slice('unix://'.length)] : [STANDARD_SOCKET, SOCKET];
  for (const socket of sockets) if (await answers(socket)) return `unix://${socket}`;
  return undefined;
}

/** Why no engine can be started here, in one line; undefined when one can. */
export function whyNoEngine() {
  if (process.platform !== 'linux') return 'no Docker engine answers, and one is only started on Linux';
  if (process.getuid() !== 0) return 'no Docker engine answers, and only root can start one';
  if (spawnSync('dockerd', ['--version']).error) return 'no Docker engine answers, and there is no dockerd (docker.io)';
  return undefined;
}

/**
 * The engine that answers, else one that is started here with the firewall of the host left as it is: its containers
 * reach each other and are reached through ports published on loopback, not more. Throws Error with the last words of dockerd.
 *
 * @returns {Promise<{ host: string, started: boolean }>}
 */
export async function startEngine() {
  const found = await findEngine();
  if (found) return { host: found, started: false };
  const why = whyNoEngine();
  if (why) throw new Error(why);
  mkdirSync(RUN, { recursive: true, mode: 0o700 });
  mkdirSync(DATA, { recursive: true, mode: 0o710 });
  const places = ['--data-root', DATA, '--exec-root', join(RUN, 'exec'), '-p', PID_FILE, '-H', `unix://${SOCKET}`];
  const harmless = ['--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false', '--ip=127.0.0.1'];
  const log = openSync(LOG, 'w');
  const daemon = spawn('dockerd', [...places, ...harmless], { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  let ended = false;
  daemon.once('exit', () => (ended = true));
  daemon.unref();
  await until(START_MS, async () => ended || (await answers(SOCKET)));
  if (await answers(SOCKET)) return { host: `unix://${SOCKET}`, started: true };
  throw new Error(`dockerd did not start: ${readFileSync(LOG, 'utf8').trim().split('\n').slice(-2).join(' | ')}`);
}

/**
 * Stops the engine that was started here, with all its containers, and no other one.
 *
 * @returns {Promise<boolean>} whether there was one
 */
export async function stopEngine() {
  const pid = existsSync(PID_FILE) ? Number(readFileSync(PID_FILE, 'utf8')) : 0;
  if (!isOurs(pid)) return false;
  const containers = spawnSync('docker', ['-H', `unix://${SOCKET}`, 'ps', '-aq'], { encoding: 'utf8' });
  const ids = containers.stdout.split('\n').filter((id) => id !== '');
  if (ids.length > 0) spawnSync('docker', ['-H', `unix://${SOCKET}`, 'rm', '-f', '-v', ...ids]);
  process.kill(pid, 'SIGTERM');
  await until(STOP_MS, () => !isOurs(pid));
  if (isOurs(pid)) throw new Error(`dockerd (process ${pid}) does not stop; its log is ${LOG}`);
  // A network and mounts of the engine's own making outlive it.
  spawnSync('ip', ['link', 'delete', 'docker0']);
  for (const place of mountsBelow(RUN)) spawnSync('umount', [place]);
  rmSync(RUN, { recursive: true, force: true });
  return true;
}

/** The innermost first. */
function mountsBelow(directory) {
  const places = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  return places.filter((place) => place.startsWith(`${directory}/`)).reverse();
}

/** A pid may have been given to another program since it was written down. */
function isOurs(pid) {
  if (!(pid > 0)) return false;
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words[0].endsWith('dockerd') && words.includes(`unix://${SOCKET}`);
  } catch {
    return false;
  }
}

function answersCommand(host) {
  return spawnSync('docker', ['-H', host, 'version'], { stdio: 'ignore' }).status === 0;
}

function answers(socketPath) {
  return new Promise((done) => {
    const asked = request({ socketPath, path: '/_ping', timeout: 5_000 }, (response) => {
      response.resume();
      done(response.statusCode === 200);
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer')));
    asked.once('error', () => done(false));
    asked.end();
  });
}

async function until(ms, condition) {
  const end = Date.now() + ms;
  while (!(await condition()) && Date.now() < end) await new Promise((wake) => setTimeout(wake, 100));
}

async function main(action) {
  if (action === 'start') {
    const { host, started } = await startEngine();
    process.stdout.write(`${started ? 'started' : 'answers already'}: DOCKER_HOST=${host}\n`);
  } else if (action === 'stop') {
    process.stdout.write((await stopEngine()) ? 'stopped\n' : 'there is no engine that was started here\n');
  } else if (action === 'status') {
    process.stdout.write(`${(await findEngine()) ?? whyNoEngine() ?? 'no engine answers; "start" starts one'}\n`);
  } else throw new Error(`action ${action}: must be start, stop or status`);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv[2]).catch((error) => {
    process.stderr.write(`engine: ${error.message}\n`);
    process.exitCode = 1;
  });
}
