import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { graphqlClient, type GraphqlClient } from './graphql-client.js';
import { until } from './until.js';

const MAIN = join(import.meta.dirname, '..', '..', 'apps', 'standalone', 'dist', 'main.js');

export interface RunningStandalone extends GraphqlClient {
  readonly process: ChildProcess;
  readonly url: string;
  readonly historyUrl: string;
  readonly reader: { username: string; password: string };
  /** Everything it printed so far, both streams. */
  output(): string;
  kill(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** A data directory of its own, removed by `remove`. */
export function dataDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }) };
}

/** Starts the built standalone on ports of its own and waits until it says that it is up. */
export async function startStandalone(data: string, ...args: string[]): Promise<RunningStandalone> {
  const child = spawn(
    process.execPath,
    [MAIN, '--data', data, '--port', '0', '--history-port', '0', '--set', 'log.format=json', ...args],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => void (output += `${line}\n`));
  }
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const address = (label: string) => new RegExp(`${label}\\s+(http://\\S+)`).exec(output)?.[1];
  await until('the standalone to be up', () => {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`the standalone ended with ${child.exitCode ?? child.signalCode}:\n${output}`);
    }
    return address('GraphQL') !== undefined && output.includes('Stop with Ctrl-C');
  });
  const url = address('GraphQL') ?? '';
  return {
    process: child,
    url,
    historyUrl: address('History') ?? '',
    reader: { username: 'reader', password: /password (\S+)\)/.exec(output)?.[1] ?? '' },
    output: () => output,
    kill: (signal) => {
      child.kill(signal);
      return exited;
    },
    ...graphqlClient(url),
  };
}
