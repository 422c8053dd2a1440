import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Migration {
  number: number;
  name: string;
  /** SHA-256 of the file. */
  checksum: string;
  /** Each can run again over its own result: a run that broke off is repeated, and two runs may meet. */
  statements: string[];
}

const FILE = /^(\d{4})_([a-z0-9_]+)\.sql$/;
const REPEATABLE =
  /^(CREATE (TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS|ALTER TABLE \w+ ((ADD|DROP) (COLUMN|INDEX) IF |MODIFY SETTING ))/;

/** Where the migrations of this build lie: beside `src` and `dist` alike. */
export const MIGRATIONS_DIRECTORY = fileURLToPath(new URL('../migrations/', import.meta.url));

/** The migrations of a directory by number. Throws Error that names the file that breaks a rule. */
export function readMigrations(directory: string = MIGRATIONS_DIRECTORY): Migration[] {
  const migrations = readdirSync(directory)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => parseMigration(file, readFileSync(join(directory, file), 'utf8')));
  migrations.forEach((migration, index) => {
    if (migration.number !== index + 1) {
      throw new Error(`migration ${migration.name} has number ${migration.number}, the next one is ${index + 1}`);
    }
  });
  return migrations;
}

export function parseMigration(file: string, text: string): Migration {
  const match = FILE.exec(file);
  if (!match) throw new Error(`migration file ${file} must be named NNNN_what_it_does.sql`);
  const statements = text
    .replace(/^\s*--.*$/gm, '')
    .split(/;\s*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
  for (const statement of statements) {
    if (REPEATABLE.test(statement)) continue;
    throw new Error(`migration ${file}: a statement cannot run twice: ${statement.split('\n')[0]?.slice(0, 100)}`);
  }
  return {
    number: Number(match[1]),
    name: match[2] ?? '',
    checksum: createHash('sha256').update(text).digest('hex'),
    statements,
  };
}
