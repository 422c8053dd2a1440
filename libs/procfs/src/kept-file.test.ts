import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createReadBuffer, createReadTally, KeptFile, type KeptFileOptions } from './kept-file.js';

let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kept-file-'));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

function kept(options: Partial<KeptFileOptions>): KeptFile {
  const defaults = { path: join(directory, 'file'), records: 'one', compare: true } as const;
  return new KeptFile({ ...defaults, buffer: createReadBuffer(16), tally: createReadTally(), ...options });
}

const text = (file: KeptFile): string => file.buffer.bytes.toString('latin1', 0, file.length);

async function startSleeper(): Promise<ChildProcess> {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  return child;
}

describe('KeptFile', () => {
  it('tells a changed block from the same one, to the byte', () => {
    const file = kept({});
    writeFileSync(file.path, 'one 1');
    expect(file.read()).toBe('changed');
    expect(text(file)).toBe('one 1');
    expect(file.read()).toBe('same');
    writeFileSync(file.path, 'one 2');
    expect(file.read()).toBe('changed');
    writeFileSync(file.path, 'one');
    expect(file.read()).toBe('changed');
    expect(text(file)).toBe('one');
    expect(file.read()).toBe('same');
    file.forget();
    expect(file.read()).toBe('changed');
    file.close();
  });

  it('keeps the blocks of files that share a buffer apart', () => {
    const buffer = createReadBuffer(16);
    const [a, b] = [kept({ buffer }), kept({ buffer, path: join(directory, 'other') })];
    writeFileSync(a.path, 'aaaa');
    writeFileSync(b.path, 'bbbb');
    expect([a.read(), b.read(), a.read(), b.read()]).toEqual(['changed', 'changed', 'same', 'same']);
    a.close();
    b.close();
  });

  for (const records of ['one', 'many'] as const) {
    it(`grows its buffer until a block of ${records} record fits`, () => {
      const tally = createReadTally();
      const file = kept({ records, tally });
      const content = 'x'.repeat(1000);
      writeFileSync(file.path, content);
      expect(file.read()).toBe('changed');
      expect(text(file)).toBe(content);
      tally.reads = 0;
      expect(file.read()).toBe('same');
      expect(tally).toMatchObject({ reads: records === 'one' ? 1 : 2, opens: 1 });
      appendFileSync(file.path, 'y');
      expect(file.read()).toBe('changed');
      expect(file.length).toBe(1001);
      file.close();
    });
  }

  it('refuses a file above its limit, and cuts one that it was told to cut', () => {
    const file = kept({ records: 'many', limit: 100 });
    writeFileSync(file.path, 'x'.repeat(101));
    expect(file.read()).toBe('failed');
    expect(file.errorCode).toBe('TOO_LARGE');
    const single = kept({ limit: 100 });
    expect(single.read()).toBe('failed');
    const cut = kept({ records: 'many', cutAt: 40 });
    expect(cut.read()).toBe('changed');
    expect(cut.length).toBe(40);
    for (const each of [file, single, cut]) each.close();
  });

  it('calls a file that is not there gone, and it stays so until it is opened again on purpose', () => {
    const file = kept({});
    expect(file.read()).toBe('gone');
    writeFileSync(file.path, 'now');
    expect(file.read()).toBe('gone');
    file.reopen();
    expect(file.read()).toBe('changed');
    file.close();
    expect(file.read()).toBe('gone');
  });

  it('calls the open file of a process that has exited gone', async () => {
    const child = await startSleeper();
    const file = kept({ path: `/proc/${child.pid}/stat` });
    expect(file.read()).toBe('changed');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(file.read()).toBe('gone');
    expect(file.errorCode).toBe('ESRCH');
    expect(file.isOpen).toBe(false);
  });

  it('calls a file that it may not read denied, and tries anew later', () => {
    const file = kept({});
    writeFileSync(file.path, 'secret');
    chmodSync(file.path, 0o000);
    chmodSync(directory, 0o755);
    const root = process.geteuid?.() === 0;
    try {
      if (root) process.seteuid?.(65_534);
      expect(file.read()).toBe('denied');
      expect(file.errorCode).toBe('EACCES');
    } finally {
      if (root) process.seteuid?.(0);
    }
    chmodSync(file.path, 0o400);
    expect(file.read()).toBe('changed');
    file.close();
  });

  it('names any other error and does not throw', () => {
    const file = kept({ path: directory });
    expect(file.read()).toBe('failed');
    expect(file.errorCode).toBe('EISDIR');
    expect(file.isOpen).toBe(false);
  });

  it('opens again after its descriptor was given back, and still knows the last block', () => {
    const tally = createReadTally();
    const file = kept({ tally });
    writeFileSync(file.path, 'same');
    file.read();
    file.release();
    expect(file.isOpen).toBe(false);
    expect(file.read()).toBe('same');
    expect(tally).toEqual({ opens: 2, reads: 2, bytes: 8 });
    file.close();
  });

  it('loses the address space at an exec, though not the process', async () => {
    const child = spawn('/bin/sh', ['-c', 'read line; exec sleep 600'], { stdio: ['pipe', 'ignore', 'ignore'] });
    children.push(child);
    await once(child, 'spawn');
    const stat = kept({ path: `/proc/${child.pid}/stat` });
    const rollup = kept({ path: `/proc/${child.pid}/smaps_rollup` });
    await expect.poll(() => (stat.read(), text(stat))).toContain('(sh)');
    expect(rollup.read()).toBe('changed');
    child.stdin?.end('go\n');
    await expect.poll(() => (stat.read(), text(stat)), { timeout: 20_000 }).toContain('(sleep)');
    expect(rollup.read()).toBe('gone');
    rollup.reopen();
    expect(rollup.read()).toBe('changed');
    stat.close();
    rollup.close();
  });
});
