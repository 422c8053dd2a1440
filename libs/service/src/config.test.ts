import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, environmentName, loadConfig, settingNames } from './config.js';

const sections = {
  api: z.object({
    port: z.number('must be a whole number').int().min(0).max(65_535, 'must be at most 65535').default(4000),
    token: z.string().default(''),
    tokenFile: z.string().default(''),
  }),
  collect: z.object({ enabled: z.boolean().default(true), redact: z.array(z.string()).default([]) }),
};

const directory = mkdtempSync(join(tmpdir(), 'tidemark-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
  const path = join(directory, `${Math.random()}.json`);
  writeFileSync(path, text);
  return path;
}

function problems(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('settings', () => {
  it('are the defaults when nothing is said', () => {
    expect(loadConfig(sections, {})).toEqual({
      api: { port: 4000, token: '', tokenFile: '' },
      collect: { enabled: true, redact: [] },
    });
  });

  it('let the command line win over the environment, and the environment over the file', () => {
    const path = file('{"api":{"port":1,"token":"from-file"},"collect":{"enabled":false}}');
    const env = { TIDEMARK_API_PORT: '2', TIDEMARK_API_TOKEN_FILE: '/run/token' };
    expect(loadConfig(sections, { file: path, env, overrides: { 'api.port': '3' } })).toEqual({
      api: { port: 3, token: 'from-file', tokenFile: '/run/token' },
      collect: { enabled: false, redact: [] },
    });
    expect(loadConfig(sections, { file: path, env }).api.port).toBe(2);
  });

  it('read text by the type of the setting, so that a token of digits stays text', () => {
    const config = loadConfig(sections, {
      overrides: { 'api.token': '12345', 'collect.enabled': 'false', 'collect.redact': '["a","b"]' },
    });
    expect(config.api.token).toBe('12345');
    expect(config.collect).toEqual({ enabled: false, redact: ['a', 'b'] });
  });

  it('report every problem at once, naming the setting, its origin and what was found', () => {
    const path = file('{"api":{"prot":1},"colect":{"x":1},"collect":7}');
    expect(
      problems(() =>
        loadConfig(sections, { file: path, env: { TIDEMARK_API_PORT: '70000' }, overrides: { 'api.x': '1' } }),
      ),
    ).toEqual([
      `api.prot: no such setting; api has port, token, tokenFile (${path})`,
      `colect.x: no such setting; sections are api, collect (${path})`,
      `collect: must be an object of settings (${path})`,
      'api.x: no such setting; api has port, token, tokenFile (command line)',
      'api.port: must be at most 65535, found 70000 (TIDEMARK_API_PORT)',
    ]);
  });

  it.each(['{', '[]', 'null', '"text"'])('refuse a file that holds %s', (text) => {
    const path = file(text);
    const found = problems(() => loadConfig(sections, { file: path }));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(path);
  });

  it('do not take names of the object prototype for settings', () => {
    expect(
      problems(() => loadConfig(sections, { overrides: { 'constructor.name': 'x', 'api.constructor': 'x' } })),
    ).toHaveLength(2);
  });

  it('have one name in the environment each', () => {
    expect(settingNames(sections).map(environmentName)).toEqual([
      'TIDEMARK_API_PORT',
      'TIDEMARK_API_TOKEN',
      'TIDEMARK_API_TOKEN_FILE',
      'TIDEMARK_COLLECT_ENABLED',
      'TIDEMARK_COLLECT_REDACT',
    ]);
  });
});
