import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { TraceSource } from '../trace-source.js';
import { openUprobeTrace, type UprobeDeps } from './open-uprobe-trace.js';
import {
  buildTarget,
  functionsOf,
  groupsOf,
  instancesOf,
  startTarget,
  until,
  whyNotHere,
  type TestTarget,
} from './probe-target.oracle.js';
import { openTracefs } from './tracefs.js';

const reason = await whyNotHere();
const here = reason === null;
if (!here) console.warn(`tests of probes left out: ${reason}`);
const program = here ? buildTarget() : '';
const root = here ? (await openTracefs()).root : '';
/** Neighbours that allocate must not starve a test: the kernel sets probes in them too. */
const generous: UprobeDeps = { options: { hostShare: 1 } };
const whole: UprobeDeps = { options: { hostShare: 2, cpuShare: 1 } };

const deep: UprobeDeps = { options: { hostShare: 2, cpuShare: 1, stackWords: 256 } };

const open: { trace?: TraceSource; target?: TestTarget }[] = [];
afterEach(async () => {
  for (const { trace, target } of open.splice(0)) {
    await trace?.stop();
    await target?.kill();
  }
});

async function begin(
  what: string,
  deps: UprobeDeps,
  wrap: string[] = [],
  file = program,
): Promise<[TraceSource, TestTarget]> {
  const target = await startTarget(file, what, wrap);
  open.push({ target });
  const trace = await openUprobeTrace({ pid: target.pid, mode: 'SAMPLED' }, deps);
  open.push({ trace });
  await until(async () => (await trace.observe()).at > 0);
  return [trace, target];
}

async function settled(trace: TraceSource): Promise<void> {
  // A look drains what is older than some milliseconds.
  await new Promise((resolve) => setTimeout(resolve, 100));
  await trace.observe();
}

