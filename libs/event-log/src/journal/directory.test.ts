import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMemoryEventLog } from '../memory/memory-event-log.js';
import { lockDirectory } from './lock.js';

let directory: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tidemark-directory-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  await rm(directory, { recursive: true });
});

async function sleeper(): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  return child;
}

/** A lock as another process would have written it. */
async function foreignLock(change: (own: Record<string, unknown>) => Record<string, unknown>): Promise<string> {
  const lock = await lockDirectory(directory, FAST);
  const path = join(
    directory,
    (await readdir(directory)).find((name) => name.startsWith('LOCK'))!,
  );
  const own = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await lock.release();
  await writeFile(path, JSON.stringify({ ...own, token: 'other', ...change(own) }));
  return path;
}

async function startOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]!;
}

const FAST = { heartbeatMs: 20, silentMs: 200 };

describe('the lock of a journal directory', () => {
  test('keeps a second log out in one line that names the holder, and lets it in after close', async () => {
    const first = await createMemoryEventLog({ journal: { directory } });
    await expect(createMemoryEventLog({ journal: { directory } })).rejects.toMatchObject({
      code: 'EVENT_LOG_JOURNAL',
      message: `journal: ${directory} is in use by this process: stop it, or choose another directory`,
    });
    await first.close();
    const second = await createMemoryEventLog({ journal: { directory } });
    await second.close();
    expect((await readdir(directory)).filter((name) => name.startsWith('LOCK'))).toHaveLength(1);
  });

  test('of a living process holds', async () => {
    const child = await sleeper();
    const start = await startOf(child.pid!);
    await foreignLock(() => ({ pid: child.pid, start }));
    await expect(lockDirectory(directory, FAST)).rejects.toThrow(`in use by process ${child.pid}:`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await lockDirectory(directory, FAST)).release();
  });

  test('of a dead process is taken over, also when its pid is in use again', async () => {
    const child = await sleeper();
    const start = await startOf(child.pid!);
    await foreignLock(() => ({ pid: child.pid, start: String(Number(start) - 1) }));
    await (await lockDirectory(directory, FAST)).release();
    await foreignLock(() => ({ pid: 0x3fffff, start: '1' }));
    await (await lockDirectory(directory, FAST)).release();
  });

  test('of before a reboot is taken over at once', async () => {
    await foreignLock(({ pid, start }) => ({ boot: 'another', pid, start }));
    const before = performance.now();
    await (await lockDirectory(directory, { heartbeatMs: 20, silentMs: 60_000 })).release();
    expect(performance.now() - before).toBeLessThan(20_000);
  });

  test('of another container holds while it is touched, and is taken over when it is silent', async () => {
    const path = await foreignLock(() => ({ namespace: 'pid:[1]', host: 'other-container', pid: 1 }));
    const touching = setInterval(() => void writeTouch(path), 10);
    await expect(lockDirectory(directory, FAST)).rejects.toThrow('in use by process 1 on other-container:');
    clearInterval(touching);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await (await lockDirectory(directory, FAST)).release();
  });

  test.each(['', 'not json', '{"pid":', 'null', '[]'])('that is unreadable (%s) is taken over', async (text) => {
    await writeFile(join(directory, 'LOCK.3'), text);
    await (await lockDirectory(directory, FAST)).release();
  });

  test('goes to exactly one of many that want it at once, round after round', async () => {
    await foreignLock(() => ({ pid: 0x3fffff, start: '1' }));
    for (let round = 0; round < 10; round++) {
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => lockDirectory(directory, FAST)));
      const won = results.filter((result) => result.status === 'fulfilled');
      expect(won).toHaveLength(1);
      await won[0]!.value.release();
      expect(await readdir(directory)).toHaveLength(1);
    }
  });

  test('is held by at most one while many take and release it as they please', async () => {
    let holders = 0;
    let most = 0;
    let taken = 0;
    const want = async (): Promise<void> => {
      while (taken < 40) {
        const lock = await lockDirectory(directory, FAST).catch(() => undefined);
        if (!lock) continue;
        most = Math.max(most, ++holders);
        taken++;
        await new Promise((resolve) => setImmediate(resolve));
        holders--;
        await lock.release();
      }
    };
    await Promise.all(Array.from({ length: 8 }, want));
    expect(most).toBe(1);
    expect(taken).toBeGreaterThanOrEqual(40);
  });
});

