import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, startCli, tidemark } from './support/cli.js';
import { createSimulatedHost, findingOf, MIB, startGraphCluster, type GraphCluster } from './support/graph-cluster.js';
import { until } from './support/until.js';

/** Anything that a terminal could obey. */
const CONTROL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]/;

let cluster: GraphCluster;
const web1 = createSimulatedHost('web-1');
const web2 = createSimulatedHost('web-2');
const silent = createSimulatedHost('old-3');

const MEMORY = {
  ...{ total: 24_576 * MIB, available: 12_288 * MIB, used: 12_288 * MIB, free: 4_096 * MIB, active: 3_000 * MIB },
  ...{ inactive: 2_000 * MIB, buffers: 100 * MIB, cached: 8_000 * MIB, shared: 50 * MIB },
  ...{ swapTotal: 2_048 * MIB, swapFree: 1_024 * MIB },
};
const CROWD = 2_400;

function fillHosts(): void {
  for (const host of [web1, web2, silent]) {
    host.setSystem({
      memory: MEMORY,
      load: { one: 0.5, five: 0.6, fifteen: 0.7, running: 2, total: 300 },
      pressure: { some: { avg10: 1.5, avg60: 0, avg300: 0, total: 1 } },
    });
  }
  for (const [host, chromes] of [
    [web1, 3],
    [web2, 2],
    [silent, 1],
  ] as const) {
    for (let pid = 100; pid < 100 + chromes; pid++) {
      host.spawn(pid, {
        program: 'chrome',
        commandLine: `/opt/chrome --type=tab-${pid}`,
        user: 'ann',
        start: 1,
        service: 'desktop',
      });
      host.set(pid, {
        ppid: 1,
        threads: 20,
        rss: 300 * MIB,
        rssAnon: 200 * MIB,
        swap: 10 * MIB,
        pss: 250 * MIB,
        uss: 200 * MIB,
        vms: 2_000 * MIB,
      });
    }
  }
  for (let pid = 1_000; pid < 1_000 + CROWD; pid++) {
    web1.spawn(pid, {
      program: 'worker',
      commandLine: `worker ${pid}`,
      user: 'www-data',
      state: pid % 100 === 0 ? 'D' : 'S',
    });
    web1.set(pid, { rss: pid * 1024, rssAnon: pid * 512 });
  }
  web2.spawn(7, { program: 'ev\x1b[2Jil', commandLine: 'rm \x1b]0;owned\x07\u202e\n--now \x9b1m', user: 'mal\rlory' });
  web2.set(7, { rss: MIB });
}

const tide = (...args: string[]) => runCli([...args, '--url', cluster.url]);
async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr, status } = await tide(...args, '--json');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return JSON.parse(stdout) as T;
}

beforeAll(async () => {
  fillHosts();
  cluster = await startGraphCluster();
  await cluster.publish(silent);
  await until('the first node to be heard of', async () => (await tide('node', 'old-3')).status === 0);
  // Past the node timeout by the time the others are heard of.
  cluster.advance(60_000);
  await cluster.publish(web1);
  await cluster.publish(web2);
  await cluster.report(findingOf('web-1', 100, 'CONFIRMED', { program: 'chrome', imminent: true }));
  await cluster.report(findingOf('web-1', 101, 'GROWING', { program: 'chrome' }));
  await cluster.report(findingOf('web-2', 100, 'CLEARED', { program: 'chrome' }));
  await until('the API to know all nodes', async () => {
    const { stdout } = await tide('cluster', '--json');
    const known = JSON.parse(stdout || '{}') as { nodesReporting?: number; nodesExpected?: number; processes?: number };
    return known.nodesReporting === 2 && known.nodesExpected === 3 && (known.processes ?? 0) >= CROWD + 6;
  });
});

afterAll(async () => {
  await cluster.close();
});

interface PsJson {
  totalCount: number;
  processes: {
    pid: number;
    program: string;
    user: string;
    node: { id: string };
    memory: { rss: number; anonymous: number | null; pss: number | null };
  }[];
}

