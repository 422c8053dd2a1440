import type { StandaloneConfig } from './config.js';
import type { StandaloneRun } from './start.js';

/** What a person wants to know when it is up, line by line. */
export function describeRun(config: StandaloneConfig, run: StandaloneRun): string[] {
  const every = config.collect.interval === 1000 ? 'every second' : `every ${config.collect.interval} ms`;
  const origin = new URL(run.apiUrl).origin;
  return [
    '',
    `Tidemark watches ${config.nodeId} ${every}, judged by the ${config.detect.profile} profile.`,
    '',
    ...(run.pageUrl === undefined ? [] : [`  Page      ${run.pageUrl}`]),
    `  GraphQL   ${run.apiUrl}   (subscriptions on the same path)`,
    `  Health    ${origin}/health/ready   metrics ${origin}/metrics`,
    `  History   ${run.historyUrl}   (ClickHouse over HTTP; user ${run.reader.username}, password ${run.reader.password})`,
    `  Kept in   ${config.data.directory}`,
    ...(run.demoPid === undefined ? [] : [`  Demo      pid ${run.demoPid} leaks 1 MiB a second`]),
    ...limits(run.limitations),
    '',
    `  Try       npx tidemark top${urlOption(config, run.apiUrl)}`,
    `            npx tidemark findings --follow${urlOption(config, run.apiUrl)}`,
    '',
    'Stop with Ctrl-C.',
  ];
}

function limits(limitations: readonly string[]): string[] {
  if (limitations.length === 0) return ['  Limits    none: this host shows everything'];
  return limitations.map((line, index) => `  ${index === 0 ? 'Limits' : '      '}    ${line}`);
}

function urlOption(config: StandaloneConfig, url: string): string {
  return config.api.port === 4000 ? '' : ` --url ${url}`;
}
