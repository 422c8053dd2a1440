import { resolve } from 'node:path';
import { toNodeId, type NodeId } from '@tidemark/contracts';
import { collectSettings, detectSettings, traceSettings } from '@tidemark/pipeline';
import {
  COMMON_OPTIONS,
  dataSettings,
  listenSettings,
  logSettings,
  nodeSettings,
  portSetting,
  readAppConfig,
  readToken,
  type ConfigOf,
} from '@tidemark/service';
import { z } from 'zod';

const days = (least: number) => {
  const range = 'must be a whole number from 1 to 3650';
  return z.number(range).int(range).min(1, range).max(3650, range).default(least);
};

export const sections = {
  node: nodeSettings,
  /** Where history, log and spool are kept. */
  data: dataSettings(process.env['XDG_STATE_HOME']),
  api: listenSettings(4000),
  history: z.object({
    port: portSetting.default(8123),
    rawDays: days(2),
    minuteDays: days(30),
    hourDays: days(400),
  }),
  collect: collectSettings,
  trace: traceSettings,
  detect: detectSettings,
  log: logSettings,
};

export interface StandaloneConfig extends ConfigOf<typeof sections> {
  nodeId: NodeId;
  token: string | undefined;
  demo: boolean;
}

export const USAGE = `Usage: npm start -- [options]   or   tidemark up [options]

Runs collector, detector, history and API of this machine in one process tree.

  --demo              also run a small program that leaks, judged at demo speed
  --data DIR          keep history here (data.directory)
  --port N            port of the API (api.port, default 4000; 0 takes any)
  --history-port N    port of the embedded ClickHouse (history.port, default 8123; 0 takes any)
${COMMON_OPTIONS}
Every setting can also come from the environment: api.port is TIDEMARK_API_PORT.
`;

/** What the command line asks for: help, or a run with its settings. Throws ConfigError. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv = process.env): StandaloneConfig | 'help' {
  const read = readAppConfig(sections, args, env, {
    flags: {
      demo: { type: 'boolean' },
      data: { type: 'string', setting: 'data.directory' },
      port: { type: 'string', setting: 'api.port' },
      'history-port': { type: 'string', setting: 'history.port' },
    },
    implied: ({ demo }): Record<string, string> => (demo === true ? { 'detect.profile': 'demo' } : {}),
  });
  if (read === 'help') return 'help';
  const { settings, flags } = read;
  return {
    ...settings,
    data: { directory: resolve(settings.data.directory) },
    nodeId: toNodeId(settings.node.id),
    token: readToken('api', settings.api),
    demo: flags['demo'] === true,
  };
}
