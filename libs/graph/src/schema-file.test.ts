import { buildSchema, findBreakingChanges, printSchema, validateSchema } from 'graphql';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';

const library = fileURLToPath(new URL('..', import.meta.url));

function sourceSdl(): string {
  return readdirSync(join(library, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.graphql'))
    .sort()
    .map((file) => readFileSync(join(library, 'src', file), 'utf8'))
    .join('\n');
}

function readSchema(file: string) {
  return buildSchema(readFileSync(join(library, file), 'utf8'));
}

describe('the committed schema file', () => {
  it('is what the sources say (npx vitest run libs/graph/src/schema-file.test.ts -u writes it)', async () => {
    const file = join(library, 'schema.graphql');
    const style = await resolveConfig(file);
    const printed = await format(printSchema(buildSchema(sourceSdl())), { ...style, parser: 'graphql' });
    await expect(printed).toMatchFileSnapshot(file);
  });

  it('is a valid schema', () => {
    expect(validateSchema(readSchema('schema.graphql'))).toEqual([]);
  });

  it('breaks no client of the released schema (schema.baseline.graphql: replace it only with a note in the CHANGELOG)', () => {
    expect(findBreakingChanges(readSchema('schema.baseline.graphql'), readSchema('schema.graphql'))).toEqual([]);
  });

  it('keeps every name and type of the contract that it was built to', () => {
    expect(findBreakingChanges(readSchema('testdata/contract.graphql'), readSchema('schema.graphql'))).toEqual([]);
  });
});
