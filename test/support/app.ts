import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from './until.js';

export type AppName = 'collector' | 'processor' | 'writer' | 'api';

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface HealthAnswer {
  live: boolean;
  ready: boolean;
  parts: Record<string, { live: boolean; ready: boolean; detail: string }>;
}

/** A built app in a process of its own. */
export interface RunningApp {
  readonly name: AppName;
  readonly process: ChildProcess;
  /** Where health and metrics are answered, and GraphQL by the API. */
  readonly url: string;
  readonly ended: Promise<Ended>;
  /** Everything it printed so far, both streams. */
  output(): string;
  kill(signal: NodeJS.Signals): Promise<Ended>;
  health(): Promise<HealthAnswer>;
  metrics(): Promise<string>;
}

/** Starts an app on a port of its own and waits until it listens there, not until it is ready. */
export async function startApp(
  name: AppName,
  settings: Readonly<Record<string, string | number>>,
): Promise<RunningApp> {
  const app = spawnApp(name, { [name === 'api' ? 'api.port' : 'status.port']: 0, ...settings });
  const address = () => /(?:Status|GraphQL) (http:\/\/[^/\s]+)/.exec(app.output())?.[1];
  await until(`the ${name} to listen`, () => {
    if (app.process.exitCode !== null || app.process.signalCode !== null) {
      throw new Error(`the ${name} ended:\n${app.output()}`);
    }
    return address();
  });
  const url = address()!;
  return {
    ...app,
    url,
    health: async () => (await (await fetch(`${url}/health/ready`)).json()) as HealthAnswer,
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
  };
}

/** Starts an app that is expected to end by itself, or before it listens. */
export function spawnApp(name: AppName, settings: Readonly<Record<string, string | number>>) {
  const main = join(import.meta.dirname, '..', '..', 'apps', name, 'dist', 'main.js');
  const args = Object.entries({ 'log.format': 'json', ...settings }).flatMap(([key, value]) => [
    '--set',
    `${key}=${value}`,
  ]);
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => void (output += `${line}\n`));
  }
  const ended = new Promise<Ended>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return {
    name,
    process: child,
    ended,
    output: () => output,
    kill: (signal: NodeJS.Signals) => {
      child.kill(signal);
      return ended;
    },
  };
}
