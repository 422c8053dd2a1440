import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { tidemark } from './support/cli.js';
import { createSimulatedHost, findingOf, MIB, startGraphCluster, type GraphCluster } from './support/graph-cluster.js';
import { hasTmux, openTerminal, type Terminal } from './support/tmux.js';
import { until } from './support/until.js';

let cluster: GraphCluster;
let terminal: Terminal | undefined;
const host = createSimulatedHost('web-1');
let round = 0;

/** One more round: the first process grows, the others stay. */
async function beat(): Promise<void> {
  round++;
  host.set(100, { rss: (300 + 8 * round) * MIB, rssAnon: (250 + 8 * round) * MIB });
  cluster.advance(1_000);
  await cluster.publish(host);
}

beforeAll(async () => {
  cluster = await startGraphCluster();
  host.setSystem({
    memory: {
      total: 24_576 * MIB,
      available: 12_288 * MIB,
      used: 12_288 * MIB,
      free: 4_096 * MIB,
      swapTotal: 0,
      swapFree: 0,
    },
    load: { one: 0.5, five: 0.6, fifteen: 0.7, running: 2, total: 300 },
  });
  const names = [
    'leaky',
    'chrome',
    '日本語プロセス',
    'ev\x1b[2Jil\x9b1m',
    ...Array.from({ length: 60 }, (_, n) => `worker-${n}`),
  ];
  names.forEach((program, index) => {
    host.spawn(100 + index, {
      program,
      commandLine: `/usr/bin/${program} --serve`,
      user: 'www-data',
      start: index + 1,
    });
    host.set(100 + index, {
      rss: (290 - index) * MIB,
      rssAnon: (200 - index) * MIB,
      swap: 0,
      pss: (250 - index) * MIB,
    });
  });
  await cluster.report(findingOf('web-1', 100, 'CONFIRMED'));
  await beat();
  await until('the API to know the node', async () => {
    const answer = await fetch(cluster.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ node(id: "web-1") { processCount findings { id } } }' }),
    });
    const { data } = (await answer.json()) as { data: { node: { processCount: number; findings: unknown[] } | null } };
    return data.node?.processCount === names.length && data.node.findings.length === 1;
  });
});

afterEach(() => {
  terminal?.close();
  terminal = undefined;
});

afterAll(() => cluster.close());

const command = (options = ''): string =>
  `echo BEFORE; ${process.execPath} ${tidemark} top --url ${cluster.url} --node web-1 --interval 200 ${options}; echo status $?`;