describe.skipIf(!here)('a process that runs without the library', { timeout: 120_000 }, () => {
  it('is seen to leak in the function that leaks, and nothing is left of the probes', async () => {
    const [trace, target] = await begin('serve', generous);
    await until(async () => {
      const { sites, survivors } = await trace.observe();
      const most = [...sites].sort((a, b) => b.liveBytes - a.liveBytes)[0];
      return survivors.length >= 50 && most !== undefined && survivors.every(({ site }) => sites[site] !== undefined);
    }, 300);
    const { survivors, totals, sites, at } = await trace.observe();
    const bySite = new Map<number, number>();
    for (const { site } of survivors) bySite.set(site, (bySite.get(site) ?? 0) + 1);
    const [leak] = [...bySite].sort((a, b) => b[1] - a[1])[0]!;
    expect((await functionsOf(trace.stackOf(leak)!)).slice(0, 4)).toEqual([
      'xmalloc',
      'remember_session',
      'serve',
      'main',
    ]);
    const requests = await Promise.all(
      sites.map(async ({ site }) => ({ site, names: await functionsOf(trace.stackOf(site)!) })),
    );
    const churn = requests.find(({ names }) => names[1] === 'handle_request')!.site;
    expect(survivors.filter(({ site }) => site === churn)).toEqual([]);
    expect(sites[churn]!.liveCount).toBeLessThan(sites[churn]!.allocations / 20);
    for (const { time, size } of survivors.filter(({ site }) => site === leak)) {
      expect(at - time).toBeGreaterThanOrEqual(5_000);
      expect(size).toBeGreaterThanOrEqual(100);
      expect(size).toBeLessThan(150);
    }
    expect(totals.issued).toBe(totals.recorded + totals.cancelled + totals.dropped);
    await trace.stop();
    await trace.stop();
    expect((await trace.observe()).totals).toEqual((await trace.observe()).totals);
    expect(instancesOf(root, target.pid)).toEqual([]);
    expect(groupsOf(root, process.pid)).toEqual([]);
    expect(target.child.exitCode).toBeNull();
  });

  it('has every entry point of its allocator told with size and address', async () => {
    const [trace, target] = await begin('entries', whole);
    const addresses = (await target.ask()).map(Number);
    await settled(trace);
    const { sites, totals } = await trace.observe();
    const live = new Map<string, number>();
    for (const site of sites) {
      const [caller] = await functionsOf(trace.stackOf(site.site)!);
      if (site.liveCount > 0) live.set(caller!, site.liveBytes);
    }
    for (const [name, bytes] of Object.entries({
      by_calloc: 3003,
      by_realloc: 40000,
      by_reallocarray: 7021,
      by_posix_memalign: 5005,
      by_aligned_alloc: 6400,
      by_memalign: 7007,
    })) {
      expect([name, live.get(name)]).toEqual([name, bytes]);
    }
    expect(totals.dropped).toBe(0);
    await target.kill();
    await until(async () => (await trace.observe()).ended);
    const { survivors } = await trace.observe();
    for (const address of addresses) expect(survivors.map((one) => one.address)).toContain(address);
  });

  it.each([
    ['as distributions compile', []],
    ['with frame pointers', ['-fno-omit-frame-pointer']],
  ] as const)('has its stacks walked as its own backtrace() walks them: %s', async (_, flags) => {
    const [trace, target] = await begin('stacks', deep, [], buildTarget(flags));
    const said = await target.ask();
    await settled(trace);
    await target.kill();
    await until(async () => (await trace.observe()).ended);
    const { survivors } = await trace.observe();
    expect(said).toHaveLength(4);
    for (const line of said) {
      const [, size, ...printed] = line.split(' ');
      const site = survivors.find((one) => one.size === Number(size))!.site;
      const { frames } = trace.stackOf(site)!;
      const walked = frames.slice(1).map(({ module, address }) => address + (module?.bias ?? 0));
      // Those of libc before main, where its own walk ends one frame sooner or later, are not compared.
      const own = printed.map(Number);
      expect(walked.slice(0, own.length - 2)).toEqual(own.slice(0, -2));
      expect(own.length).toBeGreaterThan(3);
    }
  });

  it('has its stacks walked by frame pointers where there is no other way', async () => {
    const flags = ['-fno-asynchronous-unwind-tables', '-fno-unwind-tables', '-fno-omit-frame-pointer'];
    const [trace, target] = await begin('stacks', deep, [], buildTarget(flags));
    await target.ask();
    await settled(trace);
    await target.kill();
    await until(async () => (await trace.observe()).ended);
    const { survivors } = await trace.observe();
    const stackOf = async (size: number): Promise<string[]> =>
      functionsOf(trace.stackOf(survivors.find((one) => one.size === size)!.site)!);
    expect((await stackOf(111)).slice(0, 3)).toEqual(['deepest', 'stacks', 'main']);
    const recursion = ['deepest', 'with_alloca', ...Array<string>(5).fill('recurse'), 'stacks', 'main'];
    expect((await stackOf(1048)).slice(0, 9)).toEqual(recursion);
  });

  it('has the allocations of threads that live for moments told, and none of its children', async () => {
    const [trace, target] = await begin('threads', whole);
    await target.ask();
    await settled(trace);
    const { sites } = await trace.observe();
    const seen = new Map<string, number>();
    for (const site of sites) {
      const names = await functionsOf(trace.stackOf(site.site)!);
      for (const name of new Set(names)) seen.set(name, (seen.get(name) ?? 0) + site.allocations);
    }
    expect(seen.get('one_request')).toBe(40);
    const sizes = sites.map(({ allocatedBytes, allocations }) => allocatedBytes / allocations);
    expect(sizes).not.toContain(777);
  });

  it('ends with its death, and leaves its live blocks behind', async () => {
    const [trace, target] = await begin('serve', generous);
    await until(async () => (await trace.observe()).totals.liveCount > 20);
    await target.kill();
    await until(async () => (await trace.observe()).ended);
    const last = await trace.observe();
    expect(last.survivorsTotal).toBeGreaterThan(20);
    expect((await trace.observe()).totals).toEqual(last.totals);
    expect(instancesOf(root, target.pid)).toEqual([]);
    expect(groupsOf(root, process.pid)).toEqual([]);
  });

  it('ends with the program that another one replaces', async () => {
    const [trace, target] = await begin('exec', generous);
    target.send();
    await until(async () => (await trace.observe()).ended);
    expect((await trace.observe()).warnings.join()).toContain('executed another program');
    expect(instancesOf(root, target.pid)).toEqual([]);
    expect(target.child.exitCode).toBeNull();
  });

  it('can be traced twice at once, and stopping one trace leaves the other', async () => {
    const [first, target] = await begin('serve', generous);
    const second = await openUprobeTrace({ pid: target.pid, mode: 'SAMPLED' }, generous);
    open.push({ trace: second });
    await until(async () => (await second.observe()).totals.allocations > 100);
    await first.stop();
    const before = (await second.observe()).totals.issued;
    await until(async () => (await second.observe()).totals.issued > before);
    expect(instancesOf(root, target.pid)).toHaveLength(1);
  });

  it('may live in another mount namespace', async () => {
    const wrap = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /mnt && exec "$0" "$@"'];
    const [trace] = await begin('serve', generous, wrap);
    await until(async () => (await trace.observe()).totals.allocations > 100);
    const names = await Promise.all(
      (await trace.observe()).sites.map(async ({ site }) => functionsOf(trace.stackOf(site)!)),
    );
    expect(names.map((one) => one[1])).toContain('handle_request');
  });

  it('that allocates without a pause is watched in short windows within the budget, in bounded memory', async () => {
    const [trace, target] = await begin('flood', { options: { hostShare: 2, maxBlocks: 5_000 } });
    await until(async () => (await trace.observe()).warnings.some((line) => line.includes('windows')), 200);
    const { totals } = await trace.observe();
    expect(totals.liveCount).toBeLessThan(totals.allocations);
    expect(totals.issued).toBe(totals.recorded + totals.cancelled + totals.dropped);
    expect(totals.standardError).not.toBeNull();
    expect(process.memoryUsage().rss).toBeLessThan(1024 ** 3);
    expect(target.child.exitCode).toBeNull();
  });

  it('is refused in exact mode, with what to do', async () => {
    const target = await startTarget(program, 'serve');
    open.push({ target });
    await expect(openUprobeTrace({ pid: target.pid, mode: 'EXACT' })).rejects.toMatchObject({
      code: 'TRACE_EXACT_NEEDS_LIBRARY',
      message: expect.stringContaining('tidemark trace'),
    });
    expect(instancesOf(root, target.pid)).toEqual([]);
  });
});

