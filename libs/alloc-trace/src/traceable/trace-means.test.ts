import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { Refusal } from './refusal.js';
import { traceMeans, type MeansOptions } from './trace-means.js';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-means-'));
const running: ChildProcess[] = [];
const isRoot = process.getuid?.() === 0;
const noCompiler = spawnSync('cc', ['--version']).status !== 0 && process.env['CI'] !== 'true';
const kernelThread = readdirSync('/proc').find((name) => {
  if (!/^\d+$/.test(name) || !existsSync(`/proc/${name}/stat`)) return false;
  return readFileSync(`/proc/${name}/stat`, 'latin1').startsWith(`${name} (kthreadd) `);
});

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function run(command: string, ...words: string[]): number {
  const child = spawn(command, words, { stdio: 'ignore' });
  running.push(child);
  return child.pid!;
}

function refusalOf(pid: number, options: MeansOptions = {}): Refusal | null {
  const found = traceMeans(pid, options);
  return found.means === null ? found.refusal : null;
}

describe('how a process can be traced', () => {
  it('names a process that is not there', () => {
    const { pid } = spawnSync('/bin/true');
    expect(refusalOf(pid)).toMatchObject({ code: 'NO_PROCESS', sentence: `There is no process ${pid}.` });
  });

  it('names a zombie', async () => {
    const parent = spawn('/bin/sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    running.push(parent);
    const text = await new Promise<string>((resolve) => parent.stdout.once('data', (bytes) => resolve(String(bytes))));
    const zombie = Number(text);
    while (!/\) Z /.test(readFileSync(`/proc/${zombie}/stat`, 'latin1'))) await sleep(10);
    expect(refusalOf(zombie)).toMatchObject({ code: 'ZOMBIE' });
  });

  it.skipIf(kernelThread === undefined)('names a thread of the kernel', () => {
    expect(refusalOf(Number(kernelThread))).toMatchObject({ code: 'KERNEL_THREAD' });
  });

  it.skipIf(noCompiler)('names a static program', async () => {
    const source = join(folder, 'pause.c');
    writeFileSync(source, '#include <unistd.h>\nint main(void) { return pause(); }\n');
    const program = join(folder, 'pause');
    execFileSync('cc', ['-static', '-o', program, source]);
    const pid = run(program);
    await sleep(50);
    expect(refusalOf(pid)).toMatchObject({
      code: 'STATIC',
      sentence: expect.stringContaining(program) as string,
    });
  });

  describe('without the library', () => {
    const fakeTracefs = (name: string, ...files: string[]): string => {
      const path = join(folder, name);
      mkdirSync(path);
      for (const file of files) writeFileSync(join(path, file), '');
      return path;
    };

    it('takes probes where they may be written', () => {
      const tracefs = [fakeTracefs('whole', 'trace', 'uprobe_events')];
      expect(traceMeans(run('sleep', '60'), { tracefs })).toEqual({ means: 'UPROBES' });
    });

    it('names a kernel without uprobes, and tracefs that is not mounted', () => {
      const pid = run('sleep', '60');
      expect(refusalOf(pid, { tracefs: [fakeTracefs('old', 'trace')] })).toMatchObject({ code: 'NO_UPROBES' });
      expect(refusalOf(pid, { tracefs: [join(folder, 'nowhere')] })).toMatchObject({
        code: 'NO_TRACEFS',
        sentence: expect.stringContaining('mount -t tracefs') as string,
      });
    });

    it('names missing rights: the process of somebody else', () => {
      expect(asNobody(() => refusalOf(1))).toMatchObject({ code: 'NO_PRIVILEGE' });
    });
  });
});

/** Does something without the rights of root. */
function asNobody<T>(act: () => T): T {
  if (!isRoot) return act();
  process.setegid!(65_534);
  process.seteuid!(65_534);
  try {
    return act();
  } finally {
    process.seteuid!(0);
    process.setegid!(0);
  }
}
