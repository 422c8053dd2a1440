import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEngine } from './engine.js';
import { createHttpServer } from './http-server.js';
import type { EmbeddedUsers } from './options.js';

process.once('message', (start: { directory: string; port: number; host: string }) => {
  mkdirSync(start.directory, { recursive: true, mode: 0o700 });
  const users = readUsers(start.directory);
  const engine = openEngine(join(start.directory, 'data'), []);
  // Held for the life of the process: the engine shuts down with its last connection.
  const keeper = engine.connect();
  const server = createHttpServer(engine, users);
  server.on('error', (error) => {
    process.send?.({ kind: 'refused', code: 'PORT', message: error.message });
    process.disconnect();
  });
  server.listen(start.port, start.host, () => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no address');
    process.send?.({ kind: 'listening', port: address.port, users });
  });
  const end = () => {
    server.close(() => {
      keeper.close();
      process.exit(0);
    });
    server.closeIdleConnections();
  };
  process.once('SIGTERM', end);
  process.once('disconnect', end);
});

function readUsers(directory: string): EmbeddedUsers {
  const file = join(directory, 'users.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as EmbeddedUsers;
  const users = {
    admin: { username: 'default', password: randomBytes(18).toString('base64url') },
    reader: { username: 'reader', password: randomBytes(18).toString('base64url') },
  };
  writeFileSync(file, JSON.stringify(users), { mode: 0o600 });
  return users;
}
