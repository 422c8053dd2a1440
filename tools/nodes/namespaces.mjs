// Network namespaces of the harness: made, written down before they are made, and taken away again by whoever comes next.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** What was made, so that a run that was killed leaves nothing that the next one does not know. */
const RECORD = '/run/tidemark/nodes.json';
/** Holds the bridge and everything that the hosts talk to. */
export const CORE = 'tidemark-nodes';
export const CORE_ADDRESS = '10.77.0.1';

/** Why the harness cannot run here, in one line; undefined when it can. */
export function whyNoNodes() {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const program of ['ip', 'unshare', 'nsenter', 'gcc', 'make']) {
    if (!has(program)) return `${program} is not installed`;
  }
  try {
    ip('netns', 'add', 'tidemark-probe');
    ip('netns', 'del', 'tidemark-probe');
    return undefined;
  } catch (error) {
    return `network namespaces cannot be made here: ${error.message.split('\n').at(-1)}`;
  }
}

/** Runs `ip`; throws Error with what it said. */
export function ip(...args) {
  try {
    return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Error(`ip ${args.join(' ')}: ${String(error.stderr || error.message).trim()}`, { cause: error });
  }
}

export const hostNamespace = (number) => `tidemark-node-${number}`;

/** Makes the namespace of the core with its bridge, and one with a link to it for every host. Throws Error. */
export function makeNamespaces(nodes) {
  clearLeftovers();
  const names = [CORE, ...Array.from({ length: nodes }, (_, index) => hostNamespace(index + 1))];
  const taken = listed().filter((name) => names.includes(name));
  if (taken.length > 0) throw new Error(`network namespace ${taken[0]} is there and was not made by this harness`);
  remember(names);
  ip('netns', 'add', CORE);
  ip('-n', CORE, 'link', 'set', 'lo', 'up');
  ip('-n', CORE, 'link', 'add', 'hosts', 'type', 'bridge');
  ip('-n', CORE, 'address', 'add', `${CORE_ADDRESS}/16`, 'dev', 'hosts');
  ip('-n', CORE, 'link', 'set', 'hosts', 'up');
  for (let number = 1; number <= nodes; number++) makeHost(number);
}

function makeHost(number) {
  const name = hostNamespace(number);
  ip('netns', 'add', name);
  ip('-n', CORE, 'link', 'add', port(number), 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('-n', CORE, 'link', 'set', port(number), 'master', 'hosts', 'up');
  ip('-n', name, 'address', 'add', `10.77.${1 + (number >> 8)}.${number & 255}/16`, 'dev', 'eth0');
  ip('-n', name, 'link', 'set', 'lo', 'up');
  ip('-n', name, 'link', 'set', 'eth0', 'up');
}

const port = (number) => `node${number}`;

/** Takes the host's link to the bridge down, or up again. */
export function setLink(number, state) {
  ip('-n', CORE, 'link', 'set', port(number), state);
}

/** Ends what runs in the namespaces that were made, and takes them away. */
export function removeNamespaces() {
  const record = recorded();
  if (!record) return;
  const there = new Set(listed());
  const names = record.names.filter((name) => there.has(name));
  for (const name of names) {
    for (const pid of ip('netns', 'pids', name).trim().split('\n')) end(Number(pid));
  }
  for (const name of names) ip('netns', 'del', name);
  rmSync(RECORD, { force: true });
}

/** What a run left that was killed. Throws Error when that run still goes on. */
export function clearLeftovers() {
  const record = recorded();
  if (!record) return;
  if (record.pid !== process.pid && startOf(record.pid) === record.start) {
    throw new Error(`another harness runs as process ${record.pid}: stop it first`);
  }
  removeNamespaces();
}

function recorded() {
  if (!existsSync(RECORD)) return undefined;
  const record = JSON.parse(readFileSync(RECORD, 'utf8'));
  if (!Array.isArray(record.names)) throw new Error(`${RECORD} is damaged: remove it and the namespaces tidemark-…`);
  return record;
}

function remember(names) {
  mkdirSync(dirname(RECORD), { recursive: true, mode: 0o700 });
  writeFileSync(RECORD, JSON.stringify({ pid: process.pid, start: startOf(process.pid), names }), { mode: 0o600 });
}

/** Start time in ticks, which tells a process from another one with its pid; undefined when it is gone. */
function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function listed() {
  return ip('netns', 'list')
    .split('\n')
    .map((line) => line.split(' ')[0])
    .filter((name) => name !== '');
}

function end(pid) {
  if (!(pid > 1)) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}

function has(program) {
  return (process.env.PATH ?? '').split(':').some((directory) => existsSync(`${directory}/${program}`));
}
