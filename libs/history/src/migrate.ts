import { onCluster } from './cluster.js';
import { identifier, type Connection } from './connection.js';
import { HistoryError } from './errors.js';
import { readMigrations, type Migration } from './migration-files.js';

export interface MigrationReport {
  /** Names of what was applied now, in order. */
  applied: string[];
  /** Number of the newest migration that the database has. */
  version: number;
}

export interface MigrateOptions {
  migrations?: readonly Migration[];
  /** Name of the cluster that the tables are replicated over; one server without it. */
  cluster?: string | undefined;
}

interface AppliedRow {
  number: number;
  name: string;
  checksum: string;
}

export const SCHEMA_MIGRATIONS = `CREATE TABLE IF NOT EXISTS schema_migrations
(number UInt32, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = ReplacingMergeTree ORDER BY number`;

/**
 * Brings the database to what this build expects, forward only. Safe to run again and by several processes at once:
 * every statement can be repeated. Throws HISTORY_VERSION when the database has a migration that this build does not
 * know, or had another text of one.
 *
 * @param home a connection to a database that exists always
 */
export async function migrate(
  connection: Connection,
  home: Connection,
  { migrations = readMigrations(), cluster }: MigrateOptions = {},
): Promise<MigrationReport> {
  const { database } = connection;
  await home.command(onCluster(`CREATE DATABASE IF NOT EXISTS ${identifier(database)}`, database, cluster));
  await connection.command(onCluster(SCHEMA_MIGRATIONS, database, cluster));
  await connection.sync('schema_migrations');
  const before = await readApplied(connection);
  checkApplied(database, before, migrations);
  const done = new Set(before.map(({ number }) => number));
  const applied: string[] = [];
  for (const migration of migrations) {
    if (done.has(migration.number)) continue;
    for (const statement of migration.statements) {
      await connection.command(onCluster(statement, database, cluster));
    }
    await connection.command(
      'INSERT INTO schema_migrations (number, name, checksum) SELECT {number:UInt32}, {name:String}, {checksum:String}',
      { number: migration.number, name: migration.name, checksum: migration.checksum },
    );
    applied.push(migration.name);
  }
  return { applied, version: migrations.length };
}

/** What the database has of migrations, by number. */
export function readApplied(connection: Connection): Promise<AppliedRow[]> {
  return connection.query<AppliedRow>(
    'SELECT DISTINCT number, name, checksum FROM schema_migrations ORDER BY number, name, checksum',
  );
}

function checkApplied(database: string, applied: readonly AppliedRow[], migrations: readonly Migration[]): void {
  const known = new Map(migrations.map((migration) => [migration.number, migration]));
  for (const { number, name, checksum } of applied) {
    const migration = known.get(number);
    const label = `${String(number).padStart(4, '0')}_${name}`;
    const wrong = !migration
      ? `has migration ${label}, this build knows ${migrations.length}`
      : migration.checksum !== checksum
        ? `was made with another text of migration ${label}`
        : undefined;
    if (!wrong) continue;
    throw new HistoryError(
      'HISTORY_VERSION',
      `data directory of another version: history database ${database} ${wrong}; start that version, or give this one an empty data directory`,
      false,
    );
  }
}
