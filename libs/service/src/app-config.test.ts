import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { describeSettings, orConfigError, readAppConfig } from './app-config.js';
import { ConfigError } from './config.js';

const sections = {
  kafka: z.object({ brokers: z.string().default('127.0.0.1:9092') }),
  status: z.object({ port: z.number('must be a number').default(9464) }),
};
const options = {
  flags: {
    brokers: { type: 'string', setting: 'kafka.brokers' },
    demo: { type: 'boolean' },
  },
  implied: ({ demo }: Record<string, unknown>): Record<string, string> => (demo === true ? { 'status.port': '1' } : {}),
} as const;

function settings(args: string[], env: Record<string, string> = {}) {
  const read = readAppConfig(sections, args, env, options);
  if (read === 'help') throw new Error('asked for help');
  return read.settings;
}

describe('the command line of an app', () => {
  it('gives the defaults when nothing is said, and help when asked', () => {
    expect(settings([])).toEqual({ kafka: { brokers: '127.0.0.1:9092' }, status: { port: 9464 } });
    expect(readAppConfig(sections, ['-h'], {}, options)).toBe('help');
    expect(readAppConfig(sections, ['--set', 'broken', '--help'], {}, options)).toBe('help');
  });

  it('takes an option for its setting, and lets it win over --set and the environment', () => {
    const env = { TIDEMARK_KAFKA_BROKERS: 'a:1', TIDEMARK_STATUS_PORT: '5' };
    expect(settings(['--brokers', 'c:3', '--set', 'kafka.brokers=b:2'], env)).toEqual({
      kafka: { brokers: 'c:3' },
      status: { port: 5 },
    });
  });

  it('lets what was set expressly win over what an option implies', () => {
    expect(settings(['--demo']).status.port).toBe(1);
    expect(settings(['--demo', '--set', 'status.port=7']).status.port).toBe(7);
  });

  it.each([
    [['--set', 'x'], '--set x: must be SECTION.KEY=VALUE'],
    [['--set', '=1'], '--set =1: must be SECTION.KEY=VALUE'],
    [['--prot', '1'], "Unknown option '--prot'"],
    [['extra'], "Unexpected argument 'extra'"],
    [['--brokers'], "Option '--brokers"],
  ])('refuses %j in one line', (args, message) => {
    expect(() => settings(args)).toThrow(ConfigError);
    expect(() => settings(args)).toThrow(message);
  });

  it('lists every setting with its default and its variable', () => {
    const lines = describeSettings(sections).trim().split('\n');
    expect(lines.map((line) => line.trim().split(/\s+/))).toEqual([
      ['kafka.brokers', '"127.0.0.1:9092"', 'TIDEMARK_KAFKA_BROKERS'],
      ['status.port', '9464', 'TIDEMARK_STATUS_PORT'],
    ]);
  });

  it('takes the error of a file that a setting names for one of the settings', () => {
    const read = () => {
      throw new Error('kafka.caFile: /nowhere cannot be read (ENOENT)');
    };
    expect(() => orConfigError(read)).toThrow(ConfigError);
    expect(() => orConfigError(read)).toThrow('kafka.caFile: /nowhere cannot be read');
  });
});
