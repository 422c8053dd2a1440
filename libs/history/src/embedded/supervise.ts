import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EmbeddedError, type EmbeddedErrorCode } from './embedded-error.js';
import type { ChildOptions, EmbeddedOptions, EmbeddedUsers, FromChild, ToChild } from './options.js';

/** The running server. `pid` is that of the present child: after a crash another one takes its place. */
export interface EmbeddedServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly users: EmbeddedUsers;
  /** How often the child was started anew. */
  readonly restarts: number;
  /** Stops accepting, lets running statements end within the deadline (10 s when left out), then ends the child. */
  stop(deadlineMs?: number): Promise<void>;
  /** Rejects with an EmbeddedError when the child keeps dying; never resolves. */
  readonly failed: Promise<never>;
}

/** More crashes than this within the window, and it is given up. */
const maxCrashes = 5;
const crashWindowMs = 60_000;
const firstPauseMs = 100;
const longestPauseMs = 5_000;
/** Threads for statements come on top; these are for files, compression and for killing queries. */
const spareThreads = 8;

/**
 * Starts the server in a child process and waits until it answers.
 *
 * @throws EmbeddedError with what the child says when it cannot start.
 */
export async function startEmbeddedServer(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const wanted: ChildOptions = {
    directory: resolve(options.directory),
    port: options.port,
    host: options.host ?? '127.0.0.1',
    users: options.users ?? {},
    memoryBytes: options.memoryBytes ?? Math.min(Math.floor(totalmem() / 4), 4 * 2 ** 30),
    lockWaitMs: options.lockWaitMs ?? 3_000,
    concurrency: options.concurrency ?? { running: 4, waiting: 128 },
    roles: options.roles ?? {},
  };
  const first = await startChild(wanted, options);
  return supervise(first, { ...wanted, port: first.port }, options);
}

interface Child {
  process: ChildProcess;
  port: number;
  users: EmbeddedUsers;
}

function supervise(first: Child, wanted: ChildOptions, options: EmbeddedOptions): EmbeddedServer {
  let child = first;
  let restarts = 0;
  let stopping = false;
  let starting: Promise<void> = Promise.resolve();
  const crashes: number[] = [];
  let giveUp: (error: EmbeddedError) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (giveUp = reject));
  // Whoever does not look at it must not be brought down by it.
  failed.catch(() => undefined);

  const watch = () => {
    child.process.once('exit', (code, signal) => {
      if (!stopping) starting = restart(`ended unexpectedly (${signal ?? `exit code ${code}`})`);
    });
  };
  const restart = async (why: string): Promise<void> => {
    const now = Date.now();
    crashes.push(now);
    const recent = crashes.filter((at) => now - at < crashWindowMs).length;
    if (recent > maxCrashes) {
      const sentence = `The embedded ClickHouse of ${wanted.directory} ${why}, the ${recent}th time within a minute: given up.`;
      options.logger?.error({ directory: wanted.directory }, sentence);
      giveUp(new EmbeddedError('KEEPS_CRASHING', sentence));
      return;
    }
    const pauseMs = Math.min(firstPauseMs * 2 ** (recent - 1), longestPauseMs);
    options.logger?.warn({ directory: wanted.directory, pauseMs }, `embedded ClickHouse ${why}; starting it again`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (stopping) return;
    try {
      child = await startChild(wanted, options);
      restarts += 1;
      if (stopping) send(child.process, { kind: 'stop', deadlineMs: 0 });
      else watch();
    } catch (error) {
      await restart(`did not start again (${error instanceof Error ? error.message : String(error)})`);
    }
  };
  watch();

  return {
    url: `http://${wanted.host.includes(':') ? `[${wanted.host}]` : wanted.host}:${wanted.port}`,
    port: wanted.port,
    users: first.users,
    get pid() {
      return child.process.pid ?? 0;
    },
    get restarts() {
      return restarts;
    },
    failed,
    async stop(deadlineMs = 10_000) {
      stopping = true;
      await starting;
      await stopChild(child.process, deadlineMs);
    },
  };
}

/** The built entry, also when this file runs from source. */
function childEntry(): string {
  const beside = fileURLToPath(new URL('./main.js', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/embedded/main.js', import.meta.url));
}

async function startChild(wanted: ChildOptions, { logger }: EmbeddedOptions): Promise<Child> {
  // eslint-disable-next-line no-restricted-properties -- handed on to the child unread
  const env = { ...process.env, TZ: 'UTC', UV_THREADPOOL_SIZE: String(wanted.concurrency.running + spareThreads) };
  const child = fork(childEntry(), [], { env, execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) =>
      logger?.warn({ pid: child.pid }, `embedded ClickHouse: ${line}`),
    );
  }
  child.on('message', (message: FromChild) => {
    if (message.kind === 'log') logger?.[message.level](message.fields, message.message);
  });
  const listening = await new Promise<Extract<FromChild, { kind: 'listening' }>>((resolve, reject) => {
    child.on('message', (message: FromChild) => {
      if (message.kind === 'listening') resolve(message);
      if (message.kind === 'refused') reject(new EmbeddedError(message.code as EmbeddedErrorCode, message.message));
    });
    child.once('error', (error) =>
      reject(new EmbeddedError('START_FAILED', `The embedded ClickHouse cannot be run: ${error.message}`)),
    );
    child.once('exit', (code, signal) => {
      const sentence = `The embedded ClickHouse ended while starting (${signal ?? `exit code ${code}`})`;
      reject(new EmbeddedError('START_FAILED', sentence));
    });
    send(child, { kind: 'start', options: wanted });
  });
  return { process: child, port: listening.port, users: listening.users };
}

function send(child: ChildProcess, message: ToChild): void {
  if (child.connected) child.send(message, () => undefined);
}

function stopChild(child: ChildProcess, deadlineMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs + 1_000);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    send(child, { kind: 'stop', deadlineMs });
  });
}
