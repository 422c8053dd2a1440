import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSchema, Kind, parse, validate, visit, type DocumentNode } from 'graphql';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const sources = join(root, 'apps/cli/src');
const schema = buildSchema(readFileSync(join(root, 'libs/graph/schema.graphql'), 'utf8'));

/** How a source marks a document, so that none is forgotten here. */
const MARK = '/* GraphQL */';

const files = readdirSync(sources, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => ({ name, marks: readFileSync(join(sources, name), 'utf8').split(MARK).length - 1 }))
  .filter(({ marks }) => marks > 0);

async function documentsOf(file: string): Promise<string[]> {
  const module: Record<string, unknown> = await import(join(sources, file));
  return Object.values(module).filter(
    (value): value is string => typeof value === 'string' && /^\s*(query|subscription|mutation)\b/.test(value),
  );
}

function operationName(document: DocumentNode): string {
  const operation = document.definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  return operation?.name?.value ?? '';
}

describe('the documents of the command line', () => {
  it('are found at all', () => {
    expect(files.map(({ name }) => name)).toEqual(expect.arrayContaining(['commands/ps.ts', 'top/feed.ts']));
  });

  it.each(files)('in $name are valid against the schema', async ({ name, marks }) => {
    const documents = await documentsOf(name);
    expect(documents, `${name} marks ${marks} documents and must export each`).toHaveLength(marks);
    for (const text of documents) {
      const document = parse(text);
      expect(operationName(document)).not.toBe('');
      expect(validate(schema, document).map(({ message }) => message)).toEqual([]);
      // A value set into the text instead of a variable would be a way to inject.
      visit(document, {
        StringValue(node) {
          throw new Error(`${name}: the string ${JSON.stringify(node.value)} belongs into a variable`);
        },
      });
    }
  });
});
