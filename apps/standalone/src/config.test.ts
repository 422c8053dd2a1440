import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '@tidemark/service';
import { readConfig } from './config.js';

const directory = mkdtempSync(join(tmpdir(), 'tidemark-standalone-'));
afterAll(() => rmSync(directory, { recursive: true }));

function read(args: string[], env: NodeJS.ProcessEnv = {}) {
  const config = readConfig(args, env);
  if (config === 'help') throw new Error('asked for help');
  return config;
}

function problem(args: string[], env: NodeJS.ProcessEnv = {}): string {
  try {
    readConfig(args, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
}

describe('the settings of the standalone', () => {
  it('listen on loopback and judge by the production profile when nothing is said', () => {
    const config = read([]);
    expect(config.api).toMatchObject({ host: '127.0.0.1', port: 4000 });
    expect(config.history.port).toBe(8123);
    expect(config.detect.profile).toBe('production');
    expect(config.token).toBeUndefined();
  });

  it('take flags, --set and the environment, flags winning', () => {
    const config = read(['--port', '1', '--set', 'collect.interval=100', '--data', 'here'], {
      TIDEMARK_API_PORT: '2',
      TIDEMARK_NODE_ID: 'web-7',
    });
    expect(config.api.port).toBe(1);
    expect(config.collect.interval).toBe(100);
    expect(config.nodeId).toBe('web-7');
    expect(config.data.directory).toBe(join(process.cwd(), 'here'));
  });

  it('judge at demo speed with --demo, unless told otherwise', () => {
    expect(read(['--demo']).detect.profile).toBe('demo');
    expect(read(['--demo', '--set', 'detect.profile=production']).detect.profile).toBe('production');
  });

  it('read the token from a file, without the line end', () => {
    const file = join(directory, 'token');
    writeFileSync(file, 'secret\n');
    expect(read(['--set', `api.tokenFile=${file}`]).token).toBe('secret');
  });

  it.each([
    [['--port', '70000'], 'api.port: must be a whole number from 0 to 65535, found 70000 (command line)'],
    [
      ['--set', 'collect.interval=99'],
      'collect.interval: must be a whole number from 100 to 3600000, found 99 (command line)',
    ],
    [['--set', 'collect.intervall=1000'], 'collect.intervall: no such setting'],
    [['--set', 'x'], '--set x: must be SECTION.KEY=VALUE'],
    [['--prot', '1'], "Unknown option '--prot'"],
    [['extra'], "Unexpected argument 'extra'"],
    [['--set', 'node.id=a/b'], "node.id: must be 1 to 253 letters, digits, '.', '_' or '-', found \"a/b\""],
    [['--set', 'api.tokenFile=/nowhere'], 'api.tokenFile: /nowhere does not exist'],
    [['--config', '/nowhere.json'], 'config file /nowhere.json cannot be read'],
    [['--set', 'detect.profile=fast'], 'detect.profile: must be one of production, demo, found "fast"'],
  ])('refuse %j in one line that says why', (args, message) => {
    const found = problem(args);
    expect(found).toContain(message);
    expect(found.split('\n')).toHaveLength(1);
  });
});
