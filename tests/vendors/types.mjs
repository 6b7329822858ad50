// TypeScript types of a vendor's own client, as a document. Some vendors publish no other.
//
// documents.yaml says which types are the parameters and the answer of a request:
//
//     types:
//       GET /v1/users: {query: ListUsersParameters, answer: ListUsersResponse}
//       GET /accounts/{id}/members: {query: MemberListParams, answer: {result: [Member]}}
//     queries: {root: Query, arguments: Query*Args}
//     models: {GET /api/v2/users: UsersResponse}
//
// `queries` is for a client of a GraphQL interface: the type of the root, and those of the arguments of its fields.
// `models` is for a client with a class per file, which names the members as they are in JSON; `file` is their folder.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { load } from '../peers/common.mjs';

const { createGenerator } = await load('ts-json-schema-generator');
const { Kind, parse, valueFromASTUntyped } = await load('graphql');

/** The types as OpenAPI. */
export const fromTypes = (file, { types = {}, queries }) => {
  const definitions = {};
  const generator = createGenerator({ path: file, skipTypeCheck: true, topRef: true, expose: 'all', jsDoc: 'none', additionalProperties: false, strictTuples: false });
  const schemaOf = (wanted) => {
    if (Array.isArray(wanted)) return { type: 'array', items: schemaOf(wanted[0]) };
    if (typeof wanted === 'object') return { type: 'object', properties: Object.fromEntries(Object.entries(wanted).map(([name, part]) => [name, schemaOf(part)])) };
    if (wanted === 'any') return {};
    if (['string', 'integer', 'boolean'].includes(wanted)) return { type: wanted };
    const found = generator.createSchema(wanted);
    Object.assign(definitions, found.definitions);
    return { $ref: found.$ref };
  };
  const paths = {};
  for (const [call, { query, body, answer }] of Object.entries(types)) {
    const [method, address] = call.split(' ');
    const parameters = query ? Object.entries(membersOf(schemaOf(query), definitions)).map(([name, schema]) => ({ name, in: 'query', schema })) : undefined;
    const content = (wanted) => ({ content: { 'application/json': { schema: schemaOf(wanted) } } });
    const responses = answer ? { 200: content(answer) } : {};
    const requestBody = body && content(body);
    paths[address] = { ...paths[address], [method.toLowerCase()]: { parameters, requestBody, responses } };
  }
  const root = queries && schemaOf(queries.root);
  const argumentsOf = (field) => {
    const name = queries.arguments.replace('*', field[0].toUpperCase() + field.slice(1));
    try {
      return membersOf(schemaOf(name), definitions);
    } catch {
      return {};
    }
  };
  return { content: { openapi: '3.0.0', paths, definitions }, ...(root ? { root, argumentsOf } : {}) };
};

/** Classes of a client that openapi-generator made, as OpenAPI: `attributeTypeMap` says how members are called in JSON. */
export const fromModels = async (folder, models) => {
  const definitions = {};
  const schemaOf = async (type) => {
    const list = /^(?:Array|Set)<(.*)>$/.exec(type)?.[1];
    if (list) return { type: 'array', items: await schemaOf(list) };
    const file = path.join(folder, `${type}.js`);
    if (type === 'Date') return { type: 'string' };
    if (['string', 'number', 'boolean'].includes(type)) return { type };
    if (!existsSync(file)) return {};
    if (!definitions[type]) {
      definitions[type] = {};
      const members = (await import(pathToFileURL(file).href)).default?.[type]?.attributeTypeMap;
      if (members) {
        const properties = await Promise.all(Object.values(members).map(async (member) => [member.baseName, await schemaOf(member.type)]));
        definitions[type] = { type: 'object', properties: Object.fromEntries(properties) };
      }
    }
    return { $ref: `#/definitions/${type}` };
  };
  const paths = {};
  for (const [call, type] of Object.entries(models)) {
    const [method, address] = call.split(' ');
    paths[address] = { ...paths[address], [method.toLowerCase()]: { responses: { 200: { content: { 'application/json': { schema: await schemaOf(type) } } } } } };
  }
  return { openapi: '3.0.0', paths, definitions };
};

const membersOf = (schema, definitions) => {
  let found = schema;
  while (found.$ref) found = definitions[decodeURIComponent(found.$ref.replace('#/definitions/', ''))];
  const inner = (found.allOf ?? found.anyOf ?? []).map((part) => membersOf(part, definitions));
  return Object.assign({}, ...inner, found.properties);
};

/** What is wrong with a query according to such types, and the schema of the answer. */
export const judgeByTypes = (document, root, argumentsOf, { query }) => {
  const faults = [];
  const [operation] = parse(query).definitions;
  const selection = (schema, set, isRoot) => {
    const part = document.resolve(schema);
    const choices = part?.anyOf?.map((one) => document.resolve(one)).filter((one) => one.type !== 'null');
    const only = choices?.length === 1 ? choices[0] : part;
    if (only?.type === 'array') return nullable({ type: 'array', items: selection(only.items, set) });
    const properties = {};
    for (const { kind, name, arguments: given = [], selectionSet, alias } of set.selections) {
      if (kind !== Kind.FIELD) continue;
      const member = only?.properties?.[name.value];
      if (!member) faults.push(`${name.value} is not in the types`);
      const known = isRoot ? argumentsOf(name.value) : null;
      for (const one of known ? given : []) {
        const schemaOf = known[one.name.value];
        if (!schemaOf) faults.push(`the argument ${one.name.value} of ${name.value} is not in the types`);
        else if (one.value.kind === Kind.ENUM) {
          const allowed = [schemaOf].flatMap((each) => document.resolve(each).anyOf ?? [each]).flatMap((each) => document.resolve(each).enum ?? []);
          const value = valueFromASTUntyped(one.value);
          if (!allowed.includes(value)) faults.push(`the argument ${one.name.value} of ${name.value} is ${value}; the types have ${allowed.join(', ')}`);
        }
      }
      if (member) properties[alias?.value ?? name.value] = selectionSet ? selection(member, selectionSet) : member;
    }
    return nullable({ type: 'object', properties, additionalProperties: false });
  };
  const data = selection(root, operation.selectionSet, true);
  return { faults, answer: { type: 'object', properties: { data, extensions: {}, account_id: {} } } };
};

const nullable = (schema) => ({ anyOf: [schema, { type: 'null' }] });
