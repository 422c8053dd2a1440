import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

/** Runs as an app does, in a process of its own: what ends it is its exit code. */
const directory = mkdtempSync(join(import.meta.dirname, '..', 'dist', 'run-app-'));
afterAll(() => rmSync(directory, { recursive: true }));

async function run(start: string, act: (child: ChildProcess, output: () => string) => Promise<void> = async () => {}) {
  const file = join(directory, `${Math.random()}.mjs`);
  writeFileSync(
    file,
    `import { runApp } from '../run-app.js';
     const never = new Promise(() => {});
     runApp({ name: 'app', log: { level: 'error', format: 'json' }, async start(app) {
       setInterval(() => {}, 1000);
       ${start}
       app.say('started');
     } });`,
  );
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (output += part));
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  await act(child, () => output);
  return { code: await exited, output };
}

async function seen(output: () => string, text: string): Promise<void> {
  while (!output().includes(text)) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a running app', () => {
  it('stops its parts on SIGTERM, last first, and ends with 0', async () => {
    const { code, output } = await run(
      `for (const name of ['log', 'stage']) app.lifecycle.add({ name, stop: async () => app.say('stop ' + name) });`,
      async (child, said) => {
        await seen(said, 'started');
        child.kill('SIGTERM');
      },
    );
    expect(output).toMatch(/Stopping on SIGTERM[^]*stop stage[^]*stop log[^]*Stopped; everything acknowledged is kept/);
    expect(code).toBe(0);
  });

  it('does not wait after a second signal', async () => {
    const { code } = await run(`app.lifecycle.add({ name: 'slow', stop: () => never });`, async (child, said) => {
      await seen(said, 'started');
      child.kill('SIGINT');
      await seen(said, 'Stopping on SIGINT');
      child.kill('SIGINT');
    });
    expect(code).toBe(2);
  });

  it('stops while it is still starting, which is no failure', async () => {
    const { code, output } = await run(
      `app.say('waiting');
       await new Promise((_, reject) => app.stopping.addEventListener('abort', () => reject(new Error('given up'))));`,
      async (child, said) => {
        await seen(said, 'waiting');
        child.kill('SIGTERM');
      },
    );
    expect(output).not.toContain('given up');
    expect(code).toBe(0);
  });

  it.each([
    ['cannot start', `throw new Error('no such broker');`, 'app: no such broker'],
    ['loses what it needs', `return { failed: Promise.reject(new Error('engine died')) };`, 'app: engine died'],
    [
      'has a part that is dead',
      `app.health.log = () => ({ live: false, ready: false, detail: 'thrown out' });`,
      'app: log cannot go on: thrown out',
    ],
  ])('ends with 2 and one line when it %s', async (_, start, line) => {
    const { code, output } = await run(`app.lifecycle.add({ name: 'x', stop: async () => {} }); ${start}`);
    expect(output.split('\n').filter((one) => one.startsWith('app: '))).toEqual([line]);
    expect(code).toBe(2);
  });

  it('drains and ends with 2 after a defect', async () => {
    const { code, output } = await run(
      `app.lifecycle.add({ name: 'x', stop: async () => app.say('drained') });
       setTimeout(() => { throw new Error('a defect') }, 10);`,
    );
    expect(output).toContain('drained');
    expect(output).toContain('a defect');
    expect(code).toBe(2);
  });
});
