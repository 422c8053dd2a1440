import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection, type Connection } from '../connection.js';
import { startEmbeddedServer, type EmbeddedServer } from '../embedded/index.js';
import { createHistory, type History, type HistoryOptions } from '../history.js';

export interface TestHistory {
  server: EmbeddedServer;
  /** How to reach the server as its administrator. */
  options: HistoryOptions;
  history: History;
  /** For statements that History does not offer. */
  connection: Connection;
  close(): Promise<void>;
}

/** An embedded server of its own in a new directory, with migrated tables; for tests. */
export async function openTestHistory(database = 'tidemark', migrated = true): Promise<TestHistory> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-history-'));
  const server = await startEmbeddedServer({ directory, port: 0 });
  const options: HistoryOptions = { url: server.url, ...server.users.admin, database };
  const history = createHistory(options);
  const connection = createConnection(options);
  if (migrated) await history.migrate();
  return {
    server,
    options,
    history,
    connection,
    async close() {
      await Promise.all([history.close(), connection.close()]);
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
