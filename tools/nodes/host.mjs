// One simulated host: a network namespace, and pid, mount and host name namespaces with a /proc of their own.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { hostNamespace, setLink } from './namespaces.mjs';

/**
 * @param {{ number: number, directory: string, root: string, brokers: string, program: string, megabytes: number,
 *   programs: number }} options
 */
export function createHost({ number, directory, root, brokers, program, megabytes, programs }) {
  const name = `node-${number}`;
  const data = join(directory, name);
  let init;
  let initPid;
  let collector;
  mkdirSync(data, { recursive: true });

  /** Starts the programs of the host; the first of them is its process 1. */
  async function boot() {
    const inside = ['--uts', '--pid', '--fork', '--mount-proc', '--kill-child', 'sh', '-c'];
    const command = `hostname ${name} && exec ${program} ${megabytes} ${programs}`;
    init = spawn('ip', ['netns', 'exec', hostNamespace(number), 'unshare', ...inside, command], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await new Promise((resolve, reject) => {
      createInterface({ input: init.stdout }).once('line', resolve);
      init.once('exit', (code) => reject(new Error(`${name}: its programs ended with ${code}`)));
    });
    initPid = childOf(init.pid);
  }

  /** Starts the collector, and does not wait for it. */
  function startCollector() {
    const main = join(root, 'apps', 'collector', 'dist', 'main.js');
    const settings = {
      ...{ 'node.id': name, 'kafka.brokers': brokers, 'data.directory': data, 'log.format': 'json' },
      'collect.smapsBudget': 10,
    };
    const args = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const out = openSync(join(data, 'collector.log'), 'a');
    const enter = ['--target', String(initPid), '--net', '--pid', '--mount', '--uts'];
    const child = spawn('nsenter', [...enter, process.execPath, main, ...args], { stdio: ['ignore', out, out] });
    closeSync(out);
    const gone = new Promise((resolve) => child.once('exit', resolve));
    collector = { child, gone };
  }

  /** Sends the collector itself a signal, and waits until it has ended. */
  async function killCollector(signal = 'SIGKILL') {
    if (!collector) return;
    const { child, gone } = collector;
    collector = undefined;
    const pid = childOf(child.pid);
    if (pid !== undefined) process.kill(pid, signal);
    await gone;
  }

  return {
    name,
    boot,
    startCollector,
    killCollector,
    /** What the collector printed. */
    output: () => readFileSync(join(data, 'collector.log'), 'utf8'),
    /** Pulls the plug of the network, and puts it in again. */
    cut: () => setLink(number, 'down'),
    mend: () => setLink(number, 'up'),
    /** Resident bytes of each process of the program, from the host's own /proc; by its pids. */
    memory: () => residentBytes(`/proc/${initPid}/root/proc`, 'held-memory'),
    async stop() {
      await killCollector('SIGTERM');
      init?.stdin.end();
    },
  };
}

/** The only child of a process; undefined when it has none. */
function childOf(pid) {
  try {
    const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return pids === '' ? undefined : Number(pids.split(' ')[0]);
  } catch {
    return undefined;
  }
}

function residentBytes(proc, program) {
  const bytes = new Map();
  for (const entry of readdirSync(proc)) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (!readlinkSync(join(proc, entry, 'exe')).endsWith(`/${program}`)) continue;
      const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(join(proc, entry, 'status'), 'utf8')) ?? [];
      if (kib !== undefined) bytes.set(Number(entry), Number(kib) * 1024);
    } catch {
      // It ended meanwhile, or is a kernel thread.
    }
  }
  return bytes;
}
