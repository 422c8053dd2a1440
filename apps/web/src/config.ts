import {
  COMMON_OPTIONS,
  ConfigError,
  describeSettings,
  logSettings,
  portSetting,
  readAppConfig,
  type ConfigOf,
} from '@tidemark/service';
import { z } from 'zod';

const text = z.string('must be text');

export const sections = {
  web: z.object({
    /** Another address than loopback is served only while the API itself asks everybody for a token. */
    host: text.min(1, 'must name an address').default('127.0.0.1'),
    port: portSetting.default(4080),
    apiUrl: text
      .refine(isHttpUrl, 'must be the http: or https: address of an API, as http://127.0.0.1:4000/graphql')
      .default('http://127.0.0.1:4000/graphql'),
    /** Further names under which browsers reach a page on loopback, as behind a proxy; with commas between. */
    allowedHosts: text.default(''),
  }),
  log: logSettings,
};

export interface WebConfig extends ConfigOf<typeof sections> {
  apiUrl: URL;
  allowedHosts: string[];
}

export const USAGE = `Usage: node apps/web/dist/main.js [options]

Hands out the web page of a cluster, and passes what the page asks on to the API.

${COMMON_OPTIONS}
Settings, their defaults, and the variables of the environment that set them:

${describeSettings(sections)}`;

/** Throws ConfigError. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv = process.env): WebConfig | 'help' {
  const read = readAppConfig(sections, args, env);
  if (read === 'help') return 'help';
  const { web, log } = read.settings;
  const apiUrl = new URL(web.apiUrl);
  if (apiUrl.username !== '' || apiUrl.password !== '') {
    throw new ConfigError(['web.apiUrl: must not hold a password: the page asks for the token']);
  }
  const allowedHosts = web.allowedHosts
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
  return { web, log, apiUrl, allowedHosts };
}

function isHttpUrl(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}