describe('tidemark ps', () => {
  it('fetches every page: each process once, with the figures that the collector sent', async () => {
    const { processes, totalCount } = await json<PsJson>('ps', '--node', 'web-1', '--sort', 'pid');
    expect(totalCount).toBe(web1.processes.size);
    expect(processes.map(({ pid }) => pid)).toEqual([...web1.processes.keys()].toSorted((a, b) => a - b));
    for (const { pid, memory } of processes) {
      const { numbers } = web1.processes.get(pid)!;
      expect([memory.rss, memory.anonymous, memory.pss]).toEqual([numbers.rss, numbers.rssAnon, numbers.pss]);
    }
  });

  it('writes stable columns without colours into a pipe, and says on standard error what it left out', async () => {
    const { stdout, stderr, status } = await tide('ps', '--limit', '3', '--program', 'chrome', '--sort', 'pid');
    expect(status).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^NODE +PID +USER +S +PROGRAM +RSS +ANON +SWAP +PSS +USS +VMS +GROWTH\/H +LEAK +COMMAND$/);
    expect(lines[1]).toMatch(
      /^\S+ +100 +ann +S +chrome +300M +200M +10\.0M +250M +200M +1\.95G .*\/opt\/chrome --type=tab-100$/,
    );
    expect(stdout).not.toMatch(CONTROL);
    expect(stderr).toBe('tidemark: 3 of 5 processes that match\n');
  });

  it.each<[string[], (one: PsJson['processes'][number]) => boolean, number]>([
    [['--user', 'ann'], (one) => one.user === 'ann', 5],
    [['--program', 'chrome', '--program', 'worker', '--node', 'web-2'], (one) => one.program === 'chrome', 2],
    [['--text', 'tab-101'], (one) => one.pid === 101, 2],
    [['--min-bytes', '299M'], (one) => one.memory.rss >= 299 * MIB, 5],
    [['--state', 'D'], (one) => one.pid % 100 === 0, CROWD / 100],
    [['--leak', 'confirmed,growing'], (one) => one.pid === 100 || one.pid === 101, 2],
  ])('filters by %j', async (args, matches, count) => {
    const { processes } = await json<PsJson>('ps', ...args);
    expect(processes).toHaveLength(count);
    expect(processes.every(matches)).toBe(true);
  });

  it('orders, and the other way round', async () => {
    const down = (await json<PsJson>('ps', '--node', 'web-1', '--limit', '50')).processes.map(
      ({ memory }) => memory.rss,
    );
    expect(down).toEqual(down.toSorted((a, b) => b - a));
    const up = (await json<PsJson>('ps', '--node', 'web-1', '--limit', '50', '--reverse')).processes;
    expect(up[0]?.memory.rss).toBe(1_000 * 1024);
  });

  it('neutralises what a process calls itself', async () => {
    const [text, document] = [await tide('ps', '--node', 'web-2'), await tide('ps', '--node', 'web-2', '--json')];
    expect(text.stdout).not.toMatch(CONTROL);
    expect(text.stdout).toContain('ev␛[2Jil');
    expect(text.stdout.trimEnd().split('\n')).toHaveLength(4);
    expect(document.stdout).not.toMatch(CONTROL);
    expect(document.stdout).toContain('\\u009b1m');
  });

  it('names the nodes there are when it does not know one', async () => {
    const { stdout, stderr, status } = await tide('ps', '--node', 'web1');
    expect({ stdout, stderr, status }).toEqual({
      stdout: '',
      stderr: 'tidemark: no node "web1" (did you mean web-1?); known: old-3, web-1, web-2\n',
      status: 3,
    });
  });

  it('stays quiet when head has enough', async () => {
    const pipe = `("$0" "$1" ps --url "$2"; echo "status $?" >&2) | head -1`;
    const args = ['-c', pipe, process.execPath, tidemark, cluster.url];
    const [stdout, stderr] = await new Promise<[string, string]>((resolve) =>
      execFile('bash', args, (_, out, err) => resolve([out, err])),
    );
    expect(stdout.split('\n')).toHaveLength(2);
    expect(stderr).toBe('status 0\n');
  });
});

