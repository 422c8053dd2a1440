import { readFileSync } from 'node:fs';
import type { z } from 'zod';

/** Sections of settings, each a flat object whose keys all have defaults: `section.key` names a setting everywhere. */
export type ConfigSections = Record<string, z.ZodObject>;

export type ConfigOf<Sections extends ConfigSections> = { [Name in keyof Sections]: z.output<Sections[Name]> };

export interface ConfigSources {
  /** A JSON file, weakest; undefined when none was named. */
  file?: string | undefined;
  /** Environment: `TIDEMARK_API_PORT` sets `api.port`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Command line, strongest: `{ 'api.port': '4001' }`. */
  overrides?: Readonly<Record<string, string>>;
}

/** Every problem of the settings at once, each in one line that names the setting, where it came from and its range. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG_INVALID';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

interface Given {
  section: string;
  key: string;
  value: unknown;
  from: string;
}

const ENV_PREFIX = 'TIDEMARK_';

/** Reads, merges and checks the settings once; throws ConfigError. */
export function loadConfig<Sections extends ConfigSections>(
  sections: Sections,
  sources: ConfigSources,
): ConfigOf<Sections> {
  const problems: string[] = [];
  const given = [
    ...fromFile(sections, sources.file, problems),
    ...fromEnv(sections, sources.env ?? {}),
    ...fromOverrides(sections, sources.overrides ?? {}, problems),
  ];
  const config: Record<string, unknown> = {};
  for (const [section, schema] of Object.entries(sections)) {
    const mine = given.filter((one) => one.section === section);
    const values = Object.fromEntries(mine.map((one) => [one.key, one.value]));
    const origin = new Map(mine.map((one) => [one.key, one.from]));
    const result = schema.safeParse(values);
    if (result.success) config[section] = result.data;
    else {
      for (const issue of result.error.issues) {
        const key = String(issue.path[0] ?? '');
        const found = JSON.stringify(values[key]) ?? 'nothing';
        problems.push(
          `${section}.${key}: ${issue.message}, found ${found.slice(0, 80)} (${origin.get(key) ?? 'default'})`,
        );
      }
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return config as ConfigOf<Sections>;
}

/** Names of all settings, as `section.key`. */
export function settingNames(sections: ConfigSections): string[] {
  return Object.entries(sections).flatMap(([section, schema]) =>
    Object.keys(schema.shape).map((key) => `${section}.${key}`),
  );
}

/** The variable of the environment that sets `section.key`: `api.tokenFile` → `TIDEMARK_API_TOKEN_FILE`. */
export function environmentName(setting: string): string {
  return (
    ENV_PREFIX +
    setting
      .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
      .replace('.', '_')
      .toUpperCase()
  );
}

function fromFile(sections: ConfigSections, file: string | undefined, problems: string[]): Given[] {
  if (file === undefined) return [];
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    problems.push(`config file ${file} cannot be read: ${(error as Error).message}`);
    return [];
  }
  if (!isRecord(json)) {
    problems.push(`config file ${file} must hold one JSON object of sections: ${Object.keys(sections).join(', ')}`);
    return [];
  }
  const given: Given[] = [];
  for (const [section, values] of Object.entries(json)) {
    if (section === '$schema') continue;
    if (!isRecord(values)) problems.push(`${section}: must be an object of settings (${file})`);
    else {
      for (const [key, value] of Object.entries(values)) {
        if (leaf(sections, section, key)) given.push({ section, key, value, from: file });
        else problems.push(unknownSetting(sections, `${section}.${key}`, file));
      }
    }
  }
  return given;
}

function fromEnv(sections: ConfigSections, env: Readonly<Record<string, string | undefined>>): Given[] {
  const given: Given[] = [];
  for (const setting of settingNames(sections)) {
    const name = environmentName(setting);
    const text = env[name];
    if (text === undefined) continue;
    const [section = '', key = ''] = setting.split('.');
    given.push({ section, key, value: fromText(sections, section, key, text), from: name });
  }
  return given;
}

function fromOverrides(
  sections: ConfigSections,
  overrides: Readonly<Record<string, string>>,
  problems: string[],
): Given[] {
  const given: Given[] = [];
  for (const [setting, text] of Object.entries(overrides)) {
    const [section = '', key = ''] = setting.split('.');
    if (!leaf(sections, section, key)) problems.push(unknownSetting(sections, setting, 'command line'));
    else given.push({ section, key, value: fromText(sections, section, key, text), from: 'command line' });
  }
  return given;
}

/** Text stands for itself where the setting is text, else for the JSON it spells. */
function fromText(sections: ConfigSections, section: string, key: string, text: string): unknown {
  if (leaf(sections, section, key)?.safeParse(text).success) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function leaf(sections: ConfigSections, section: string, key: string): z.ZodType | undefined {
  const schema = Object.hasOwn(sections, section) ? sections[section] : undefined;
  return schema && Object.hasOwn(schema.shape, key) ? (schema.shape[key] as z.ZodType) : undefined;
}

function unknownSetting(sections: ConfigSections, setting: string, from: string): string {
  const [section = ''] = setting.split('.');
  const siblings = Object.hasOwn(sections, section) ? Object.keys(sections[section]!.shape) : undefined;
  const known = siblings ? `${section} has ${siblings.join(', ')}` : `sections are ${Object.keys(sections).join(', ')}`;
  return `${setting}: no such setting; ${known} (${from})`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
