import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isNodeId, toNodeId, type NodeId } from '@tidemark/contracts';
import { collectSettings } from '@tidemark/pipeline';
import { ConfigError, loadConfig, type ConfigOf, type LogLevel } from '@tidemark/service';
import { z } from 'zod';

const whole = (min: number, max: number) => {
  const range = `must be a whole number from ${min} to ${max}`;
  return z.number(range).int(range).min(min, range).max(max, range);
};
const port = whole(0, 65_535);
const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, `must be one of ${values.join(', ')}`);
const text = z.string('must be text');

export const sections = {
  node: z.object({
    id: text
      .refine((id): boolean => isNodeId(id), "must be 1 to 253 letters, digits, '.', '_' or '-'")
      .default(hostname().replace(/[^A-Za-z0-9._-]/g, '-')),
  }),
  data: z.object({
    /** Where history, log and spool are kept. */
    directory: text.min(1, 'must name a directory').default(defaultDirectory()),
  }),
  api: z.object({
    host: text.min(1, 'must name an address').default('127.0.0.1'),
    port: port.default(4000),
    token: text.default(''),
    tokenFile: text.default(''),
  }),
  history: z.object({
    port: port.default(8123),
    rawDays: whole(1, 3650).default(2),
    minuteDays: whole(1, 3650).default(30),
    hourDays: whole(1, 3650).default(400),
  }),
  collect: collectSettings,
  trace: z.object({
    /** Processes whose allocations are traced at once, at most. */
    maxTraces: whole(1, 256).default(16),
    /** Milliseconds between two looks at a traced process. */
    interval: whole(100, 60_000).default(1_000),
  }),
  detect: z.object({
    profile: oneOf(['production', 'demo']).default('production'),
  }),
  log: z.object({
    level: oneOf(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    format: oneOf(['pretty', 'json']).default('pretty'),
  }),
};

export interface StandaloneConfig extends ConfigOf<typeof sections> {
  nodeId: NodeId;
  token: string | undefined;
  demo: boolean;
  logLevel: LogLevel;
}

export const USAGE = `Usage: npm start -- [options]   or   tidemark up [options]

Runs collector, detector, history and API of this machine in one process tree.

  --demo              also run a small program that leaks, judged at demo speed
  --data DIR          keep history here (data.directory)
  --port N            port of the API (api.port, default 4000; 0 takes any)
  --history-port N    port of the embedded ClickHouse (history.port, default 8123; 0 takes any)
  --config FILE       JSON file of settings: { "section": { "key": value } }
  --set SECTION.KEY=VALUE   one setting; may be repeated
  -h, --help          this text

Every setting can also come from the environment: api.port is TIDEMARK_API_PORT.
`;

/** What the command line asks for: help, or a run with its settings. Throws ConfigError. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv = process.env): StandaloneConfig | 'help' {
  const { values } = parse(args);
  if (values.help) return 'help';
  const overrides: Record<string, string> = {};
  for (const setting of values.set ?? []) {
    const cut = setting.indexOf('=');
    if (cut < 1) throw new ConfigError([`--set ${setting}: must be SECTION.KEY=VALUE`]);
    overrides[setting.slice(0, cut)] = setting.slice(cut + 1);
  }
  if (values.port !== undefined) overrides['api.port'] = values.port;
  if (values['history-port'] !== undefined) overrides['history.port'] = values['history-port'];
  if (values.data !== undefined) overrides['data.directory'] = values.data;
  if (values.demo && overrides['detect.profile'] === undefined) overrides['detect.profile'] = 'demo';

  const config = loadConfig(sections, { file: values.config, env, overrides });
  return {
    ...config,
    data: { directory: resolve(config.data.directory) },
    nodeId: toNodeId(config.node.id),
    token: readToken(config.api),
    demo: values.demo ?? false,
    logLevel: config.log.level,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        demo: { type: 'boolean' },
        data: { type: 'string' },
        port: { type: 'string' },
        'history-port': { type: 'string' },
        config: { type: 'string' },
        set: { type: 'string', multiple: true },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new ConfigError([`${(error as Error).message.split('\n')[0]}; --help lists the options`]);
  }
}

function readToken(api: { token: string; tokenFile: string }): string | undefined {
  if (api.token !== '') return api.token;
  if (api.tokenFile === '') return undefined;
  if (!existsSync(api.tokenFile)) throw new ConfigError([`api.tokenFile: ${api.tokenFile} does not exist`]);
  const token = readFileSync(api.tokenFile, 'utf8').trim();
  if (token === '') throw new ConfigError([`api.tokenFile: ${api.tokenFile} is empty`]);
  return token;
}

function defaultDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const state = env['XDG_STATE_HOME'];
  return join(state !== undefined && state !== '' ? state : join(homedir(), '.local', 'state'), 'tidemark');
}
