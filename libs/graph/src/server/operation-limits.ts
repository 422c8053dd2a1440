import {
  getArgumentValues,
  getNamedType,
  getNullableType,
  getOperationAST,
  getVariableValues,
  isListType,
  isObjectType,
  Kind,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLObjectType,
  type GraphQLSchema,
  type SelectionSetNode,
} from 'graphql';
import { GraphError } from '../graph-error.js';
import { pageSize } from '../paging/connection.js';
import { LAST_HOUR, MAX_POINTS, resolveWindow, type PeriodInput } from '../series/period.js';

/** What one operation may ask at most. */
export interface OperationLimits {
  /** Nested selections. */
  depth: number;
  /** Values in the answer, estimated from above: pages by their size, series by their points. */
  cost: number;
  aliases: number;
  directives: number;
  /** Lexical tokens of the document. */
  tokens: number;
}

export const DEFAULT_LIMITS: OperationLimits = { depth: 15, cost: 100_000, aliases: 50, directives: 50, tokens: 5_000 };

export interface Operation {
  schema: GraphQLSchema;
  /** Valid against the schema: no fragment cycles. */
  document: DocumentNode;
  operationName: string | null | undefined;
  variables: Readonly<Record<string, unknown>> | null | undefined;
}

export interface OperationSize {
  depth: number;
  cost: number;
  aliases: number;
  directives: number;
}

/** Items taken for granted of a list that has no `first`. */
const USUAL_ITEMS = 10;

/** Process.trace may be a question to history of its own for each process. */
const TRACE_COST = 100;

/** Throws GraphError when the operation asks for more than allowed. */
export function checkOperation(operation: Operation, limits: OperationLimits, now: number): OperationSize {
  const size = measureOperation(operation, now);
  const refuse = (
    code: 'DEPTH_LIMIT' | 'COST_LIMIT' | 'ALIAS_LIMIT' | 'DIRECTIVE_LIMIT',
    what: string,
    advice: string,
  ) => new GraphError(code, `the query ${what}: ${advice}`);
  if (size.depth > limits.depth) {
    throw refuse('DEPTH_LIMIT', `is ${size.depth} levels deep, more than ${limits.depth}`, 'nest less');
  }
  if (size.aliases > limits.aliases) {
    throw refuse('ALIAS_LIMIT', `has ${size.aliases} aliases, more than ${limits.aliases}`, 'split it');
  }
  if (size.directives > limits.directives) {
    throw refuse('DIRECTIVE_LIMIT', `has ${size.directives} directives, more than ${limits.directives}`, 'split it');
  }
  if (size.cost > limits.cost) {
    const advice = 'ask for fewer fields, smaller pages (first) or fewer points (period, resolution)';
    throw refuse('COST_LIMIT', `may answer with ${size.cost} values, more than ${limits.cost}`, advice);
  }
  return size;
}

/**
 * Walks each fragment once, whatever the number of its uses: a document of nested fragments would otherwise take time
 * that doubles with every level. Introspection is free: the schema is small, and graphql-js bounds its depth.
 */
export function measureOperation(
  { schema, document, operationName, variables }: Operation,
  now: number,
): OperationSize {
  const operation = getOperationAST(document, operationName);
  const root = operation && schema.getRootType(operation.operation);
  if (!operation || !root) return NOTHING;
  const coerced = getVariableValues(schema, operation.variableDefinitions ?? [], { ...variables });
  // What is wrong with the variables is told when the operation is executed.
  if (coerced.errors) return NOTHING;
  const walk: Walk = { schema, variables: coerced.coerced, now, fragments: new Map(), measured: new Map() };
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) walk.fragments.set(definition.name.value, definition);
  }
  const size = measureSelections(walk, operation.selectionSet, root);
  return { ...size, directives: size.directives + (operation.directives?.length ?? 0) };
}

const NOTHING: OperationSize = { depth: 0, cost: 0, aliases: 0, directives: 0 };

interface Walk {
  schema: GraphQLSchema;
  variables: { [name: string]: unknown };
  now: number;
  fragments: Map<string, FragmentDefinitionNode>;
  measured: Map<string, OperationSize>;
}

function measureSelections(walk: Walk, set: SelectionSetNode, parent: GraphQLObjectType): OperationSize {
  let total = NOTHING;
  for (const selection of set.selections) {
    let size: OperationSize;
    if (selection.kind === Kind.FIELD) size = measureField(walk, selection, parent);
    else if (selection.kind === Kind.INLINE_FRAGMENT) size = measureSelections(walk, selection.selectionSet, parent);
    else size = measureFragment(walk, selection.name.value);
    total = {
      depth: Math.max(total.depth, size.depth),
      cost: total.cost + size.cost,
      aliases: total.aliases + size.aliases,
      directives: total.directives + size.directives + (selection.directives?.length ?? 0),
    };
  }
  return total;
}

function measureFragment(walk: Walk, name: string): OperationSize {
  const known = walk.measured.get(name);
  if (known) return known;
  const fragment = walk.fragments.get(name);
  const type = fragment && walk.schema.getType(fragment.typeCondition.name.value);
  const size = fragment && isObjectType(type) ? measureSelections(walk, fragment.selectionSet, type) : NOTHING;
  walk.measured.set(name, size);
  return size;
}

function measureField(walk: Walk, node: FieldNode, parent: GraphQLObjectType): OperationSize {
  const aliases = node.alias ? 1 : 0;
  const field = parent.getFields()[node.name.value];
  if (!field) return { ...NOTHING, aliases, depth: 1 };
  const args = getArgumentValues(field, node, walk.variables);
  const type = getNamedType(field.type);
  const inner = node.selectionSet && isObjectType(type) ? measureSelections(walk, node.selectionSet, type) : NOTHING;
  const sum = { depth: inner.depth + 1, aliases: aliases + inner.aliases, directives: inner.directives };
  if (field.name === 'series') return { ...sum, cost: pointsOf(args, parent, walk.now) };
  // The pages of a connection were counted at the field that has `first`.
  let items = isListType(getNullableType(field.type)) && !parent.name.endsWith('Connection') ? USUAL_ITEMS : 1;
  if (field.args.some(({ name }) => name === 'first')) items = pageSize(args['first'] as number | null | undefined);
  const own = parent.name === 'Process' && field.name === 'trace' ? TRACE_COST : 1;
  return { ...sum, cost: own + items * Math.max(1, inner.cost) };
}

/** The series of an aggregate takes its period from the aggregate, which checks it when it is asked. */
function pointsOf(args: Record<string, unknown>, parent: GraphQLObjectType, now: number): number {
  if (parent.name === 'ClusterAggregate') return MAX_POINTS;
  const window = resolveWindow((args['period'] ?? LAST_HOUR) as PeriodInput, args['resolution'] as number | null, now);
  return Math.ceil((window.to - window.from) / window.stepMs);
}
