// A program of the drill as a process of its own that can be killed, paused and started again.
import { spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const STOP_MS = 20_000;

/**
 * @param {{ name: string, command: (starts: number) => string[], environment?: Record<string, string>, logFile: string,
 *   onLine?: (line: string) => void, onExit?: (how: string) => void }} options `command` are the arguments of node
 */
export function createPart({ name, command, environment = {}, logFile, onLine = () => {}, onExit = () => {} }) {
  const log = createWriteStream(logFile, { flags: 'a' });
  let child;
  let starts = 0;
  let gone = Promise.resolve();
  /** Ends that nobody asked for: a part that falls over by itself is a finding of the drill. */
  const surprises = [];
  let asked = false;

  function start() {
    if (child) return;
    asked = false;
    const started = spawn(process.execPath, command(starts++), {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    log.write(`--- start ${starts}, process ${started.pid}\n`);
    for (const stream of [started.stdout, started.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`);
        onLine(line);
      });
    }
    gone = new Promise((resolve) => {
      started.once('error', (error) => resolve(surprises.push(error.message)));
      started.once('exit', (code, signal) => {
        if (child === started) child = undefined;
        const how = signal ?? `code ${code}`;
        log.write(`--- ended with ${how}\n`);
        if (!asked) surprises.push(`${name} ended by itself with ${how}`);
        onExit(how);
        resolve();
      });
    });
  }

  return {
    name,
    logFile,
    surprises,
    get pid() {
      return child?.pid;
    },
    get starts() {
      return starts;
    },
    start,
    async kill() {
      asked = true;
      for (const pid of descendants(child?.pid)) signal(pid, 'SIGKILL');
      child?.kill('SIGKILL');
      await gone;
    },
    pause: () => child && [child.pid, ...descendants(child.pid)].forEach((pid) => signal(pid, 'SIGSTOP')),
    resume: () => child && [child.pid, ...descendants(child.pid)].forEach((pid) => signal(pid, 'SIGCONT')),
    /** True when it ended of the request, false when it had to be killed. */
    async stop(ms = STOP_MS) {
      if (!child) return true;
      asked = true;
      let late = false;
      child.kill('SIGTERM');
      const timer = setTimeout(() => {
        late = true;
        void this.kill();
      }, ms);
      await gone;
      clearTimeout(timer);
      return !late;
    },
    gone: () => gone,
    expectEnd: () => (asked = true),
  };
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone already.
  }
}

/** Processes that a process has started, and those that these have. */
export function descendants(pid) {
  if (pid === undefined) return [];
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    return children.flatMap((child) => [Number(child), ...descendants(Number(child))]);
  } catch {
    return [];
  }
}
