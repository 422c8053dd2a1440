import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONTROL, HEADER, MODE, STATE } from '../ring/format.js';
import { createRingWriter, type RingWriter, type WrittenBlock } from '../ring/ring-writer.oracle.js';
import { openTrace } from '../open-trace.js';
import { ringMappings } from './find-ring.js';
import { openLibraryTrace } from './library-trace.js';
import { noPython, startMappedProcess, type MappedProcess } from './mapped-process.oracle.js';

let folder: string;
let target: MappedProcess;
const writers: RingWriter[] = [];

function control(path: string): Buffer {
  const bytes = Buffer.alloc(64);
  const fd = openSync(path, 'r');
  readSync(fd, bytes, 0, bytes.length, HEADER.control);
  closeSync(fd);
  return bytes;
}

function block(index: number, site: number): WrittenBlock {
  return { address: BigInt(0x10000 + index * 16), size: 10, ticks: 1e9 + index, site, interval: 0, lane: 1 };
}

/** Makes and maps a ring file. */
async function map(options?: Parameters<MappedProcess['map']>[1]): Promise<RingWriter> {
  const writer = await target.map(folder, options);
  writers.push(writer);
  return writer;
}

/** What the library does at its next call: it notes the request, with figures of its own when it was dormant. */
function answer(writer: RingWriter, activation?: number): void {
  if (activation !== undefined) writer.header('activation', activation);
  writer.header('applied', Number(control(writer.path).readBigUInt64LE(CONTROL.generation)));
}

