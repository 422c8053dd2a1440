/* The child process: holds the engine and serves it, until its parent says stop or is gone. */
import { createConnectionPool } from './connection-pool.js';
import { openDataDirectory, makePipes, type DataDirectory } from './data-directory.js';
import { forgetLostBlocks } from './deduplication-repair.js';
import { EmbeddedError } from './embedded-error.js';
import { writeEngineConfig } from './engine-config.js';
import { loadEngine, type Connection, type Engine } from './engine.js';
import { createHttpServer } from './http-server.js';
import { createHttpSessions } from './http-sessions.js';
import { createLanes } from './lanes.js';
import { createScratchFiles } from './scratch-files.js';
import type { ChildOptions, FromChild, ToChild } from './options.js';
import type { ServerIdentity, ServerParts } from './server-parts.js';

const orphanDeadlineMs = 5_000;
/** Of a reader's queries. */
const readerSeconds = 60;

process.once('message', (message: ToChild) => {
  if (message.kind !== 'start') return;
  start(message.options).catch((error: unknown) => {
    const code = error instanceof EmbeddedError ? error.code : 'START_FAILED';
    tell({ kind: 'refused', code, message: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
    process.disconnect?.();
  });
});

/**
 * Ends at once. Not `process.exit`: the engine's exit handlers wait for its threads, for ever when a statement is under
 * way, and then nobody would be left to end us. What was acknowledged outlives the kill.
 */
function endNow(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** What to do when the parent is gone; while starting, there is nothing to finish. */
let onParentGone: () => void = endNow;
process.on('disconnect', () => onParentGone());
// A parent that died while this file was being loaded has sent its message and will never send the event.
if (!process.connected) endNow();

function tell(message: FromChild): void {
  if (process.connected) process.send?.(message, () => undefined);
}

async function start(options: ChildOptions): Promise<void> {
  const probe = loadEngine(options.directory, []);
  const directory = await openDataDirectory({
    directory: options.directory,
    engineVersion: probe.version,
    lockWaitMs: options.lockWaitMs,
    users: options.users,
  });
  const forgotten = forgetLostBlocks(directory.tables);
  if (forgotten > 0) {
    const message = 'blocks of inserts were noted but not written when the last run ended: they may be sent again';
    tell({ kind: 'log', level: 'warn', fields: { blocks: forgotten }, message });
  }
  // Names of pipes and of files with rows then need no path, and so no quoting, in the SQL that mentions them.
  process.chdir(directory.run);
  const engine = loadEngine(directory.tables, writeEngineConfig(directory.run, options));
  // Held for the life of the process: the engine shuts down with its last connection.
  const keeper = engine.connect();
  const parts = await buildParts(options, directory, engine, keeper);
  const server = createHttpServer(parts);
  const port = await listen(server, options);
  stopOnRequest(server, parts, keeper);
  tell({ kind: 'listening', port, users: directory.users });
}

async function buildParts(options: ChildOptions, directory: DataDirectory, engine: Engine, keeper: Connection) {
  const { running, waiting } = options.concurrency;
  const parts: ServerParts = {
    engine,
    users: directory.users,
    identity: await readIdentity(keeper),
    run: directory.run,
    files: createScratchFiles(directory.run),
    pipes: makePipes(directory.run, running),
    reading: createLanes(running, waiting),
    readers: createLanes(Math.max(1, running - 1), waiting),
    writing: createLanes(1, waiting),
    pool: createConnectionPool(engine, running * 2),
    sessions: createHttpSessions(),
    readerLimits: { memoryBytes: Math.floor(options.memoryBytes / 2), executionSeconds: readerSeconds },
    queryIds: new Set(),
    onBroken: endNow,
  };
  return parts;
}

async function readIdentity(connection: Connection): Promise<ServerIdentity> {
  const { bytes } = await connection.query('SELECT version(), displayName(), timezone()', 'JSONCompactEachRow');
  const [version, displayName, timezone] = JSON.parse(bytes.toString('utf8')) as [string, string, string];
  return { version, displayName, timezone };
}

function listen(server: ReturnType<typeof createHttpServer>, options: ChildOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = `${options.host}:${options.port}`;
      reject(
        error.code === 'EADDRINUSE'
          ? new EmbeddedError(
              'PORT_IN_USE',
              `Port ${options.port} on ${options.host} is in use by another program: choose another port for the embedded ClickHouse.`,
            )
          : new EmbeddedError('START_FAILED', `The embedded ClickHouse cannot listen on ${where}: ${error.message}`),
      );
    });
    server.listen(options.port, options.host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : options.port);
    });
  });
}

function stopOnRequest(server: ReturnType<typeof createHttpServer>, parts: ServerParts, keeper: Connection): void {
  let stopping = false;
  const stop = async (deadlineMs: number) => {
    if (stopping) return;
    stopping = true;
    // Only the kernel can end a query that does not: nothing that was acknowledged is lost by it.
    setTimeout(endNow, deadlineMs);
    const closed = new Promise((resolve) => server.close(resolve));
    // Connections that are kept alive become idle one by one as their answers end.
    setInterval(() => server.closeIdleConnections(), 20);
    await Promise.all([closed, parts.reading.idle(), parts.writing.idle()]);
    parts.sessions.closeAll();
    parts.pool.closeAll();
    keeper.close();
    // A parent sees to it that this ends; without one it must end by itself.
    if (process.connected) process.exit(0);
    endNow();
  };
  process.on('message', (message: ToChild) => {
    if (message.kind === 'stop') void stop(message.deadlineMs);
  });
  // A terminal's Ctrl-C and a service manager's SIGTERM reach the whole group: the parent decides when we stop.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  onParentGone = () => void stop(orphanDeadlineMs);
}
