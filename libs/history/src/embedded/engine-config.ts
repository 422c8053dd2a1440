import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface EngineLimits {
  /** Bytes all queries and merges may use together. */
  memoryBytes: number;
  /** Further roles by name, each with its statements `GRANT … ON …`. */
  roles?: Readonly<Record<string, readonly string[]>>;
}

/** Roles of the engine's own access control: the reader's is the whole of what its statements may touch. */
export const roles = { admin: 'tidemark_admin', reader: 'tidemark_reader' } as const;

/**
 * Writes the engine's configuration and returns the arguments that name it. Without a `query_log` and kin section the
 * engine keeps no log tables; pools are small because merges must not take a laptop over.
 */
export function writeEngineConfig(run: string, limits: EngineLimits): string[] {
  const users = join(run, 'users.xml');
  const config = join(run, 'config.xml');
  writeFileSync(users, usersXml(limits.roles ?? {}), { mode: 0o600 });
  writeFileSync(config, configXml(users, limits), { mode: 0o600 });
  return [`--config-file=${config}`];
}

function configXml(users: string, { memoryBytes }: EngineLimits): string {
  return toXml({
    users_config: users,
    timezone: 'UTC',
    display_name: 'tidemark',
    max_server_memory_usage: memoryBytes,
    mark_cache_size: 64 * 2 ** 20,
    uncompressed_cache_size: 0,
    index_mark_cache_size: 0,
    index_uncompressed_cache_size: 0,
    mmap_cache_size: 100,
    background_pool_size: 2,
    background_merges_mutations_concurrency_ratio: 2,
    background_schedule_pool_size: 4,
    background_common_pool_size: 2,
    background_move_pool_size: 1,
    background_fetches_pool_size: 1,
    merge_tree: {
      // Both must be below what the small pool offers, or every merge is refused.
      number_of_free_entries_in_pool_to_execute_mutation: 1,
      number_of_free_entries_in_pool_to_lower_max_size_of_merge: 1,
    },
  });
}

function usersXml(more: NonNullable<EngineLimits['roles']>): string {
  const grant = (...queries: readonly string[]) => ({ grants: { query: queries } });
  return toXml({
    // Formatting on several threads holds several blocks of a result at once: 700 MB more for wide rows, measured.
    profiles: { default: { output_format_parallel_formatting: 0 } },
    roles: {
      [roles.admin]: grant('GRANT ALL ON *.* WITH GRANT OPTION'),
      // The database "default" shows the files of the host as tables; nothing of ours is kept there.
      [roles.reader]: grant('GRANT SHOW, SELECT ON *.*', 'REVOKE SHOW, SELECT ON default.*'),
      ...Object.fromEntries(Object.entries(more).map(([name, queries]) => [name, grant(...queries)])),
    },
    users: {
      default: {
        password: '',
        networks: { ip: '::/0' },
        profile: 'default',
        ...grant(`GRANT ${[roles.admin, roles.reader, ...Object.keys(more)].join(', ')}`),
      },
    },
  });
}

type Xml = string | number | { [name: string]: Xml | readonly string[] };

function toXml(content: Xml): string {
  return `<clickhouse>${render(content)}</clickhouse>\n`;
}

function render(content: Xml): string {
  if (typeof content !== 'object') {
    return String(content).replace(/[&<>]/g, (char) => `&#${char.charCodeAt(0)};`);
  }
  return Object.entries(content)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value as Xml]).map((one) => [name, one] as const))
    .map(([name, value]) => `<${name}>${render(value)}</${name}>`)
    .join('');
}
