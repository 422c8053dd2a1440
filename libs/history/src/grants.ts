import { identifier } from './connection.js';

/** Who comes to the server: each has a user of its own with the least rights that its statements need. */
export const HISTORY_ROLES = ['migrator', 'writer', 'processor', 'reader', 'grafana'] as const;

export type HistoryRole = (typeof HISTORY_ROLES)[number];

/** `GRANT right ON on`; one right each, so that each can be asked for by itself. */
export interface Grant {
  right: string;
  on: string;
}

const RIGHTS: Readonly<Record<HistoryRole, { on: string; rights: readonly string[]; clustered?: boolean }[]>> = {
  migrator: [
    // A view that fills a table is accepted of those only who could read and write what it does.
    {
      on: '*',
      rights: [
        ...['SELECT', 'INSERT', 'CREATE DATABASE', 'CREATE TABLE'],
        ...['ALTER COLUMN', 'ALTER INDEX', 'ALTER TTL', 'ALTER SETTINGS'],
      ],
    },
    { on: '*', rights: ['SYSTEM SYNC REPLICA'], clustered: true },
    { on: '', rights: ['CLUSTER'], clustered: true },
  ],
  // What a batch has already brought is counted, and the rollups are filled anew from raw rows.
  writer: [
    { on: '*', rights: ['SELECT', 'INSERT'] },
    { on: '*', rights: ['SYSTEM SYNC REPLICA'], clustered: true },
  ],
  processor: [
    { on: '*', rights: ['SELECT'] },
    { on: 'leak_states', rights: ['INSERT'] },
  ],
  reader: [{ on: '*', rights: ['SELECT'] }],
  grafana: [{ on: '*', rights: ['SELECT'] }],
};

/** What a role may do in a database, and on a cluster of replicas. `system.tables` and its like need no right. */
export function historyGrants(role: HistoryRole, database: string, clustered: boolean): Grant[] {
  const name = identifier(database);
  return RIGHTS[role]
    .filter((entry) => clustered || !entry.clustered)
    .flatMap(({ on, rights }) => {
      const object = on === '' ? '*.*' : on === '*' ? `${name}.*` : `${name}.${identifier(on)}`;
      return rights.map((right) => ({ right, on: object }));
    });
}