// Elsewhere than in CI a machine may lack tmux; in CI its absence is a failure.
describe.skipIf(!hasTmux && !process.env['CI'])('tidemark top on a real terminal', () => {
  it('shows the node live, and a leak climbing', async () => {
    terminal = openTerminal(command(), 140, 30);
    const first = await terminal.shows('● live');
    expect(first.split('\n')[0]).toMatch(/^tidemark web-1 {2}Linux 6\.1\.0 · 2 CPUs/);
    // The very last column too.
    expect(first.split('\n')[0]).toMatch(/● live \d\d:\d\d:\d\d$/);
    expect(first).toContain('12.0 GiB of 24.0 GiB used (50 %), 12.0 GiB available');
    expect(first).toMatch(/100 {2}leaky .*CONFIRMED/);
    expect(first).not.toContain('BEFORE');
    // As many lines as the terminal has, so nothing scrolled.
    expect(first.trimEnd().split('\n')).toHaveLength(30);
    for (let beats = 0; beats < 4; beats++) {
      await beat();
      await terminal.shows(`${300 + 8 * round}M`);
    }
    expect(terminal.text()).toMatch(/leaky .*▁.*█/);
    expect(terminal.colours()).toMatch(/\x1b\[[0-9;]*m/);
  });

  it('survives hostile and wide names with its columns in place', async () => {
    terminal = openTerminal(command(), 140, 30);
    const lines = (await terminal.shows('● live')).split('\n');
    const place = (text: string): number => {
      const line = lines.find((one) => one.includes(text)) ?? '';
      // Wide characters take two columns each.
      return [...line.slice(0, line.indexOf('www-data'))].reduce(
        (sum, one) => sum + (/[\u3040-\u9fff]/.test(one) ? 2 : 1),
        0,
      );
    };
    expect(place('日本語プロセス')).toBe(place('chrome'));
    expect(place('ev␛[2Jil')).toBe(place('chrome'));
  });

  it('obeys its keys', async () => {
    terminal = openTerminal(command(), 140, 30);
    await terminal.shows('RSS▼');
    terminal.type('i');
    await terminal.shows('PID▲');
    terminal.type('i');
    await terminal.shows(/PID▼[^]* 163 {2}worker-59/);
    terminal.type('/');
    await terminal.shows('filter: █');
    terminal.type('chrom');
    await terminal.shows('filter: chrom█');
    terminal.press('Enter');
    await terminal.shows('1–1 of 1');
    terminal.press('Down');
    await terminal.shows('▸101  chrome');
    terminal.press('Enter');
    const detail = await terminal.shows('esc back');
    expect(detail).toContain('/usr/bin/chrome --serve');
    expect(detail).toMatch(/RSS +289 MiB/);
    terminal.press('Escape');
    await terminal.shows('? help');
    terminal.type('?');
    await terminal.shows('order by GROWTH/H');
    terminal.type('q');
    await terminal.shows('1–1 of 1');
  });

  it('fits a terminal that changes its size', async () => {
    terminal = openTerminal(command(), 140, 30);
    await terminal.shows('COMMAND');
    terminal.resize(80, 15);
    const small = await terminal.shows(/GROWTH\/H {2}LEAK/);
    await until('the small picture', () => terminal?.text().trimEnd().split('\n').length === 15);
    expect(small).not.toContain('COMMAND');
    terminal.resize(160, 40);
    await terminal.shows('COMMAND');
    await until('the large picture', () => terminal?.text().trimEnd().split('\n').length === 40);
  });

  it.each([
    ['q', (open: Terminal) => open.type('q'), 0],
    ['Ctrl-C', (open: Terminal) => open.press('C-c'), 0],
    ['SIGTERM', (open: Terminal) => process.kill(foreground(open), 'SIGTERM'), 143],
  ])('gives the terminal back after %s', async (_, end, status) => {
    terminal = openTerminal(command(), 100, 20);
    await terminal.shows('● live');
    expect(terminal.ask('#{alternate_on} #{cursor_flag} #{wrap_flag}')).toBe('1 0 0');
    end(terminal);
    const after = await terminal.shows(`status ${status}`);
    expect(after).toMatch(/^BEFORE/);
    expect(after).not.toContain('tidemark');
    expect(terminal.ask('#{alternate_on} #{cursor_flag} #{wrap_flag}')).toBe('0 1 1');
    // Echo and line editing are back: the shell takes a line again.
    terminal.type('echo $((6 * 7))');
    terminal.press('Enter');
    await terminal.shows(/^42$/m);
  });

  it('gives the terminal back after a crash, and then says why', async () => {
    // Data that breaks the schema is the only way to make it fail from outside.
    const broken = createServer((_, response) => response.end('{"data":{"nodes":{"nodes":[]},"node":{"id":"web-1"}}}'));
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve));
    const { port } = broken.address() as AddressInfo;
    terminal = openTerminal(command().replace(cluster.url, `http://127.0.0.1:${port}/graphql`), 100, 20);
    const shown = await terminal.shows('status 70');
    expect(shown).toMatch(/^BEFORE\ntidemark: this is a defect of Tidemark: TypeError/);
    expect(terminal.ask('#{alternate_on} #{cursor_flag} #{wrap_flag}')).toBe('0 1 1');
    broken.closeAllConnections();
    await new Promise((resolve) => broken.close(resolve));
  });

  it('can be stopped by Ctrl-Z and brought back', async () => {
    terminal = openTerminal('PS1=ready:', 100, 20);
    await until('the shell', () => terminal?.text().trim() !== '');
    terminal.type(`${process.execPath} ${tidemark} top --url ${cluster.url} --node web-1`);
    terminal.press('Enter');
    await terminal.shows('● live');
    terminal.press('C-z');
    await terminal.shows(/stopped/i);
    expect(terminal.ask('#{alternate_on} #{cursor_flag}')).toBe('0 1');
    terminal.type('fg');
    terminal.press('Enter');
    await terminal.shows('● live');
    expect(terminal.ask('#{alternate_on} #{cursor_flag}')).toBe('1 0');
    terminal.type('q');
    await until('the shell again', () => terminal?.ask('#{alternate_on}') === '0');
  });

  it('says that the API went away, and goes on when it is back', async () => {
    terminal = openTerminal(command(), 140, 30);
    await terminal.shows('● live');
    await cluster.stopServer();
    await terminal.shows(/no answer for .*: connection refused/);
    expect(terminal.text()).toContain('leaky');
    await cluster.startServer();
    await terminal.shows('● live');
  });

  it('writes no colours when it is told not to', async () => {
    terminal = openTerminal(`NO_COLOR=1 ${command().replace('echo BEFORE; ', '')}`, 140, 30);
    await terminal.shows('● live');
    expect(terminal.colours()).not.toMatch(/\x1b\[[0-9;]*[1-9][0-9;]*m/);
  });

  /** The command that runs in the terminal: the child of its shell. */
  function foreground(open: Terminal): number {
    const shell = Number(open.ask('#{pane_pid}'));
    return childOf(shell);
  }
});

function childOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  if (children.length !== 1 || !children[0]) throw new Error(`process ${pid} has ${children.length} children`);
  return children[0];
}
