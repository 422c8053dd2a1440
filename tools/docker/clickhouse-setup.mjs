// Makes the users and the tables of a ClickHouse server that was just started, as its administrator. Can be run again:
// a password that was changed in the environment is changed in the server.
import { createHash } from 'node:crypto';
import { createHistory, HISTORY_ROLES, historyOptions, historySettings } from '@tidemark/history';
import { userStatements } from '../clickhouse/users.mjs';

const { CLICKHOUSE_URL: url, CLICKHOUSE_ADMIN: admin, CLICKHOUSE_ADMIN_PASSWORD: secret } = process.env;

/** Tables are made here, so nobody needs a user for it. */
const roles = HISTORY_ROLES.filter((role) => role !== 'migrator');

async function main() {
  await migrate();
  if (process.env.CLICKHOUSE_USERS === 'keep') return say('users are left as they are');
  const hashes = Object.fromEntries(roles.map((role) => [role, sha256(password(role))]));
  for (const statement of userStatements({ database: 'tidemark', roles, hashes })) await run(statement);
  for (const role of roles) {
    await run(`ALTER USER tidemark_${role} IDENTIFIED WITH sha256_hash BY '${hashes[role]}'`);
  }
  say(`users ${roles.map((role) => `tidemark_${role}`).join(', ')} are there`);
}

async function migrate() {
  const settings = historySettings.parse({ url, username: admin, password: secret });
  const history = createHistory(historyOptions(settings));
  try {
    const { applied, version } = await history.migrate();
    say(`tables have migration ${version}${applied.length > 0 ? `, applied ${applied.join(', ')}` : ''}`);
  } finally {
    await history.close();
  }
}

async function run(statement) {
  const headers = { 'x-clickhouse-user': admin, 'x-clickhouse-key': secret };
  const answer = await fetch(url, { method: 'POST', headers, body: statement });
  const text = await answer.text();
  // The statement may hold the hash of a password: its first words tell enough.
  if (!answer.ok) throw new Error(`${statement.split(' ').slice(0, 4).join(' ')}: ${text.split('\n')[0]}`);
}

function password(role) {
  const name = `${role.toUpperCase()}_PASSWORD`;
  const value = process.env[name];
  if (!value) throw new Error(`${name}: must be set`);
  return value;
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const say = (line) => process.stdout.write(`clickhouse-setup: ${line}\n`);

main().catch((error) => {
  process.stderr.write(`clickhouse-setup: ${error.message}\n`);
  process.exitCode = 1;
});
