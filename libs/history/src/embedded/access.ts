import { createHash, timingSafeEqual } from 'node:crypto';
import { StatementClass, type Classification } from './engine.js';
import { EngineException } from './exception.js';
import type { EmbeddedUsers } from './options.js';
import type { StatementShape } from './statement.js';

export type Role = 'admin' | 'reader';

/** @throws EngineException AUTHENTICATION_FAILED, the same for an unknown user and a wrong password. */
export function authenticate(users: EmbeddedUsers, given: { username: string; password: string }): Role {
  let found: Role | null = null;
  // Every pair is compared, so that the time taken tells nothing.
  for (const role of ['admin', 'reader'] as const) {
    const name = isEqual(users[role].username, given.username);
    const password = isEqual(users[role].password, given.password);
    if (name && password) found = role;
  }
  if (found !== null) return found;
  throw new EngineException(
    516,
    'AUTHENTICATION_FAILED',
    `${given.username}: Authentication failed: password is incorrect, or there is no user with such name`,
  );
}

function isEqual(left: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}

/** Functions that read the host outside any table and that the engine lets everyone call. */
const hostFunctions = new Set(['file', 'catboostevaluate']);

export interface Asked {
  role: Role;
  /** The HTTP method allows reading only. */
  readOnly: boolean;
  shape: StatementShape;
  /** What the engine's parser says; null when it was not asked, for an admin who may do everything. */
  classification: Classification | null;
  parameters: readonly (readonly [name: string, value: string])[];
}

/**
 * Lets a statement pass or not. What tables, files and networks a reader may touch is the engine's own access control
 * (see engine-config.ts); here is what that does not cover.
 *
 * @throws EngineException as the server would.
 */
export function permit({ role, readOnly, shape, classification, parameters }: Asked): void {
  if (shape.verb === '') throw new EngineException(62, 'SYNTAX_ERROR', 'Empty query');
  if (shape.several || (classification?.statementCount ?? 1) > 1) {
    throw new EngineException(62, 'SYNTAX_ERROR', 'Multi-statements are not allowed');
  }
  // A text the parser does not know is let through: running it gives the syntax error.
  const { readOnly: reading, unknown } = StatementClass;
  const reads = classification?.queryClass === reading || classification?.queryClass === unknown;
  if (shape.usesFiles) {
    throw new EngineException(
      358,
      'INTO_OUTFILE_NOT_ALLOWED',
      'INTO OUTFILE and FROM INFILE are not allowed over HTTP',
    );
  }
  if (role === 'reader') permitReader(shape, parameters, reads);
  else if (readOnly && !reads) {
    throw new EngineException(
      164,
      'READONLY',
      'Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. ' +
        'You should use method POST for modifying queries',
    );
  }
}

function permitReader(shape: StatementShape, parameters: Asked['parameters'], reads: boolean): void {
  if (!reads) throw new EngineException(164, 'READONLY', 'reader: Cannot execute query in readonly mode');
  // A function can be named without being called (arrayMap(file, …), * APPLY file), so the bare name is enough.
  const byName = [...shape.mentions].find((name) => hostFunctions.has(name));
  const values = shape.mentions.has('identifier') ? parameters.map(([, value]) => value.replace(/[`"\\\s]/g, '')) : [];
  const found = byName ?? values.find((value) => hostFunctions.has(value.toLowerCase()));
  if (found === undefined) return;
  throw new EngineException(
    497,
    'ACCESS_DENIED',
    `reader: Not enough privileges. To execute this query, it's necessary to have the grant READ ON FILE (for '${found}')`,
  );
}
