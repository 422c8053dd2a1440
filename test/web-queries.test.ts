import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import * as queries from '../apps/web/src/page/api/queries.js';
import { DEFAULT_LIMITS, readSchemaFile } from '@tidemark/graph';
import { measureOperation } from '../libs/graph/src/server/operation-limits.js';

const schema = buildSchema(readSchemaFile());
const operations = Object.entries(queries).filter(([, text]) => /^(query|mutation|subscription)/.test(text));
// Scalars of a schema made of its text alone take values as they are.
const now = Date.now();
/** The most that the page ever asks for. */
const variables = {
  ...{ id: 'x', key: 'a/b/1/1', node: 'a', pid: 1, mode: 'EXACT', program: 'p', first: 50, note: null },
  ...{ metric: 'RSS', period: { from: now - 30 * 86_400_000, to: now }, filter: {}, orderBy: null, after: null },
};
const forNodes = { ...variables, metric: 'USED' };

describe('the questions of the page', () => {
  it('are found', () => expect(operations.length).toBeGreaterThan(15));

  it.each(operations)('%s is one that the schema answers, and within a tenth of what one may ask', (name, text) => {
    const document = parse(text);
    expect(validate(schema, document)).toEqual([]);
    const given = name === 'NODE_SERIES' ? forNodes : variables;
    const size = measureOperation({ schema, document, operationName: undefined, variables: given }, now);
    expect(size.cost).toBeGreaterThan(0);
    expect(size.cost).toBeLessThan(DEFAULT_LIMITS.cost / 10);
    expect(size.depth).toBeLessThan(DEFAULT_LIMITS.depth);
    expect(size.aliases).toBeLessThan(DEFAULT_LIMITS.aliases);
  });
});
