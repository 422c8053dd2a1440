import type { Connection } from './engine.js';
import { EngineException } from './exception.js';
import type { SessionRequest } from './request.js';

/** Engine sessions that live over several requests, for temporary tables and SET. */
export interface HttpSessions {
  /**
   * Lends the session to one request; `give` makes it when there is none.
   *
   * @throws EngineException SESSION_NOT_FOUND, SESSION_IS_LOCKED, or when there are too many.
   */
  borrow(asked: SessionRequest, create: () => Promise<Connection>): Promise<Borrowed>;
  closeAll(): void;
}

export interface Borrowed {
  connection: Connection;
  /** `usable` false closes it. */
  giveBack(usable: boolean): void;
}

interface Session {
  connection: Connection | null;
  busy: boolean;
  timer: NodeJS.Timeout | null;
}

const maxSessions = 64;

export function createHttpSessions(): HttpSessions {
  const sessions = new Map<string, Session>();
  const drop = (id: string) => {
    const session = sessions.get(id);
    if (session?.timer) clearTimeout(session.timer);
    session?.connection?.close();
    sessions.delete(id);
  };
  return {
    async borrow(asked, create) {
      const found = sessions.get(asked.id);
      if (found === undefined && asked.mustExist) {
        throw new EngineException(372, 'SESSION_NOT_FOUND', `Session ${asked.id} not found`);
      }
      if (found?.busy)
        throw new EngineException(373, 'SESSION_IS_LOCKED', `Session ${asked.id} is locked by a concurrent client`);
      if (found === undefined && sessions.size >= maxSessions) {
        throw new EngineException(202, 'TOO_MANY_SIMULTANEOUS_QUERIES', `Too many sessions. Maximum: ${maxSessions}`);
      }
      const session: Session = found ?? { connection: null, busy: true, timer: null };
      session.busy = true;
      if (session.timer !== null) clearTimeout(session.timer);
      sessions.set(asked.id, session);
      try {
        session.connection ??= await create();
      } catch (error) {
        drop(asked.id);
        throw error;
      }
      return {
        connection: session.connection,
        giveBack(usable) {
          session.busy = false;
          if (!usable || asked.closeAfter) drop(asked.id);
          else session.timer = setTimeout(() => drop(asked.id), asked.timeoutSeconds * 1000).unref();
        },
      };
    },
    closeAll() {
      for (const id of [...sessions.keys()]) drop(id);
    },
  };
}