describe('tidemark node', () => {
  it('lists the nodes and how they are', async () => {
    const { stdout } = await tide('node');
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(rows[0]?.slice(0, 3)).toEqual(['NODE', 'STATE', 'SEEN']);
    expect(rows.find(([id]) => id === 'old-3')?.[1]).toMatch(/^inactive/);
    expect(rows.find(([id]) => id === 'web-1')?.[1]).toMatch(/^active/);
  });

  it('shows nine memory fields, load, pressure, processes and findings of one', async () => {
    const { stdout, status } = await tide('node', 'web-1', '--limit', '5');
    expect(status).toBe(0);
    for (const text of [
      'total          24.0 GiB',
      'available      12.0 GiB',
      'inactive       1.95 GiB',
      'shared         50.0 MiB',
    ]) {
      expect(stdout).toContain(text);
    }
    expect(stdout).toContain('0.50  0.60  0.70  over 1, 5, 15 min');
    expect(stdout).toContain('some task stalled for memory 1.5 % of the time');
    expect(stdout).toMatch(/findings +CONFIRMED! since .* chrome grows by 100 MiB an hour/);
    expect(stdout).toContain('largest processes 5 of 2 403');
    expect(stdout).not.toMatch(CONTROL);
  });

  it('gives the same in JSON, in bytes', async () => {
    const node = await json<{ id: string; memory: Record<string, number>; findings: { state: string }[] }>(
      'node',
      'web-1',
    );
    expect(node.memory).toEqual(MEMORY);
    expect(node.findings.map(({ state }) => state).toSorted()).toEqual(['CONFIRMED', 'GROWING']);
  });

  it('names the nodes there are when it does not know one', async () => {
    const { stderr, status } = await tide('node', 'database');
    expect(stderr).toBe('tidemark: no node "database"; known: old-3, web-1, web-2\n');
    expect(status).toBe(3);
  });
});

describe('tidemark cluster', () => {
  it('adds a program up over the nodes that report, and says how many those are', async () => {
    const { stdout } = await tide('cluster', '--program', 'chrome', '--metric', 'pss');
    // Three on web-1 and two on web-2; the silent node's are not counted as living.
    expect(stdout).toContain('1.22 GiB PSS in 5 processes, 2 of 3 nodes reporting');
    expect(stdout).toMatch(/^web-1 +3 +750M +60 % +250M$/m);
    expect(stdout).toMatch(/^web-2 +2 +500M +40 % +250M$/m);
  });

  it('gives the same in JSON', async () => {
    const aggregate = await json<Record<string, unknown>>('cluster', '--program', 'chrome', '--metric', 'leak_signal');
    expect(aggregate).toMatchObject({
      program: 'chrome',
      metric: 'LEAK_SIGNAL',
      processes: 5,
      nodesReporting: 2,
      nodesExpected: 3,
    });
    expect(aggregate['total']).toBe(5 * 210 * MIB);
  });

  it('suggests the program that was meant', async () => {
    const { stderr, status } = await tide('cluster', '--program', 'chrom');
    expect(stderr).toBe('tidemark: no living process of a program "chrom" on 2 of 3 nodes; did you mean chrome?\n');
    expect(status).toBe(3);
  });

  it('gives an overview without a program', async () => {
    const { stdout } = await tide('cluster', '--metric', 'rss');
    expect(stdout).toContain('2 of 3 reporting');
    expect(stdout).toContain('1 confirmed');
    expect(stdout).toMatch(/^worker +2 400 +1 /m);
  });
});

describe('tidemark findings', () => {
  it('prints what is open in readable blocks', async () => {
    const { stdout, status } = await tide('findings');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}CONFIRMED! {2}chrome \(pid 100\) of www-data on web-1$/m,
    );
    expect(stdout).toContain('chrome grows by 100 MiB an hour');
    expect(stdout).toContain('measured over 30 min · confidence 97 % · first seen ');
    expect(stdout).toContain('/usr/bin/chrome --serve');
    expect(stdout).not.toContain('cleared');
  });

  it('filters, and shows what was cleared when asked', async () => {
    const states = async (...args: string[]): Promise<string[]> =>
      (await json<{ findings: { state: string }[] }>('findings', ...args)).findings
        .map(({ state }) => state)
        .toSorted();
    expect(await states()).toEqual(['CONFIRMED', 'GROWING']);
    expect(await states('--all')).toEqual(['CLEARED', 'CONFIRMED', 'GROWING']);
    expect(await states('--state', 'cleared')).toEqual(['CLEARED']);
    expect(await states('--node', 'web-2')).toEqual([]);
    expect(await states('--limit', '1', '--all')).toHaveLength(1);
  });

  it('says that nothing leaks', async () => {
    const { stdout, stderr, status } = await tide('findings', '--program', 'worker');
    expect({ stdout, stderr, status }).toEqual({
      stdout: '',
      stderr: 'tidemark: nothing is known to leak\n',
      status: 0,
    });
  });
});

