import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, startCli } from './support/cli.js';
import { buildPreload, library, program, whyNot } from './support/preload.js';
import { leakingSites, siteThrough, type TraceReportJson } from './support/trace-report.js';
import { until } from './support/until.js';

const isRoot = process.getuid?.() === 0;
if (!isRoot && process.env['CI'] === 'true') throw new Error('kernel probes take root: CI runs as root');
const noProbes = isRoot ? false : 'kernel probes take root';
const reason = whyNot('programs traced by the command', ['gcc', 'g++', 'make', 'sh']);

interface Truth {
  pid: number;
  churned: number;
  cached: number;
  slots: number;
  slotBytes: number;
  leakedBytes: number;
  leaked: [address: string, size: number][];
}

/** A process that this one has started; undefined while there is none. */
function childOf(pid: number): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? undefined : Number(children.split(' ')[0]);
}

describe.skipIf(reason)('tidemark trace of a program', () => {
  let folder: string;
  const report = (name = 'report.json') => JSON.parse(readFileSync(join(folder, name), 'utf8')) as TraceReportJson;
  const trace = (options: readonly string[], command: readonly string[], env: Record<string, string> = {}) =>
    runCli(['trace', '--json', '-o', join(folder, 'report.json'), ...options, '--', ...command], env);

  beforeAll(() => {
    buildPreload();
    folder = mkdtempSync(join(tmpdir(), 'tidemark-trace-'));
  }, 300_000);
  afterAll(() => folder && rmSync(folder, { recursive: true, force: true }));

  it('names the leak alone, with the very addresses, sizes, times and callers', async () => {
    const before = Date.now();
    const { status, stdout, stderr } = await trace([], [program('leak-churn-cache'), '1000', '50000', '1']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const truth = JSON.parse(stdout) as Truth;
    const found = report();
    expect(found.process).toMatchObject({ pid: truth.pid, exit: { code: 0, signal: null } });

    const leaking = leakingSites(found);
    expect(leaking.map(({ frames }) => frames.slice(0, 3).map((frame) => frame.function))).toEqual([
      ['take_memory', 'leak_at_a', 'main'],
    ]);
    expect(leaking[0]).toMatchObject({ allocations: 1000, frees: 0, liveCount: 1000, liveBytes: truth.leakedBytes });
    expect(leaking[0]?.frames[1]).toMatchObject({ module: 'leak-churn-cache', line: expect.any(Number) as number });
    const atRisk = found.atRisk.filter(({ site }) => site === leaking[0]?.id);
    expect(atRisk.map(({ address, size }) => [address, size])).toEqual(truth.leaked);
    for (const { time, pid, caller } of atRisk) {
      expect(pid).toBe(truth.pid);
      expect(caller).toMatch(/^take_memory \(.*leak-churn-cache\.c:\d+\)$/);
      expect(Date.parse(time)).toBeGreaterThanOrEqual(before - 1);
      expect(Date.parse(time)).toBeLessThanOrEqual(Date.now());
    }
    // A second of pauses lies between the first and the last of them.
    expect(Date.parse(atRisk.at(-1)!.time) - Date.parse(atRisk[0]!.time)).toBeGreaterThan(900);

    expect(siteThrough(found, 'churn_at_b')).toMatchObject({ allocations: truth.churned, frees: truth.churned });
    const cached = siteThrough(found, 'cache_at_c');
    expect(cached.allocations).toBe(truth.cached);
    expect(cached.liveBytes).toBe(cached.liveCount * truth.slotBytes);
    expect(cached.liveCount).toBeLessThanOrEqual(truth.slots);
    const { totals } = found;
    expect(totals.issued).toBe(totals.allocations + totals.frees);
    expect(totals.recorded + totals.cancelled + totals.dropped).toBe(totals.issued);
    expect(totals.dropped).toBe(0);
    expect(totals.standardError).toBeUndefined();
  }, 120_000);

  it('estimates a leak of 64 MiB within four standard errors in each of 20 runs', async () => {
    let named = 0;
    for (let run = 0; run < 20; run++) {
      const { status, stdout } = await trace(
        ['--mode', 'sampled'],
        [program('leak-churn-cache'), '16384', '60000', '0', '4096'],
      );
      expect(status).toBe(0);
      const truth = (JSON.parse(stdout) as Truth).leakedBytes;
      expect(truth).toBe(64 * 1024 * 1024);
      const found = report();
      const { totals } = found;
      const error = totals.standardError;
      expect(error?.liveBytes).toBeGreaterThan(0);
      expect(error?.liveBytes).toBeLessThan(truth / 4);
      // The cache and the list of the leaks are alive, too.
      const others = 512 * 700 + 16385 * 16;
      expect(Math.abs(totals.liveBytes - truth)).toBeLessThan(4 * error!.liveBytes + others);
      expect(Math.abs(siteThrough(found, 'leak_at_a').liveBytes - truth)).toBeLessThan(4 * error!.liveBytes);
      expect(totals.recorded + totals.cancelled + totals.dropped).toBe(totals.issued);
      const leaking = leakingSites(found).map(({ frames }) => frames[1]?.function);
      expect(leaking.filter((name) => name !== 'leak_at_a')).toEqual([]);
      named += leaking.length;
    }
    // Of a run of a tenth of a second, a machine that stops for half of it hides that the births come evenly.
    expect(named).toBeGreaterThan(10);
  }, 400_000);

  it('gives the program its standard streams, exit status and environment', async () => {
    const script = 'cat; echo out; echo err >&2; env | sort; exit 7';
    const bare = execFileSync('sh', ['-c', `${script} || true`.replace('exit 7', 'true')], {
      input: '',
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', TZ: 'UTC' },
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const { status, stdout, stderr } = await trace([], ['sh', '-c', script]);
    expect({ status, stdout, stderr }).toEqual({ status: 7, stdout: bare, stderr: 'err\n' });
    expect(report().process.exit).toEqual({ code: 7, signal: null });
  }, 60_000);

  it('ends with 128 + N when a signal ended the program, and reports all the same', async () => {
    const { status } = await trace([], ['sh', '-c', 'kill -SEGV $$']);
    expect(status).toBe(139);
    expect(report().process.exit).toEqual({ code: null, signal: 'SIGSEGV' });
  }, 60_000);

  it('passes a request to stop on to the program', async () => {
    const running = startCli([
      'trace',
      '-o',
      join(folder, 'stopped.txt'),
      '--',
      'sh',
      '-c',
      'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done',
    ]);
    await until('the program to be up', () => running.stdout().includes('up'), 30_000).finally(() =>
      running.child.kill('SIGTERM'),
    );
    expect(await running.finished).toMatchObject({ status: 3, stdout: 'up\n' });
    expect(readFileSync(join(folder, 'stopped.txt'), 'utf8')).toContain('exit status 3');
  }, 60_000);

  it('loses nothing while the reader stands still for a minute', async () => {
    const report = join(folder, 'stopped-reader.json');
    const options = ['trace', '--json', '-o', report, '--', program('leak-churn-cache'), '6000', '200000', '70'];
    const running = startCli(options);
    await until('a program to be traced', () => childOf(running.child.pid ?? 0), 30_000);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    running.child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    running.child.kill('SIGCONT');
    const { status, stdout } = await running.finished;
    expect(status).toBe(0);
    const truth = JSON.parse(stdout) as Truth;
    const found = JSON.parse(readFileSync(report, 'utf8')) as TraceReportJson;
    expect(found.totals.dropped).toBe(0);
    expect(found.totals.recorded + found.totals.cancelled).toBe(found.totals.issued);
    expect(siteThrough(found, 'leak_at_a')).toMatchObject({ liveCount: 6000, liveBytes: truth.leakedBytes });
    expect(siteThrough(found, 'churn_at_b').frees).toBe(truth.churned);
    expect(leakingSites(found).map(({ frames }) => frames[1]?.function)).toEqual(['leak_at_a']);
  }, 180_000);

  it('follows a chain of execs, and children only when asked', async () => {
    const leak = program('leak-churn-cache');
    await trace([], ['sh', '-c', `exec env exec_chain=1 ${leak} 300 3000`]);
    expect(siteThrough(report(), 'leak_at_a').liveCount).toBe(300);
    expect(report().children).toBeUndefined();

    const shell = ['sh', '-c', `${leak} 200 2000 1; true`];
    await trace([], shell);
    expect(report().sites.some(({ frames }) => frames.some((frame) => frame.function === 'leak_at_a'))).toBe(false);
    await trace(['--children'], shell);
    const child = report().children?.find((each) => each.process.program === 'leak-churn-cache');
    expect(child && siteThrough(child, 'leak_at_a').liveCount).toBe(200);
  }, 120_000);

  it('refuses what cannot be traced, in one line with the reason, and does not run it', async () => {
    const source = join(folder, 'static.c');
    writeFileSync(source, '#include <stdio.h>\nint main(void) { puts("ran"); return 0; }\n');
    execFileSync('gcc', ['-static', '-o', join(folder, 'static'), source]);
    expect(await runCli(['trace', '--', join(folder, 'static')])).toMatchObject({
      status: 126,
      stdout: '',
      stderr: expect.stringMatching(/^tidemark: [^\n]*static[^\n]*\n$/) as string,
    });
    copyFileSync(program('leak-churn-cache'), join(folder, 'elevated'));
    chmodSync(join(folder, 'elevated'), 0o4755);
    if (process.getuid?.() === 0) execFileSync('chown', ['nobody', join(folder, 'elevated')]);
    chmodSync(join(folder, 'elevated'), 0o4755);
    expect(await runCli(['trace', '--', join(folder, 'elevated')])).toMatchObject({
      status: 126,
      stdout: '',
      stderr: expect.stringMatching(/^tidemark: [^\n]*setuid[^\n]*\n$/i) as string,
    });
    expect(await runCli(['trace', '--', 'no-such-program'])).toMatchObject({
      status: 127,
      stdout: '',
      stderr: expect.stringMatching(/^tidemark: [^\n]*no-such-program[^\n]*\n$/) as string,
    });
  }, 60_000);

  it('tells before the program runs that a file cannot be written', async () => {
    const { status, stdout, stderr } = await runCli(['trace', '-o', '/nowhere/report', '--', 'echo', 'ran']);
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toContain('--output /nowhere/report cannot be written');
  });

  it('writes a report that a person can read, to standard error', async () => {
    const { stdout, stderr } = await runCli(['trace', '--', program('leak-churn-cache'), '500', '20000']);
    expect(() => JSON.parse(stdout) as unknown).not.toThrow();
    expect(stderr).toMatch(/^Verdict {8}1 of \d+ sites leaks: [\d.]+ [KM]iB in 500 blocks never freed$/m);
    expect(stderr).toMatch(/^1 +(SUSPECTED|CONFIRMED) .* leak_at_a leak-churn-cache\.c:\d+ › take_memory$/m);
    expect(stderr).toMatch(/^Lost {11}nothing: [\d ]+ calls = [\d ]+ cancelled \+ [\d ]+ recorded \+ 0 dropped$/m);
    expect(stderr).toMatch(/^ {4}leak_at_a {3,}\S*leak-churn-cache\.c:\d+$/m);
    expect(stderr).not.toMatch(/undefined|NaN|\[object/);
  }, 60_000);

  it('writes profiles that pprof, flame graph tools and browsers read', async () => {
    const [flame, pprof, collapsed] = ['live.svg', 'heap.pb.gz', 'stacks.txt'].map((name) => join(folder, name));
    await trace(
      ['--flamegraph', flame!, '--pprof', pprof!, '--collapsed', collapsed!],
      [program('leak-churn-cache'), '1000', '20000'],
    );
    const leaked = siteThrough(report(), 'leak_at_a').liveBytes;
    const line = readFileSync(collapsed!, 'utf8')
      .split('\n')
      .find((text) => text.includes('leak_at_a;take_memory'));
    expect(Number(line?.split(' ').at(-1))).toBe(leaked);
    expect(readFileSync(flame!, 'utf8')).toMatch(/<svg [^]*leak_at_a[^]*<\/svg>\s*$/);
    const raw = execFileSync('python3', [
      '-c',
      'import gzip,sys; sys.stdout.buffer.write(gzip.open(sys.argv[1]).read())',
      pprof!,
    ]);
    for (const type of ['alloc_objects', 'alloc_space', 'inuse_objects', 'inuse_space', 'leak_at_a']) {
      expect(raw.includes(type)).toBe(true);
    }
  }, 60_000);

  it('attaches to a process in which the library sleeps, and lets it sleep again', async () => {
    const env = {
      PATH: process.env['PATH'] ?? '',
      LD_PRELOAD: library,
      TIDEMARK_DIR: mkdtempSync('/dev/shm/tidemark-cli-'),
    };
    const child = spawn(program('leak-churn-cache'), ['40000', '2000000', '40'], { env, stdio: 'ignore' });
    try {
      const done = await runCli(['trace', '--json', '--mode', 'exact', '--pid', String(child.pid), '--duration', '8']);
      expect(done.status).toBe(0);
      const found = JSON.parse(done.stdout) as TraceReportJson;
      expect(found).toMatchObject({ means: 'library', mode: 'exact', process: { pid: child.pid, exit: null } });
      expect(leakingSites(found).map(({ frames }) => frames[1]?.function)).toEqual(['leak_at_a']);
      expect(found.explained).toBeGreaterThan(0);
      const ring = execFileSync(program('ring-dump'), [join(env.TIDEMARK_DIR, `${child.pid}.ring`)], {
        encoding: 'utf8',
      });
      expect((JSON.parse(ring) as { control: { mode: number } }).control.mode).toBe(0);
      expect(child.exitCode).toBeNull();
    } finally {
      child.kill('SIGKILL');
      rmSync(env.TIDEMARK_DIR, { recursive: true, force: true });
    }
  }, 90_000);

  it.skipIf(noProbes !== false)(
    'names the leak of a server that runs without the library, and leaves no probe behind',
    async () => {
      const child = spawn(program('leak-churn-cache'), ['30000', '300000', '60'], { stdio: 'ignore' });
      try {
        const done = await runCli(['trace', '--json', '--pid', String(child.pid), '--duration', '45']);
        expect(done.status).toBe(0);
        const found = JSON.parse(done.stdout) as TraceReportJson;
        expect(found).toMatchObject({ means: 'uprobes', process: { pid: child.pid, exit: null } });
        expect(leakingSites(found).map(({ frames }) => frames[1]?.function)).toEqual(['leak_at_a']);
        const { totals } = found;
        expect(totals.recorded + totals.cancelled + totals.dropped).toBe(totals.issued);
        expect(child.exitCode).toBeNull();
        const probes = readFileSync('/sys/kernel/tracing/uprobe_events', 'utf8').split('\n');
        expect(probes.filter((line) => line.includes('tidemark_'))).toEqual([]);
        const instances = readdirSync('/sys/kernel/tracing/instances');
        expect(instances.filter((name) => name.startsWith('tidemark-'))).toEqual([]);
      } finally {
        child.kill('SIGKILL');
      }
    },
    120_000,
  );

  it('says that there is no such process', async () => {
    const { status, stderr } = await runCli(['trace', '--pid', '4194303']);
    expect({ status, stderr }).toMatchObject({ status: 3, stderr: expect.stringContaining('4194303') as string });
  });
});
