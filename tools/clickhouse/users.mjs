// Prints the SQL that makes the users of a ClickHouse server, each with the least rights; `--help` tells more.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { HISTORY_ROLES, historyGrants } from '@tidemark/history';

const HELP = `node tools/clickhouse/users.mjs [options] | clickhouse-client --multiquery

Prints SQL that makes the users tidemark_migrator, tidemark_writer, tidemark_processor, tidemark_reader and
tidemark_grafana with the rights that each needs. It can be run again: passwords of users that are there stay.

  --database NAME         default tidemark
  --cluster NAME          makes them on every server of a cluster
  --password ROLE=FILE    file with the password of migrator, writer, processor, reader or grafana; only its SHA-256 is
                          printed. Without it a placeholder stands there, which the server refuses.
  --role ROLE             only these roles; may be given more than once
`;

/** What a user may not go beyond; the second number is the most that it may ask for itself. */
const PROFILES = {
  migrator: ['max_execution_time = 3600'],
  writer: ['max_memory_usage = 4000000000', 'max_execution_time = 300'],
  processor: ['max_memory_usage = 4000000000', 'max_execution_time = 300'],
  // 2: it may change settings of its queries, which clients do, but neither data nor this.
  reader: ['readonly = 2', 'max_memory_usage = 4000000000 MAX 4000000000', 'max_execution_time = 60 MAX 60'],
  grafana: [
    'readonly = 2',
    'max_memory_usage = 2000000000 MAX 2000000000',
    'max_execution_time = 30 MAX 30',
    'max_result_rows = 1000000 MAX 1000000',
  ],
};

/** Dashboards that somebody left open on many screens must not take the server from the others. */
const QUOTAS = { grafana: 'FOR INTERVAL 1 minute MAX queries = 1200, execution_time = 300' };

/**
 * The statements for users of a database, in the order in which they have to run.
 *
 * @param {{ database: string, cluster?: string, roles?: readonly string[], hashes?: Record<string, string> }} options
 *   `hashes` has the SHA-256 of passwords in hexadecimal digits by role
 * @returns {string[]}
 */
export function userStatements({ database, cluster = '', roles = HISTORY_ROLES, hashes = {} }) {
  const on = cluster === '' ? '' : ` ON CLUSTER '${cluster}'`;
  return roles.flatMap((role) => {
    const user = `tidemark_${role}`;
    const hash = hashes[role] ?? `SHA-256 of the password of ${user}`;
    const quota = QUOTAS[role];
    return [
      `CREATE SETTINGS PROFILE OR REPLACE ${user}${on} SETTINGS ${PROFILES[role].join(', ')}`,
      `CREATE USER IF NOT EXISTS ${user}${on} IDENTIFIED WITH sha256_hash BY '${hash}'`,
      `ALTER USER ${user}${on} SETTINGS PROFILE '${user}'`,
      ...historyGrants(role, database, cluster !== '').map(
        ({ right, on: object }) => `GRANT${on} ${right} ON ${object} TO ${user}`,
      ),
      ...(quota ? [`CREATE QUOTA OR REPLACE ${user}${on} ${quota} TO ${user}`] : []),
    ];
  });
}

/** @param {string} text `ROLE=FILE` */
function hashOf(text) {
  const [role = '', file] = text.split(/=(.*)/s);
  if (!HISTORY_ROLES.includes(role) || !file) {
    throw new Error(`--password ${text}: must be ROLE=FILE with a role of ${HISTORY_ROLES.join(', ')}`);
  }
  const password = readFileSync(file, 'utf8').trim();
  if (password === '') throw new Error(`--password ${text}: ${file} is empty`);
  return [role, createHash('sha256').update(password).digest('hex')];
}

function main() {
  const { values } = parseArgs({
    options: {
      database: { type: 'string', default: 'tidemark' },
      cluster: { type: 'string', default: '' },
      password: { type: 'string', multiple: true, default: [] },
      role: { type: 'string', multiple: true, default: [...HISTORY_ROLES] },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return HELP;
  const stranger = values.role.find((role) => !HISTORY_ROLES.includes(role));
  if (stranger !== undefined) throw new Error(`--role ${stranger}: must be one of ${HISTORY_ROLES.join(', ')}`);
  if (!/^[A-Za-z0-9_{}-]*$/.test(values.cluster)) throw new Error(`--cluster ${values.cluster}: must be a plain name`);
  const { database, cluster, role: roles } = values;
  const statements = userStatements({
    database,
    cluster,
    roles,
    hashes: Object.fromEntries(values.password.map(hashOf)),
  });
  return statements.map((statement) => `${statement};\n`).join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(main());
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  }
}
