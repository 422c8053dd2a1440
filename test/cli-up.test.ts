import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runCli, startCli } from './support/cli.js';
import { dataDirectory } from './support/standalone.js';
import { until } from './support/until.js';

interface Listed {
  processes: { pid: number; program: string; memory: { rss: number } }[];
}

/** Bytes, as the kernel tells. */
function residentOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

describe('tidemark up', () => {
  it(
    'brings the whole system up, answers the other commands, and drains when asked to stop',
    { timeout: 180_000 },
    async () => {
      const data = dataDirectory();
      const up = startCli(['up', '--json', '--data', data.path, '--port', '0', '--history-port', '0']);
      try {
        const url = await until(
          'the address of the API',
          () => /GraphQL\s+(http:\/\/\S+)/.exec(up.stdout() + up.stderr())?.[1],
        );
        const listed = await until('the processes of this host', async () => {
          const { stdout, status } = await runCli(['ps', '--json', '--url', url]);
          const answer = status === 0 ? (JSON.parse(stdout) as Listed) : undefined;
          return answer?.processes.some(({ pid }) => pid === up.child.pid) && answer;
        });
        const itself = listed.processes.find(({ pid }) => pid === up.child.pid);
        expect(itself?.program).toBe('node');
        // It waits for its child and does little else.
        expect(Math.abs((itself?.memory.rss ?? 0) - residentOf(up.child.pid ?? 0))).toBeLessThan(8 * 1024 * 1024);
        expect((await runCli(['top', '--url', url])).stdout).toMatch(/^tidemark \S+ +Linux /);
        const child = Number(
          readFileSync(`/proc/${up.child.pid}/task/${up.child.pid}/children`, 'utf8').trim().split(' ')[0],
        );
        up.child.kill('SIGTERM');
        const { status, signal } = await up.finished;
        expect({ status, signal }).toEqual({ status: 0, signal: null });
        expect(existsSync(`/proc/${child}`)).toBe(false);
      } finally {
        // Asked, not killed: a killed parent would leave its child behind.
        up.child.kill('SIGTERM');
        await up.finished;
        data.remove();
      }
    },
  );

  it('passes the options of the standalone on, and its refusal back', async () => {
    const help = await runCli(['up', '--help']);
    expect(help.status).toBe(0);
    expect(help.stdout).toContain('--history-port');
    const wrong = await runCli(['up', '--port', 'many']);
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain('api.port');
  });
});
