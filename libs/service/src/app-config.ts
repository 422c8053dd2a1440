import { parseArgs } from 'node:util';
import {
  ConfigError,
  environmentName,
  loadConfig,
  settingNames,
  type ConfigOf,
  type ConfigSections,
} from './config.js';

/** An option of one app beside those that all have. */
export interface Flag {
  type: 'string' | 'boolean';
  /** The setting that the option's text sets. */
  setting?: string;
}

export interface AppConfig<Sections extends ConfigSections> {
  settings: ConfigOf<Sections>;
  /** The app's own options as they were given. */
  flags: Readonly<Record<string, string | boolean | undefined>>;
}

export interface AppConfigOptions {
  flags?: Readonly<Record<string, Flag>>;
  /** Settings that follow from the options; one that was set expressly stays. */
  implied?: (flags: AppConfig<ConfigSections>['flags']) => Readonly<Record<string, string>>;
}

/** What `--help` says of the options that every app has. */
export const COMMON_OPTIONS = `  --config FILE       JSON file of settings: { "section": { "key": value } }
  --set SECTION.KEY=VALUE   one setting; may be repeated
  -h, --help          this text
`;

/**
 * What a command line asks for: help, or a run with its settings, of the file, the environment and the options, the
 * later winning. Throws ConfigError.
 */
export function readAppConfig<Sections extends ConfigSections>(
  sections: Sections,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { flags = {}, implied = () => ({}) }: AppConfigOptions = {},
): AppConfig<Sections> | 'help' {
  const { help, config: file, set = [], ...own } = parse(args, flags);
  if (help === true) return 'help';
  const overrides: Record<string, string> = {};
  for (const setting of set as string[]) {
    const cut = setting.indexOf('=');
    if (cut < 1) throw new ConfigError([`--set ${setting}: must be SECTION.KEY=VALUE`]);
    overrides[setting.slice(0, cut)] = setting.slice(cut + 1);
  }
  const given = own as AppConfig<Sections>['flags'];
  for (const [name, { setting }] of Object.entries(flags)) {
    if (setting !== undefined && typeof given[name] === 'string') overrides[setting] = given[name];
  }
  const settings = loadConfig(sections, {
    file: file as string | undefined,
    env,
    overrides: { ...implied(given), ...overrides },
  });
  return { settings, flags: given };
}

/** Every setting with its default and its variable, line by line, for `--help`. */
export function describeSettings(sections: ConfigSections): string {
  const names = settingNames(sections);
  const defaults = loadConfig(sections, {}) as Record<string, Record<string, unknown>>;
  const lines = names.map((name) => {
    const [section = '', key = ''] = name.split('.');
    return [name, JSON.stringify(defaults[section]?.[key]) ?? '', environmentName(name)] as const;
  });
  const [wide, wider] = [0, 1].map((column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map(([name, value, variable]) => `  ${name.padEnd(wide!)}  ${value.padEnd(Math.min(30, wider!))}  ${variable}\n`)
    .join('');
}

function parse(args: readonly string[], flags: Readonly<Record<string, Flag>>) {
  try {
    const own = Object.fromEntries(Object.entries(flags).map(([name, { type }]) => [name, { type }]));
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...own,
        config: { type: 'string' },
        set: { type: 'string', multiple: true },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values as Record<string, string | boolean | string[] | undefined>;
  } catch (error) {
    throw new ConfigError([`${(error as Error).message.split('\n')[0]}; --help lists the options`]);
  }
}

/** Runs what reads files that settings name; its error is one of the settings. Throws ConfigError. */
export function orConfigError<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ConfigError([(error as Error).message]);
  }
}
