import type { Connection, Engine } from './engine.js';

/** Engine sessions ready for use: a request that asks for what an earlier one asked for finds its session prepared. */
export interface ConnectionPool {
  /** A session brought to `prelude`, and then to `more`, which holds for this use only. */
  take(prelude: string, more: string): Promise<Connection>;
  /** `clean`: nothing but its prelude has changed the session. */
  giveBack(prelude: string, connection: Connection, clean: boolean): void;
  closeAll(): void;
}

interface Idle {
  prelude: string;
  connection: Connection;
}

export function createConnectionPool(engine: Engine, maxIdle: number): ConnectionPool {
  /** Least lately used first. */
  let idle: Idle[] = [];
  let closed = false;
  const takeIdle = (prelude: string): Connection | null => {
    const index = idle.findLastIndex((entry) => entry.prelude === prelude);
    return index < 0 ? null : idle.splice(index, 1)[0]!.connection;
  };
  return {
    async take(prelude, more) {
      const ready = takeIdle(prelude);
      const connection = ready ?? engine.connect();
      const statements = [ready === null ? prelude : '', more].filter(Boolean).join(';\n');
      try {
        if (statements !== '') await connection.query(statements);
        return connection;
      } catch (error) {
        connection.close();
        throw error;
      }
    },
    giveBack(prelude, connection, clean) {
      if (!clean || closed) return connection.close();
      idle.push({ prelude, connection });
      if (idle.length > maxIdle) idle.shift()!.connection.close();
    },
    closeAll() {
      closed = true;
      for (const { connection } of idle) connection.close();
      idle = [];
    },
  };
}
