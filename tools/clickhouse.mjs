// `npm run clickhouse` runs ClickHouse's engine with its HTTP interface as a process of its own until it is asked to
// stop: a stand-in for a server on machines that have none.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const USAGE = `Usage: npm run clickhouse -- [options]

Runs the ClickHouse engine that Tidemark embeds, with its HTTP interface, until Ctrl-C. When it answers, it prints
"ready URL", then its users. Passwords that are not given are made once and kept in the directory.

  --data DIR             where the tables are kept (default .cache/clickhouse-data)
  --host ADDRESS         where it listens (default 127.0.0.1; another one needs both passwords)
  --port N               port of the HTTP interface (default 8123; 0 takes any free one)
  --admin-user NAME      the user that may do everything (default "default")
  --admin-password TEXT  its password
  --reader-user NAME     the user that may only read tables (default "reader")
  --reader-password TEXT its password
  --memory-mb N          what the engine may use (default a quarter of the machine, at most 4096)
`;

const root = join(fileURLToPath(new URL('.', import.meta.url)), '..');
const loopback = ['127.0.0.1', '::1', 'localhost'];
const stopMs = 10_000;
/** A child of one that was killed lets go of the directory within 5 s. */
const lockWaitMs = 15_000;
const say = (line) => process.stdout.write(`${line}\n`);
const complain = (line) => process.stderr.write(`clickhouse: ${line}\n`);
const options = readOptions();
let server;
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void stop());

try {
  const { startEmbeddedServer } = await embedded();
  server = await startEmbeddedServer({ ...options, lockWaitMs, logger: loggerOf(complain) });
  server.failed.catch((error) => {
    complain(error.message);
    process.exit(1);
  });
  if (stopping) await finish();
  else tellOf(server);
} catch (error) {
  complain(error.message);
  process.exitCode = 1;
}

function tellOf({ url, users, pid }) {
  say(`ready ${url}`);
  for (const [role, { username, password }] of Object.entries(users)) {
    say(`  ${role.padEnd(6)} user ${username}, password ${password}`);
  }
  say(`  kept in ${options.directory}, engine in process ${pid}`);
}

/** Running statements may end; what starts meanwhile is stopped as soon as it stands. */
async function stop() {
  if (stopping) return;
  stopping = true;
  if (server) await finish();
}

async function finish() {
  await server.stop(stopMs);
  process.exit(0);
}

function embedded() {
  if (!existsSync(join(root, 'libs', 'history', 'dist', 'embedded', 'main.js'))) {
    throw new Error('libs/history is not built: run npm run setup');
  }
  return import('@tidemark/history/embedded');
}

/** Warnings and worse; the output belongs to what the caller waits for. */
function loggerOf(write) {
  const line = (fields, message) => write(`${message} ${JSON.stringify(fields)}`);
  return { info: () => {}, warn: line, error: line };
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        data: { type: 'string', default: join(root, '.cache', 'clickhouse-data') },
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '8123' },
        'admin-user': { type: 'string', default: 'default' },
        'admin-password': { type: 'string' },
        'reader-user': { type: 'string', default: 'reader' },
        'reader-password': { type: 'string' },
        'memory-mb': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      say(USAGE);
      process.exit(0);
    }
    return checked(values);
  } catch (error) {
    complain(`${error.message.split('\n')[0]}; --help lists the options`);
    process.exit(2);
  }
}

function checked(values) {
  const users = {};
  for (const role of ['admin', 'reader']) {
    const [username, password] = [values[`${role}-user`], values[`${role}-password`]];
    if (password !== undefined) users[role] = { username, password };
    else if (!loopback.includes(values.host)) throw new Error(`--host ${values.host}: needs --${role}-password`);
    else if (username !== { admin: 'default', reader: 'reader' }[role]) {
      throw new Error(`--${role}-user ${username}: needs --${role}-password`);
    }
  }
  const memoryMb = values['memory-mb'];
  return {
    directory: resolve(values.data),
    host: values.host,
    port: whole('port', values.port, 0, 65_535),
    users,
    ...(memoryMb !== undefined && { memoryBytes: whole('memory-mb', memoryMb, 128, 1_048_576) * 2 ** 20 }),
  };
}

function whole(name, text, min, max) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max || text.trim() === '') {
    throw new Error(`--${name} ${text}: must be a whole number from ${min} to ${max}`);
  }
  return value;
}
