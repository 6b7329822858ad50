// Queries of a manifest against a GraphQL schema. The answer to a query gets a schema of its own, so that it is held
// against the manifest like any other.

import { load } from '../peers/common.mjs';

const { getNamedType, getNullableType, isEnumType, isListType, isNonNullType, isObjectType, isAbstractType, parse, validate, getVariableValues, Kind } =
  await load('graphql');

const SCALARS = { Int: { type: 'integer' }, Float: { type: 'number' }, String: { type: 'string' }, Boolean: { type: 'boolean' }, ID: { type: 'string' } };

/** What is wrong with a query and its variables, and the schema of the answer. */
export const judge = (schema, { query, variables = {} }) => {
  let document;
  try {
    document = parse(query);
  } catch (error) {
    return { faults: [error.message], answer: {} };
  }
  const faults = validate(schema, document).map(({ message }) => message);
  const [operation] = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const coerced = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  faults.push(...(coerced.errors ?? []).map(({ message }) => message));
  const fragments = Object.fromEntries(document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]));
  const selected = faults.length ? {} : selection(schema, schema.getQueryType(), [operation.selectionSet], fragments);
  return { faults, answer: { type: 'object', properties: { data: selected, extensions: {}, errors: { type: 'array' } }, required: ['data'], additionalProperties: false } };
};

const selection = (schema, type, sets, fragments) => {
  if (isAbstractType(type)) {
    return { anyOf: schema.getPossibleTypes(type).map((possible) => selection(schema, possible, sets, fragments)) };
  }
  const fields = {};
  const gather = (set) => {
    for (const one of set.selections) {
      if (one.kind === Kind.FIELD) {
        const name = one.alias?.value ?? one.name.value;
        fields[name] = { field: one.name.value, sets: [...(fields[name]?.sets ?? []), ...(one.selectionSet ? [one.selectionSet] : [])] };
        continue;
      }
      const part = one.kind === Kind.INLINE_FRAGMENT ? one : fragments[one.name.value];
      const condition = part.typeCondition && schema.getType(part.typeCondition.name.value);
      const applies = !condition || condition === type || (isAbstractType(condition) && schema.isSubType(condition, type));
      if (applies) gather(part.selectionSet);
    }
  };
  sets.forEach(gather);
  const properties = Object.fromEntries(Object.entries(fields).map(([name, { field, sets: inner }]) => {
    if (field === '__typename') return [name, { type: 'string', const: type.name }];
    return [name, valueOf(schema, type.getFields()[field].type, inner, fragments)];
  }));
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
};

const valueOf = (schema, type, sets, fragments) => {
  const inner = getNullableType(type);
  const found = isListType(inner) ? { type: 'array', items: valueOf(schema, inner.ofType, sets, fragments) } : leafOf(schema, getNamedType(inner), sets, fragments);
  return isNonNullType(type) ? found : { anyOf: [found, { type: 'null' }] };
};

const leafOf = (schema, type, sets, fragments) => {
  if (isEnumType(type)) return { type: 'string', enum: type.getValues().map(({ name }) => name) };
  if (isObjectType(type) || isAbstractType(type)) return selection(schema, type, sets, fragments);
  // Scalars of the vendor's own are written as texts, for the most part; what they contain is not in the schema.
  return SCALARS[type.name] ?? {};
};
