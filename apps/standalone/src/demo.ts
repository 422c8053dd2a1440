import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Part } from '@tidemark/service';

/** Starts a program that leaks 1 MiB a second, for people who want to see a finding. It ends with its parent. */
export function startDemo(): Part & { pid: number } {
  const program = fileURLToPath(new URL('./demo-leak.js', import.meta.url));
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'ignore', 'inherit'] });
  return {
    name: 'demo',
    pid: child.pid ?? 0,
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', () => resolve());
        child.kill('SIGKILL');
      }),
  };
}
