import { createConnection, type ConnectionOptions } from './connection.js';
import { migrate, type MigrationReport } from './migrate.js';
import { applyRetention, checkRetention, DEFAULT_RETENTION, type Retention } from './retention.js';
import type { Block } from './write/block.js';
import { writeBlocks, type WriteOptions, type WriteReport } from './write/write-blocks.js';

export type HistoryOptions = ConnectionOptions;

/** What is kept in ClickHouse, wherever it runs. Every call may throw HistoryError. */
export interface History {
  /** Brings the tables to what this build expects and sets how long they keep what; safe to call again and at once. */
  migrate(retention?: Retention): Promise<MigrationReport>;
  write(blocks: readonly Block[], options: WriteOptions): Promise<WriteReport>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export function createHistory(options: HistoryOptions): History {
  const connection = createConnection(options);
  return {
    async migrate(retention = DEFAULT_RETENTION) {
      checkRetention(retention);
      // The database may not be there yet, and a connection to it would be refused.
      const home = createConnection({ ...options, database: 'default', maxConnections: 1 });
      try {
        const report = await migrate(connection, home);
        await applyRetention(connection, retention);
        return report;
      } finally {
        await home.close();
      }
    },
    write: (blocks, writeOptions) => writeBlocks(connection, blocks, writeOptions),
    ping: () => connection.ping(),
    close: () => connection.close(),
  };
}