describe('tidemark top without a terminal', () => {
  it('prints one picture', async () => {
    const { stdout, status } = await tide('top', '--node', 'web-1', '--limit', '4');
    expect(status).toBe(0);
    expect(stdout).not.toMatch(CONTROL);
    expect(stdout).toMatch(/^tidemark web-1 /);
    expect(stdout).toContain('12.0 GiB of 24.0 GiB used (50 %)');
    expect(stdout).toContain('1 confirmed');
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .filter((line) => line.includes('chrome')),
    ).toHaveLength(3);
  });

  it('gives one object in JSON, filtered and in order', async () => {
    const node = await json<{ id: string; processes: { totalCount: number; nodes: { pid: number }[] } }>(
      ...['top', '--node', 'web-1', '--filter', 'worker', '--sort', 'pid', '--limit', '2'],
    );
    expect(node.processes.totalCount).toBe(CROWD);
    expect(node.processes.nodes.map(({ pid }) => pid)).toEqual([1_000, 1_001]);
  });

  it('names the nodes there are when it does not know one', async () => {
    const { stderr, status } = await tide('top', '--once', '--node', 'web-9');
    expect(stderr).toBe('tidemark: no node "web-9" (did you mean web-1?); known: old-3, web-1, web-2\n');
    expect(status).toBe(3);
  });
});

describe('an API with a token', () => {
  let guarded: GraphCluster;

  beforeAll(async () => {
    guarded = await startGraphCluster({ token: 'right-token' });
    const host = createSimulatedHost('guarded');
    host.setSystem({ memory: MEMORY });
    await guarded.publish(host);
    await until('the node to be heard of', async () => {
      const { stdout } = await runCli(['node', '--json', '--url', guarded.url, '--token', 'right-token']);
      return stdout.includes('"guarded"');
    });
  });

  afterAll(() => guarded.close());

  it.each([[['ps']], [['findings', '--follow']]])('denies %j a wrong one, with status 4', async (args) => {
    const { stderr, status } = await runCli([...args, '--url', guarded.url], { TIDEMARK_TOKEN: 'wrong-token' });
    expect(stderr).toMatch(/^tidemark: the API at \S+ denied the request .*; the token is not the right one\n$/);
    expect(stderr).not.toContain('wrong-token');
    expect(status).toBe(4);
  });

  it('answers the right one', async () => {
    const { stderr, status } = await runCli(['node', '--url', guarded.url, '--token', 'right-token']);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  });
});

describe('an API that refuses', () => {
  it('is quoted, with its code, and status 5', async () => {
    const strict = await startGraphCluster({ limits: { cost: 10 } });
    try {
      const { stderr, status } = await runCli(['ps', '--url', strict.url]);
      expect(stderr).toMatch(/^tidemark: the API refused: .*\(COST_LIMIT\)\n$/);
      expect(status).toBe(5);
    } finally {
      await strict.close();
    }
  });
});

describe('tidemark findings --follow', () => {
  it('goes on over a restart of the API: says so, misses nothing, repeats nothing, and ends by Ctrl-C', async () => {
    const own = await startGraphCluster();
    const follower = startCli(['findings', '--follow', '--json', '--url', own.url]);
    const lines = (): { pid: number; state: string }[] =>
      follower
        .stdout()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as { pid: number; state: string });
    try {
      await own.publish(web2);
      await until('the follower to be connected', () => follower.stderr().includes('following'));
      await own.report(findingOf('web-2', 100, 'SUSPECTED'));
      await until('the first finding', () => lines().length === 1);
      await own.stopServer();
      await until('word of the loss', () => follower.stderr().includes('lost the API'));
      await own.report(findingOf('web-2', 101, 'CONFIRMED'));
      await own.startServer();
      await until('word of the return', () => follower.stderr().includes('connected again'));
      await until('what came meanwhile', () => lines().length === 2);
      await own.report(findingOf('web-2', 7, 'SUSPECTED'));
      await until('what came later', () => lines().length === 3);
      expect(lines().map(({ pid, state }) => `${pid} ${state}`)).toEqual([
        '100 SUSPECTED',
        '101 CONFIRMED',
        '7 SUSPECTED',
      ]);
      follower.child.kill('SIGINT');
      const { status, signal, stderr } = await follower.finished;
      expect({ status, signal }).toEqual({ status: 130, signal: null });
      expect(
        stderr
          .trimEnd()
          .split('\n')
          .every((line) => line.startsWith('tidemark: ')),
      ).toBe(true);
    } finally {
      follower.child.kill('SIGKILL');
      await own.close();
    }
  });
});
