import type { Connection } from './connection.js';
import { HistoryError } from './errors.js';
import { historyGrants, type Grant, type HistoryRole } from './grants.js';
import { readApplied } from './migrate.js';
import { readMigrations, type Migration } from './migration-files.js';

export interface PreflightOptions {
  clustered: boolean;
  migrations?: readonly Migration[];
}

/** ClickHouse's number of a syntax error: a server that does not know CHECK GRANT yet. */
const SYNTAX_ERROR = '62';

/**
 * Whether the user may do what the role needs, and, but for the migrator, whether the tables are there. Throws
 * HISTORY_ACCESS in one line with the user, the rights and the statements that give them; HISTORY_SCHEMA, worth another
 * try, when the database has not all migrations of this build. One that has more is taken: migrations only add.
 *
 * @param home a connection to a database that exists always
 */
export async function preflight(
  connection: Connection,
  home: Connection,
  role: HistoryRole,
  options: PreflightOptions,
): Promise<void> {
  const missing: Grant[] = [];
  for (const grant of historyGrants(role, connection.database, options.clustered)) {
    if (!(await isGranted(home, grant))) missing.push(grant);
  }
  if (missing.length > 0) throw await notGranted(home, role, missing);
  if (role !== 'migrator') await checkMigrated(connection, options.migrations ?? readMigrations());
}

async function isGranted(home: Connection, { right, on }: Grant): Promise<boolean> {
  try {
    return (await home.ask(`CHECK GRANT ${right} ON ${on}`)).trim() === '1';
  } catch (error) {
    const { cause } = error as { cause?: { code?: unknown } };
    if (cause?.code === SYNTAX_ERROR) return true;
    throw error;
  }
}

async function notGranted(home: Connection, role: HistoryRole, missing: readonly Grant[]): Promise<HistoryError> {
  const [row] = await home.query<{ user: string }>('SELECT currentUser() AS user');
  const user = row?.user ?? '';
  const lacks = missing.map(({ right, on }) => `${right} on ${on.replaceAll('`', '')}`).join(', ');
  const grants = missing.map(({ right, on }) => `GRANT ${right} ON ${on} TO \`${user.replace(/[\\`]/g, '\\$&')}\``);
  return new HistoryError(
    'HISTORY_ACCESS',
    `history user ${user} lacks rights of a ${role}: ${lacks}; run: ${grants.join('; ')}`,
    false,
  );
}

async function checkMigrated(connection: Connection, migrations: readonly Migration[]): Promise<void> {
  const applied = await readApplied(connection).catch((error: unknown) => {
    if (error instanceof HistoryError && error.code === 'HISTORY_SCHEMA') return [];
    throw error;
  });
  const known = new Set(applied.map(({ number }) => number));
  const lacking = migrations.filter(({ number }) => !known.has(number));
  if (lacking.length === 0) return;
  const [first] = lacking;
  throw new HistoryError(
    'HISTORY_SCHEMA',
    `history database ${connection.database} lacks ${lacking.length} of the ${migrations.length} migrations of this build, from ${String(first?.number).padStart(4, '0')}_${first?.name} on: migrate it first`,
    true,
  );
}
