import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { hostname, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePidStatus } from './pid-status.js';
import { readHost } from './host.js';
import { createProcfs, type Procfs } from './procfs.js';
import { createSystemReader } from './system-reader.js';

const TOOL = fileURLToPath(new URL('../../../tools/capture-proc.mjs', import.meta.url));

let directory: string;
let root: string;
let procfs: Procfs;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'captured-'));
  execFileSync(process.execPath, [TOOL, '--out', directory, '--pid', String(process.pid)]);
  root = join(directory, release().split('.').slice(0, 2).join('.'));
  procfs = createProcfs({ root: join(root, 'proc'), sys: join(root, 'sys') });
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function* filesBelow(path: string): Generator<string> {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) yield* filesBelow(join(path, entry.name));
    else if (entry.isFile()) yield join(path, entry.name);
  }
}

function pids(): number[] {
  const list: number[] = [];
  procfs.listPids(list);
  return list;
}

describe('tools/capture-proc.mjs', () => {
  it('captures a tree of this kernel that every reader takes', () => {
    const host = readHost(procfs);
    expect(release()).toContain(host.kernel);
    const system = createSystemReader(procfs);
    expect([system.memory(), system.load(), system.uptime(), system.interfaces()]).not.toContain(undefined);
    expect(system.stat().cpus?.length).toBe(host.cpus + 1);
    system.close();
  });

  it('has the specimens that parsers get wrong', () => {
    const statuses = pids().map((pid) => parsePidStatus(readFileSync(join(root, `proc/${pid}/status`))));
    const names = statuses.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['a) (b c', 'x\ny\\z', 'sleep', 'init']));
    expect(statuses.map(({ state }) => state)).toContain('Z');
  });

  it('leaves nothing of the host behind: names, arguments, boot id, paths, addresses', () => {
    const own = readFileSync('/proc/self/cmdline', 'utf8')
      .split('\0')
      .filter((word) => word.length > 6 && !/^\/(usr|lib|bin)/.test(word));
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const ranges = readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .slice(0, 5)
      .map((line) => line.split('-')[0]!);
    const secrets = [boot, process.cwd(), tmpdir() + '/', ...own, ...ranges].filter((word) => word.length > 4);
    if (hostname().length > 4) secrets.push(hostname());
    for (const path of filesBelow(root)) {
      const text = readFileSync(path, 'latin1');
      for (const secret of secrets) expect(text.includes(secret), `${path} holds ${secret}`).toBe(false);
    }
    const status = readFileSync(join(root, `proc/${process.pid}/status`));
    expect(parsePidStatus(status).name).toBe(`program-${process.pid}`);
  });

  it('is small, and its specimens are gone', async () => {
    const bytes = [...filesBelow(root)].reduce((sum, path) => sum + statSync(path).size, 0);
    expect(bytes).toBeLessThan(2 ** 20);
    // The zombie is waited for by pid 1 once its parent is dead: that may take it a moment.
    const specimens = pids().filter((pid) => pid > 2 && pid !== process.pid);
    await expect
      .poll(() => specimens.filter((pid) => existsSync(`/proc/${pid}/stat`)), { timeout: 20_000 })
      .toEqual([]);
    expect(specimens.length).toBe(5);
  });
});
