import {
  getNamedType,
  isObjectType,
  isRequiredArgument,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
} from 'graphql';

/** Arguments by `Type.field`; lists of fields with `first` get two rows each. */
export type FieldArguments = Readonly<Record<string, string>>;

/**
 * A query of every field of every type below the root: a type inside itself is asked for its name only, so that each
 * field stands somewhere and the query is finite. Gives the fields it covers as `Type.field`.
 */
export function wholeQuery(schema: GraphQLSchema, given: FieldArguments): { query: string; fields: Set<string> } {
  const fields = new Set<string>();
  const root = schema.getQueryType();
  if (!root) throw new Error('the schema has no queries');
  return { query: selectAll(root, given, fields, new Set()), fields };
}

/** Every field of every object type, as `Type.field`. */
export function everyField(schema: GraphQLSchema): Set<string> {
  const types = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !type.name.startsWith('__'));
  return new Set(
    types.flatMap((type) => Object.keys((type as GraphQLObjectType).getFields()).map((name) => `${type.name}.${name}`)),
  );
}

function selectAll(
  type: GraphQLObjectType,
  given: FieldArguments,
  fields: Set<string>,
  above: ReadonlySet<string>,
): string {
  const within = new Set([...above, type.name]);
  const selections = Object.values(type.getFields()).map((field) => {
    const name = `${type.name}.${field.name}`;
    const inner = getNamedType(field.type);
    const call = `${field.name}${argumentsOf(name, field, given)}`;
    if (!isObjectType(inner)) {
      fields.add(name);
      return call;
    }
    fields.add(name);
    return within.has(inner.name) ? `${call} { __typename }` : `${call} ${selectAll(inner, given, fields, within)}`;
  });
  return `{ ${selections.join(' ')} }`;
}

function argumentsOf(name: string, field: GraphQLField<unknown, unknown>, given: FieldArguments): string {
  const known = given[name];
  if (known !== undefined) return `(${known})`;
  const missing = field.args.find((argument: GraphQLArgument) => isRequiredArgument(argument));
  if (missing) throw new Error(`${name} needs an argument ${missing.name}: name it`);
  return field.args.some((argument) => argument.name === 'first') ? '(first: 2)' : '';
}
