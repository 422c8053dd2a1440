import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { openTrace } from './open-trace.js';
import { traceMeans } from './traceable/trace-means.js';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-open-'));
const running: ChildProcess[] = [];
const noCompiler = spawnSync('cc', ['--version']).status !== 0 && process.env['CI'] !== 'true';

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

async function start(command: string, ...words: string[]): Promise<number> {
  const child = spawn(command, words, { stdio: 'ignore' });
  running.push(child);
  await once(child, 'spawn');
  await sleep(50);
  return child.pid!;
}

describe('opening a trace', () => {
  it('of a process that is gone says so', async () => {
    const { pid } = spawnSync('/bin/true');
    await expect(openTrace({ pid, mode: 'SAMPLED' })).rejects.toMatchObject({
      code: 'TRACE_GONE',
      message: `There is no process ${pid}.`,
    });
  });

  it.skipIf(noCompiler)('of a static program without symbols names the reason', async () => {
    const source = join(folder, 'pause.c');
    writeFileSync(source, '#include <unistd.h>\nint main(void) { return pause(); }\n');
    // With its symbols it could be probed.
    execFileSync('cc', ['-static', '-s', '-o', join(folder, 'pause'), source]);
    const pid = await start(join(folder, 'pause'));
    await expect(openTrace({ pid, mode: 'SAMPLED' })).rejects.toMatchObject({
      code: 'TRACE_REFUSED',
      message: expect.stringContaining('static binary') as string,
    });
  });

  it.skipIf(traceMeans(process.pid).means === null && process.env['CI'] !== 'true')(
    'of every call is refused for a process that runs without the library',
    async () => {
      const pid = await start('sleep', '60');
      await expect(openTrace({ pid, mode: 'EXACT' })).rejects.toMatchObject({ code: 'TRACE_EXACT_NEEDS_LIBRARY' });
    },
  );
});