describe.skipIf(noPython !== undefined && process.env['CI'] !== 'true')('the ring file of a process', () => {
  beforeEach(async () => {
    // Sparse files of more than a gigabyte: only tmpfs is sure to have room for the few pages in use.
    folder = mkdtempSync('/dev/shm/tidemark-test-');
    target = await startMappedProcess();
  });
  afterEach(async () => {
    await target.kill();
    for (const writer of writers.splice(0)) writer.close();
    rmSync(folder, { recursive: true });
  });

  it('is found through its mappings, and told what to do: mode last, a lease, a number', async () => {
    const writer = await map();
    writer.control('generation', 41);
    const opening = openLibraryTrace({ pid: target.pid, mode: 'SAMPLED', sampleInterval: 4096, maxFrames: 1 });
    const source = await opening;
    const asked = control(writer.path);
    expect(asked.readUInt32LE(CONTROL.mode)).toBe(MODE.SAMPLED);
    expect(asked.readBigUInt64LE(CONTROL.sampleInterval)).toBe(4096n);
    expect(asked.readUInt32LE(CONTROL.stacks)).toBe(1);
    expect(asked.readUInt32LE(CONTROL.maxFrames)).toBe(1);
    expect(asked.readBigUInt64LE(CONTROL.generation)).toBe(42n);
    expect(asked.readBigUInt64LE(CONTROL.youngNs)).toBe(5_000_000_000n);
    const uptime = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1000;
    const lease = Number(asked.readBigUInt64LE(CONTROL.leaseUntil));
    expect(Math.abs(lease - uptime - 120_000)).toBeLessThan(30_000);
    await source.stop();
    expect(control(writer.path).readUInt32LE(CONTROL.mode)).toBe(MODE.DORMANT);
    expect(existsSync(writer.path)).toBe(true);
  });

  it('counts from the start of the trace, not from what an earlier one left', async () => {
    const writer = await map();
    const site = writer.site([[0, 1]]);
    writer.allocate(block(1, site));
    const source = await openLibraryTrace({ pid: target.pid, mode: 'EXACT' });
    expect((await source.observe()).totals.issued).toBe(0);
    answer(writer, 2);
    writer.header('activatedTicks', 1e9 + 5);
    for (const index of [10, 11]) writer.allocate({ ...block(index, site), lane: 2 });
    const seen = await source.observe();
    expect(seen.totals).toMatchObject({ issued: 2, liveCount: 2 });
    expect(seen.survivorsTotal).toBe(2);
    await source.stop();
  });

  it('renews pulse and lease at each look', async () => {
    const writer = await map();
    const source = await openLibraryTrace({ pid: target.pid, mode: 'EXACT' });
    const before = control(writer.path);
    await sleep(20);
    await source.observe();
    const after = control(writer.path);
    expect(after.readUInt32LE(CONTROL.pulse)).toBeGreaterThan(before.readUInt32LE(CONTROL.pulse));
    expect(after.readBigUInt64LE(CONTROL.leaseUntil)).toBeGreaterThan(before.readBigUInt64LE(CONTROL.leaseUntil));
    expect(after.readUInt32LE(CONTROL.mode)).toBe(MODE.EXACT);
    // Between looks as well, so that the clocks of the threads go on.
    while (control(writer.path).readUInt32LE(CONTROL.pulse) === after.readUInt32LE(CONTROL.pulse)) await sleep(10);
    await source.stop();
    const stopped = control(writer.path);
    await sleep(120);
    expect(control(writer.path)).toEqual(stopped);
  });

  it('is taken over with its figures by a reader that comes after one that was killed', async () => {
    const writer = await map();
    const site = writer.site([[0, 1]]);
    await openLibraryTrace({ pid: target.pid, mode: 'EXACT' });
    answer(writer, 2);
    writer.allocate(block(1, site));
    // The first reader is never heard of again; the library notes the request of the second before it goes on.
    const opening = openLibraryTrace({ pid: target.pid, mode: 'EXACT' });
    await sleep(20);
    answer(writer);
    const second = await opening;
    writer.allocate(block(2, site));
    expect((await second.observe()).totals).toMatchObject({ issued: 2, liveCount: 2 });
    await second.stop();
  });

  it('writes a request over that was not answered, so that no dormancy seems to have been between', async () => {
    const writer = await map();
    const source = await openLibraryTrace({ pid: target.pid, mode: 'EXACT' });
    answer(writer, 2);
    await source.change('SAMPLED', 1000);
    await source.change('EXACT');
    expect(control(writer.path).readBigUInt64LE(CONTROL.generation)).toBe(2n);
    await source.change('DORMANT');
    expect(control(writer.path).readBigUInt64LE(CONTROL.generation)).toBe(3n);
    await source.stop();
  });

  it('is asked again when the library went dormant by itself, and the figures say so', async () => {
    const writer = await map();
    const source = await openLibraryTrace({ pid: target.pid, mode: 'EXACT' });
    answer(writer, 2);
    writer.allocate(block(1, writer.site([[0, 1]])));
    writer.control('mode', MODE.DORMANT);
    const seen = await source.observe();
    expect(seen).toMatchObject({ mode: 'DORMANT', totals: { issued: 1 } });
    expect(seen.warnings.join()).toContain('went dormant');
    expect(control(writer.path).readUInt32LE(CONTROL.mode)).toBe(MODE.EXACT);
    const next = await source.observe();
    expect(next).toMatchObject({ mode: 'EXACT', totals: { issued: 0 }, warnings: [] });
    await source.change('DORMANT');
    expect((await source.observe()).warnings).toEqual([]);
    expect(control(writer.path).readUInt32LE(CONTROL.mode)).toBe(MODE.DORMANT);
    await source.stop();
  });

  it('is read to its end after SIGKILL, and removed by stop', async () => {
    const writer = await map();
    const module = writer.module('/usr/lib/x.so', 'ab');
    const site = writer.site([[module, 77]]);
    const opening = openLibraryTrace({ pid: target.pid, mode: 'EXACT' });
    await sleep(20);
    answer(writer, 2);
    const source = await opening;
    writer.allocate(block(1, site));
    await target.kill();
    const last = await source.observe();
    expect(last).toMatchObject({ ended: true, totals: { liveCount: 1 }, survivorsTotal: 1 });
    expect(await source.observe()).toBe(last);
    await source.stop();
    await source.stop();
    expect(existsSync(writer.path)).toBe(false);
    expect(source.stackOf(site)!.frames[0]).toMatchObject({ address: 77, module: { buildId: 'ab' } });
  });

  it('leaves a file alone that took its name meanwhile', async () => {
    const writer = await map();
    const source = await openLibraryTrace({ pid: target.pid, mode: 'EXACT' });
    await target.kill();
    rmSync(writer.path);
    writeFileSync(writer.path, 'another');
    await source.stop();
    expect(readFileSync(writer.path, 'utf8')).toBe('another');
  });

  it('is replaced by that of the next image after exec, whose sites have numbers of their own', async () => {
    const writer = await map();
    const opening = openLibraryTrace({ pid: target.pid, mode: 'EXACT' });
    await sleep(20);
    answer(writer, 2);
    const source = await opening;
    const site = writer.site([[0, 5]]);
    writer.allocate(block(1, site));
    expect((await source.observe()).sites.map((one) => one.site)).toEqual([site]);
    writer.header('state', STATE.EXECED);
    const next = await map({ name: 'next.ring' });
    renameSync(next.path, writer.path);
    const same = next.site([[0, 6]]);
    const looking = source.observe();
    await sleep(20);
    next.header('activation', 2);
    next.header('applied', 1);
    next.allocate(block(2, same));
    next.allocate(block(3, same));
    const seen = await looking;
    expect(seen.ended).toBe(false);
    expect(seen.totals.allocations).toBe(2);
    expect(seen.sites).toHaveLength(1);
    expect(seen.sites[0]!.site).not.toBe(site);
    expect(source.stackOf(seen.sites[0]!.site)!.frames[0]!.address).toBe(6);
    expect(seen.warnings.join()).toContain('exec');
    await source.stop();
    expect(control(writer.path).readUInt32LE(CONTROL.mode)).toBe(MODE.DORMANT);
  });

  it('is over when the next image runs without the library', async () => {
    const writer = await map();
    let clock = 0;
    const source = await openLibraryTrace(
      { pid: target.pid, mode: 'EXACT' },
      { deps: { clock: () => (clock += 500) } },
    );
    answer(writer, 2);
    writer.allocate(block(1, writer.site([[0, 5]])));
    writer.header('state', STATE.EXECED);
    while (!(await source.observe()).ended) await sleep(1);
    expect((await source.observe()).totals.liveCount).toBe(1);
    await source.stop();
  });

  it('is not taken when it is that of the parent, or of a process that had the number before', async () => {
    await map({ pid: target.pid - 1 });
    await expect(openLibraryTrace({ pid: target.pid, mode: 'EXACT' })).rejects.toMatchObject({ code: 'TRACE_MISSING' });
    await map({ startTime: target.startTime - 1, name: 'old.ring' });
    await expect(openLibraryTrace({ pid: target.pid, mode: 'EXACT' })).rejects.toMatchObject({ code: 'TRACE_MISSING' });
  });

  it('is not taken from where a link was laid to another file', async () => {
    const writer = await map();
    const other = createRingWriter(join(folder, 'other.ring'), { pid: target.pid, startTime: target.startTime });
    writers.push(other);
    rmSync(writer.path);
    symlinkSync(other.path, writer.path);
    const source = await openLibraryTrace({ pid: target.pid, mode: 'EXACT' }).catch((error: Error) => error);
    // The file that is mapped is reached through the mapping itself, where the kernel lets us.
    expect(control(other.path).readUInt32LE(CONTROL.mode)).toBe(MODE.DORMANT);
    if (!(source instanceof Error)) await source.stop();
  });

  it('is found by the process that has ended, when it lies where we had it put', async () => {
    const writer = await map();
    writer.allocate(block(1, writer.site([[0, 5]])));
    await target.kill();
    const source = await openLibraryTrace({ pid: target.pid, mode: 'EXACT' }, { directory: folder });
    expect(await source.observe()).toMatchObject({ ended: true, totals: { liveCount: 1 } });
    await source.stop();
    expect(existsSync(writer.path)).toBe(false);
  });

  it('is refused with its name when it is damaged', async () => {
    const writer = await map();
    writer.raw(Buffer.from([0xff, 0xff]), HEADER.clock);
    await expect(openLibraryTrace({ pid: target.pid, mode: 'EXACT' })).rejects.toMatchObject({
      code: 'TRACE_FORMAT',
      message: expect.stringContaining(writer.path) as string,
    });
    await expect(openTrace({ pid: target.pid, mode: 'EXACT' })).rejects.toMatchObject({
      code: 'TRACE_REFUSED',
      message: expect.stringContaining('clock is') as string,
    });
  });

  it('is found by openTrace, which names why there is none', async () => {
    await map();
    const source = await openTrace({ pid: target.pid, mode: 'EXACT' });
    expect(source).toMatchObject({ means: 'LIBRARY', pid: target.pid });
    await source.stop();
    const { pid } = target;
    await target.kill();
    await expect(openTrace({ pid, mode: 'EXACT' })).rejects.toMatchObject({ code: 'TRACE_GONE' });
  });

  it('has a request refused that is out of range, before anything is written', async () => {
    const writer = await map();
    const before = statSync(writer.path).mtimeMs;
    for (const wrong of [{ sampleInterval: 0 }, { sampleInterval: 1.5 }, { maxFrames: 65 }, { maxFrames: 0 }]) {
      await expect(openLibraryTrace({ pid: target.pid, mode: 'SAMPLED', ...wrong })).rejects.toMatchObject({
        code: 'TRACE_INVALID',
        message: expect.stringContaining(Object.keys(wrong)[0]!) as string,
      });
    }
    expect(statSync(writer.path).mtimeMs).toBe(before);
  });
});

describe('mappings', () => {
  it('are those that are shared and writable, of files called *.ring, each file once', () => {
    const maps = [
      '7f0000000000-7f0000001000 rw-s 00000000 00:19 12                         /dev/shm/tidemark.0/7.ring',
      '7f0000001000-7f0000002000 rw-s 00001000 00:19 12                         /dev/shm/tidemark.0/7.ring',
      '7f0000003000-7f0000004000 r--s 00000000 00:19 13                         /dev/shm/read.ring',
      '7f0000005000-7f0000006000 rw-p 00000000 00:19 14                         /dev/shm/private.ring',
      '7f0000007000-7f0000008000 rw-s 00000000 00:19 15                         /a dir/9.ring (deleted)',
      '7f0000009000-7f000000a000 rw-s 00000000 00:19 16                         /dev/shm/x.rings',
      '7f000000b000-7f000000c000 rw-p 00000000 00:00 0                          [heap]',
    ].join('\n');
    expect(ringMappings(maps)).toEqual([
      { range: '7f0000000000-7f0000001000', inode: 12, path: '/dev/shm/tidemark.0/7.ring' },
      { range: '7f0000007000-7f0000008000', inode: 15, path: '/a dir/9.ring' },
    ]);
  });
});
