import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { innerPid, isOver, parseStat, watchProcess } from './process-watch.js';

const noPython = spawnSync('python3', ['--version']).status !== 0 && process.env['CI'] !== 'true';

describe('a watched process', () => {
  it('is alive until it ends, and its watch never takes another one for it', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const watch = watchProcess('/proc', child.pid!);
    expect(watch.alive()).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(watch.alive()).toBe(false);
    expect(() => watchProcess('/proc', child.pid!)).toThrow(`process ${child.pid}: there is none`);
    watch.close();
    watch.close();
    expect(watch.alive()).toBe(false);
  });

  it('is over as a zombie', async () => {
    const parent = spawn('/bin/sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [text] = (await once(parent.stdout, 'data')) as [Buffer];
    const watch = watchProcess('/proc', Number(text));
    expect(watch.alive()).toBe(true);
    while (watch.alive()) await sleep(10);
    expect(parseStat(readFileSync(`/proc/${Number(text)}/stat`, 'latin1'))!.state).toBe('Z');
    watch.close();
    parent.kill('SIGKILL');
  });

  it.skipIf(noPython)('goes on when its first thread has ended before the others', async () => {
    const program = [
      'import ctypes, threading, time',
      'threading.Thread(target=lambda: time.sleep(60)).start()',
      "print('ready', flush=True)",
      'ctypes.CDLL(None).pthread_exit(None)',
    ].join('\n');
    const child = spawn('python3', ['-c', program], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    const stat = (): ReturnType<typeof parseStat> => parseStat(readFileSync(`/proc/${child.pid}/stat`, 'latin1'));
    while (stat()!.state !== 'Z') await sleep(10);
    expect(isOver(stat()!)).toBe(false);
    const watch = watchProcess('/proc', child.pid!);
    expect(watch.alive()).toBe(true);
    watch.close();
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  it('has the number it has for itself', () => {
    expect(innerPid('/proc', process.pid)).toBe(process.pid);
    expect(innerPid('/nowhere', 12)).toBe(12);
  });
});

describe('the line of /proc/PID/stat', () => {
  it('is read whatever the name of the program is', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 20 }),
        fc.nat(2 ** 31),
        fc.integer({ min: 1, max: 500 }),
        (name, start, threads) => {
          const tail = `1 2 3 4 5 4194304 7 8 9 10 11 12 13 14 15 16 ${threads} 0 ${start} 23 24`;
          expect(parseStat(`77 (${name}) S ${tail}\n`)).toEqual({
            state: 'S',
            flags: 4_194_304,
            threads,
            startTime: start,
          });
        },
      ),
    );
  });

  it('is null when it is none', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const found = parseStat(text);
        expect(found === null || Number.isSafeInteger(found.startTime)).toBe(true);
      }),
    );
    expect(parseStat('')).toBeNull();
  });
});
