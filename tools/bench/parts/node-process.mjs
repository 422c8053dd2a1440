// A Node program of the project as a child: its output is kept, and it is stopped with the benchmark.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const STOP_MS = 15_000;
/** For looking closer: `BENCH_NODE_ARGS='--cpu-prof --cpu-prof-dir=/tmp/profiles'` profiles every part. */
const NODE_ARGS = (process.env.BENCH_NODE_ARGS ?? '').split(' ').filter(Boolean);

/** @returns {{ pid: number, ended: Promise<string>, output(): string, stop(): Promise<void> }} `ended` gives the output */
export function startNode(script, args, env = {}, flags = []) {
  const child = spawn(process.execPath, [...NODE_ARGS, ...flags, join(root, script), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-100_000);
    });
  }
  child.stderr.pipe(process.stderr);
  let stopping = false;
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code === 0 || stopping) resolve(output);
      else reject(new Error(`${script} ended with ${code ?? signal}: ${output.trim().split('\n').at(-1)}`));
    });
  });
  ended.catch((error) => process.stderr.write(`${error.message}\n`));
  return {
    pid: child.pid,
    ended,
    output: () => output,
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended.catch(() => {});
      clearTimeout(late);
    },
  };
}