async function writeTouch(path: string): Promise<void> {
  await writeFile(path, await readFile(path));
}

describe('a journal directory', () => {
  test('of another format version is refused in one line that says what to do', async () => {
    const log = await createMemoryEventLog({ journal: { directory } });
    await log.close();
    await writeFile(join(directory, 'journal.json'), '{"format":"tidemark-journal","version":2}');
    await expect(createMemoryEventLog({ journal: { directory } })).rejects.toMatchObject({
      code: 'EVENT_LOG_JOURNAL',
      retriable: false,
      message: `journal: ${directory} is of format version 2, this build reads version 1: use the build that wrote it, or move the directory away`,
    });
    const again = await lockDirectory(directory, FAST);
    await again.release();
  });

  test.each(['', '{', 'null', '17', '{"format":"something"}'])('whose description is %s is refused', async (text) => {
    await writeFile(join(directory, 'journal.json'), text);
    await expect(createMemoryEventLog({ journal: { directory } })).rejects.toMatchObject({ code: 'EVENT_LOG_JOURNAL' });
  });

  test('that holds something else is refused and left alone', async () => {
    await writeFile(join(directory, 'thesis.txt'), 'years of work');
    await expect(createMemoryEventLog({ journal: { directory } })).rejects.toThrow(/thesis\.txt and is not a journal/);
    expect(await readdir(directory)).toEqual(['thesis.txt']);
  });

  test('with a segment of another version is refused by the name of the file', async () => {
    const log = await createMemoryEventLog({ journal: { directory } });
    await log.ensureTopics([{ name: 'a', partitions: 1, cleanup: 'delete', retentionMs: 1_000_000 }]);
    await log.append([{ topic: 'a', key: 'k', value: Buffer.from('v') }]);
    await log.close();
    const path = join(directory, 'topics', 'a', '0', '0000000000000000.0.seg');
    const bytes = await readFile(path);
    bytes.writeUInt16LE(9, 6);
    await writeFile(path, bytes);
    await expect(createMemoryEventLog({ journal: { directory } })).rejects.toThrow(`${path} is not a segment`);
  });

  test('that cannot be made is refused in one line', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    await expect(createMemoryEventLog({ journal: { directory: join(file, 'below') } })).rejects.toMatchObject({
      code: 'EVENT_LOG_JOURNAL',
      message: expect.stringMatching(/^journal: opening \S+ failed \(ENOTDIR\): .*$/) as string,
    });
  });

  test('is for its owner only', async () => {
    const journal = join(directory, 'deep', 'journal');
    const log = await createMemoryEventLog({ journal: { directory: journal } });
    await log.ensureTopics([{ name: 'a', partitions: 1, cleanup: 'delete', retentionMs: 1_000_000 }]);
    await log.append([{ topic: 'a', key: 'k', value: Buffer.from('v') }]);
    expect((await stat(journal)).mode & 0o077).toBe(0);
    const segment = join(journal, 'topics', 'a', '0', '0000000000000000.0.seg');
    expect((await stat(segment)).mode & 0o077).toBe(0);
    await log.close();
  });

  test('leaves no timer and no open file behind when it is closed', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const openFiles = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const before = { timers: timers(), files: await openFiles() };
    const log = await createMemoryEventLog({ journal: { directory } });
    await log.ensureTopics([{ name: 'a', partitions: 4, cleanup: 'delete', retentionMs: 1_000_000 }]);
    await log.append(Array.from({ length: 20 }, (_, index) => ({ topic: 'a', key: `k${index}`, value: null })));
    expect(timers()).toBeGreaterThan(before.timers);
    expect(await openFiles()).toBeGreaterThan(before.files);
    await log.close();
    expect(timers()).toBeLessThanOrEqual(before.timers);
    expect(await openFiles()).toBeLessThanOrEqual(before.files);
  });

  test('that is missing is made, with the directories above it', async () => {
    await mkdir(join(directory, 'x'));
    const log = await createMemoryEventLog({ journal: { directory: join(directory, 'x', 'y', 'z') } });
    await log.close();
    expect(await readdir(join(directory, 'x', 'y', 'z'))).toContain('journal.json');
  });
});