describe.skipIf(!here)('a static program', { timeout: 60_000 }, () => {
  const fixed = here ? buildTarget(['-static']) : '';

  it('is traced while it has its symbols', async () => {
    const [trace] = await begin('serve', generous, [], fixed);
    await until(async () => (await trace.observe()).totals.allocations > 100);
    const names = await Promise.all(
      (await trace.observe()).sites.map(async ({ site }) => functionsOf(trace.stackOf(site)!)),
    );
    expect(names.map((one) => one[1])).toContain('handle_request');
  });

  it('is refused without them, and the reason is named', async () => {
    const stripped = buildTarget(['-static', '-s']);
    const target = await startTarget(stripped, 'serve');
    open.push({ target });
    await expect(openUprobeTrace({ pid: target.pid, mode: 'SAMPLED' })).rejects.toMatchObject({
      code: 'TRACE_REFUSED',
      message: expect.stringMatching(/static program without symbols/),
    });
    expect(groupsOf(root, process.pid)).toEqual([]);
  });
});

/** Where the dynamic linker finds a library; null when it does not. */
function installed(name: string): string | null {
  const listed = execFileSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' });
  return new RegExp(`${name.replaceAll('.', '\\.')} .*=> (\\S+)`).exec(listed)?.[1] ?? null;
}

describe.skipIf(!here)('with another allocator', { timeout: 60_000 }, () => {
  const allocators = ['libjemalloc.so.2', 'libtcmalloc_minimal.so.4', 'libmimalloc.so.2'];
  const found = here ? allocators.map((name) => ({ name, path: installed(name) })) : [];
  const wanted = found.filter(({ path }) => path !== null || process.env['CI'] === 'true');
  for (const { name } of found.filter((one) => !wanted.includes(one)))
    console.warn(`${name} is not installed: left out`);

  it.each(wanted)('$name', async ({ name, path }) => {
    expect(path).not.toBeNull();
    const [trace, target] = await begin('entries', whole, ['env', `LD_PRELOAD=${path}`]);
    await target.ask();
    await settled(trace);
    const live = new Map<string, number>();
    for (const site of (await trace.observe()).sites) {
      const [caller] = await functionsOf(trace.stackOf(site.site)!);
      if (site.liveCount > 0) live.set(caller!, site.liveBytes);
    }
    expect(readFileSync(`/proc/${target.pid}/maps`, 'utf8')).toContain(name);
    expect(live.get('by_calloc')).toBe(3003);
    expect(live.get('by_realloc')).toBe(40000);
    expect(live.get('by_posix_memalign')).toBe(5005);
  });
});

describe('a process that is not there', () => {
  it.skipIf(!here)('is named', async () => {
    await expect(openUprobeTrace({ pid: 4_194_303, mode: 'SAMPLED' })).rejects.toMatchObject({ code: 'TRACE_GONE' });
  });

  it('cannot be this one, nor one without a number', async () => {
    await expect(openUprobeTrace({ pid: process.pid, mode: 'SAMPLED' })).rejects.toMatchObject({
      code: 'TRACE_INVALID',
    });
    await expect(openUprobeTrace({ pid: 0, mode: 'SAMPLED' })).rejects.toMatchObject({ code: 'TRACE_INVALID' });
  });
});
