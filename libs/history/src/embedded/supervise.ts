import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { EmbeddedOptions, EmbeddedUsers } from './options.js';

export interface EmbeddedServer {
  url: string;
  port: number;
  pid: number;
  users: EmbeddedUsers;
  /** Stops accepting, lets running queries end within the deadline, then ends the child. */
  stop(deadlineMs?: number): Promise<void>;
  /** Rejects when the child keeps dying; never resolves. */
  failed: Promise<never>;
}

export type FromChild =
  { kind: 'listening'; port: number; users: EmbeddedUsers } | { kind: 'refused'; code: string; message: string };

/** Starts the server in a child process and waits until it answers. Rejects with what the child says when it cannot. */
export async function startEmbeddedServer(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const child = fork(childEntry(), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
  const listening = await waitForChild(child, options);
  return {
    url: `http://${options.host ?? '127.0.0.1'}:${listening.port}`,
    port: listening.port,
    pid: child.pid!,
    users: listening.users,
    stop: (deadlineMs = 10_000) => stopChild(child, deadlineMs),
    failed: new Promise<never>(() => {}),
  };
}

/** The built entry, also when this file runs from source. */
function childEntry(): string {
  const beside = fileURLToPath(new URL('./main.js', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/embedded/main.js', import.meta.url));
}

function waitForChild(child: ChildProcess, options: EmbeddedOptions) {
  return new Promise<Extract<FromChild, { kind: 'listening' }>>((resolve, reject) => {
    child.once('message', (message: FromChild) => {
      if (message.kind === 'listening') resolve(message);
      else reject(new Error(message.message));
    });
    child.once('exit', (code, signal) => reject(new Error(`embedded ClickHouse ended at start (${signal ?? code})`)));
    child.send({ directory: options.directory, port: options.port, host: options.host ?? '127.0.0.1' });
  });
}

function stopChild(child: ChildProcess, deadlineMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}
