import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root, runCli, tidemark } from './support/cli.js';

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('the tidemark command without a server', () => {
  it('is linked where npx finds it', () => {
    expect(existsSync(join(root, 'node_modules/.bin/tidemark'))).toBe(true);
    const version = execFileSync('npx', ['--no-install', 'tidemark', '--version'], { cwd: root, encoding: 'utf8' });
    expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('lists its commands and exit codes', async () => {
    const { status, stdout } = await runCli(['--help']);
    expect(status).toBe(0);
    for (const command of ['up', 'top', 'ps', 'node', 'cluster', 'findings', 'trace', 'detect', 'doctor']) {
      expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
    }
    expect(stdout).toContain('2  no Tidemark API answers');
  });

  it.each([
    [['tpo'], "unknown command 'tpo' (Did you mean top?)"],
    [['ps', '--srot', 'rss'], "unknown option '--srot' (Did you mean --sort?)"],
    [['ps', '--sort', 'grwoth'], 'Did you mean growth?'],
    [['ps', '--limit', '0'], 'a whole number from 1 to 1000000'],
    [['ps', '--min-bytes', 'much'], '--min-bytes'],
    [['ps', '--state', 'suspected'], '--leak SUSPECTED'],
    [['top', '--interval', '50'], 'from 100 to 3600000'],
    [['cluster', '--metric', 'bytes'], 'PSS, RSS'],
    [['findings', '--state', 'leaking'], 'SUSPECTED'],
    [['doctor', '--port', '70000'], 'from 1 to 65535'],
    [['node', 'a', 'b'], 'too many arguments'],
    [['ps', '--url', 'localhost:4000'], 'http or https address'],
    [['ps', '--token', 'two words'], 'token'],
  ])('refuses %j in one line with status 1', async (args, text) => {
    const { status, stdout, stderr } = await runCli(args);
    expect(stderr).toContain(text);
    expect(stderr).toMatch(/^tidemark: [^\n]+\n$/);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  it('does not let a mistyped option write to the terminal', async () => {
    const { stderr } = await runCli(['ps', '--\x1b]0;owned\x07', '\x9b2J']);
    expect(stderr.trimEnd()).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  });

  it.each([['top'], ['ps'], ['node'], ['node', 'x'], ['cluster'], ['findings'], ['findings', '--follow']])(
    'says of "%s %s" how to start an API where none listens, with status 2',
    async (...args) => {
      const url = `http://127.0.0.1:${await closedPort()}/graphql`;
      const { status, stdout, stderr } = await runCli([...args.filter(Boolean), '--url', url]);
      expect(stderr).toBe(
        `tidemark: no Tidemark API at ${url} (connection refused); start one with "tidemark up", or name another with --url\n`,
      );
      expect(stdout).toBe('');
      expect(status).toBe(2);
    },
  );

  it('takes the address from the environment, and the option before it', async () => {
    const [first, second] = [await closedPort(), await closedPort()];
    const env = { TIDEMARK_URL: `http://127.0.0.1:${first}` };
    expect((await runCli(['ps'], env)).stderr).toContain(`http://127.0.0.1:${first}/graphql`);
    expect((await runCli(['--url', `http://127.0.0.1:${second}`, 'ps'], env)).stderr).toContain(`:${second}/graphql`);
  });

  it('stays quiet when the reader has enough', async () => {
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
      const script = `"$0" "$1" --help; echo "status $?" >&2`;
      const pipe = `(${script}) | true; true`;
      execFile('bash', ['-c', pipe, process.execPath, tidemark], (_, out, err) =>
        resolve({ stdout: out, stderr: err }),
      );
    });
    expect(stdout).toBe('');
    expect(stderr).toBe('status 0\n');
  });
});

describe('tidemark detect', () => {
  const csv = ['series,ts,bytes']
    .concat(
      Array.from({ length: 120 }, (_, second) => {
        const at = 1_700_000_000_000 + second * 1_000;
        return `leak,${at},${100_000_000 + second * 1_048_576}\nflat,${at},2147483648`;
      }),
    )
    .join('\n');

  it('tells a leak from what is only large, from a file and from standard input alike', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidemark-cli-'));
    try {
      const file = join(directory, 'series.csv');
      writeFileSync(file, csv);
      const fromFile = await runCli(['detect', file, '--profile', 'demo', '--summary']);
      expect({ status: fromFile.status, stderr: fromFile.stderr }).toEqual({ status: 0, stderr: '' });
      const summaries = fromFile.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { series: string; state?: string })
        .filter(({ state }) => state !== undefined);
      expect(summaries).toMatchObject([
        { series: 'leak', state: 'SUSPECTED' },
        { series: 'flat', state: 'STABLE' },
      ]);
      const piped = execFileSync(process.execPath, [tidemark, 'detect', '-', '--profile', 'demo', '--summary'], {
        input: csv,
        encoding: 'utf8',
      });
      expect(piped).toBe(fromFile.stdout);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.each([
    ['/nonexistent.csv', 3, 'does not exist'],
    [join(root, 'LICENSE'), 7, 'series and ts and bytes missing'],
  ])('says of %s why it cannot be judged, with status %i', async (file, code, text) => {
    const { status, stdout, stderr } = await runCli(['detect', file]);
    expect(stderr).toContain(text);
    expect(stderr).toMatch(/^tidemark: [^\n]+\n$/);
    expect({ status, stdout }).toEqual({ status: code, stdout: '' });
  });
});

describe('tidemark doctor', () => {
  it('judges this host in text and in JSON alike', async () => {
    const data = mkdtempSync(join(tmpdir(), 'tidemark-cli-'));
    try {
      const args = [
        'doctor',
        '--data',
        data,
        '--port',
        String(await closedPort()),
        '--history-port',
        String(await closedPort()),
      ];
      const [text, json] = await Promise.all([runCli(args), runCli([...args, '--json'])]);
      const report = JSON.parse(json.stdout) as {
        ok: boolean;
        checks: { name: string; status: string; detail: string }[];
      };
      expect(report.checks.length).toBeGreaterThan(10);
      expect(text.stdout.split('\n').filter((line) => /^(ok|limited|missing) /.test(line))).toHaveLength(
        report.checks.length,
      );
      expect(text.stdout).not.toContain('\x1b');
      expect(report.checks.find(({ name }) => name === 'history')?.status).toBe('ok');
      expect([text.status, json.status]).toEqual(report.ok ? [0, 0] : [6, 6]);
    } finally {
      rmSync(data, { recursive: true });
    }
  });

  it('ends with status 6 where there is no proc file system', async () => {
    const { status, stdout } = await runCli(['doctor', '--proc-root', '/nonexistent']);
    expect(stdout).toMatch(/^missing +proc /);
    expect(status).toBe(6);
  });
});
