// A vendor's document in one form: OpenAPI 3, Swagger 2, Google's discovery format, TypeScript types, or a GraphQL schema.
//
// `operation(method, pathname)` finds what the document says of a request: its parameters, body,
// answers and security schemes, with `$ref` as it stands. `resolve` follows it. `judge` is for GraphQL.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { load } from '../peers/common.mjs';
import { judge } from './graphql.mjs';

const { default: { parseDocument } } = await load('yaml');
const { buildClientSchema, buildSchema } = await load('graphql');

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/**
 * Reads a document. `server` is the path before all paths, where the document does not say it (`*` is any). A document whose parts
 * are to be joined has several files. `instead` replaces references in answers, where a parameter asks
 * for more than the document says. `also` names paths that the document has under another name.
 */
export const read = async (files, { server, instead = {}, also = {}, types, queries, models }) => {
  if (types || queries || models) {
    // It brings a compiler, which takes a second.
    const { fromModels, fromTypes, judgeByTypes } = await import('./types.mjs');
    const { content, root, argumentsOf } = models ? { content: await fromModels(files[0], models) } : fromTypes(files[0], { types, queries });
    const document = new Document(content, '', instead);
    document.isTypes = true;
    if (root) document.judge = (body) => judgeByTypes(document, root, argumentsOf, body);
    return document;
  }
  const text = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
  if (/\.(graphql|gql)$/.test(files[0])) return queriesOf(buildSchema(text, { assumeValid: true }));
  const content = parse(files[0], text);
  const schema = content.data?.__schema ?? content.__schema;
  if (schema) return queriesOf(buildClientSchema({ __schema: schema }, { assumeValid: true }));
  if (content.discoveryVersion) return new Document(discovered(content), server, instead);
  await gather(content, files[0]);
  for (const [below, other] of Object.entries(also)) content.paths[below] = content.paths[other];
  return new Document(content, server, instead);
};

/** A GraphQL interface: `judge` says what is wrong with a query, and the schema of its answer. */
const queriesOf = (schema) => ({ judge: (body) => judge(schema, body), operation: () => null, resolve: (part) => part, at: () => undefined });

const parse = (file, text) => (file.endsWith('.json') ? JSON.parse(text.replace(/^\uFEFF/, '')) : parseDocument(text, { merge: true, logLevel: 'silent', strict: false, uniqueKeys: false }).toJS({ maxAliasCount: -1 }));

/** Brings the other files to which a document refers into it, below `x-files`. */
const gather = async (content, file) => {
  const names = new Map([[file, '']]);
  const visit = async (part, from, prefix) => {
    if (!part || typeof part !== 'object') return;
    if (typeof part.$ref === 'string') {
      const [relative, inner = ''] = part.$ref.split('#');
      const other = relative ? path.resolve(path.dirname(from), relative) : from;
      if (!names.has(other)) {
        names.set(other, `/x-files/${names.size}`);
        content['x-files'] ??= {};
        // Some documents refer to files that are not published.
        const found = existsSync(other) ? parse(other, await readFile(other, 'utf8')) : {};
        content['x-files'][names.size - 1] = found;
        await visit(found, other, names.get(other));
      }
      part.$ref = `#${names.get(other)}${inner}`;
    }
    for (const inner of Object.values(part)) await visit(inner, from, prefix);
  };
  if (/"?\$ref"?:\s*['"]?[^#'"\s]/.test(JSON.stringify(content))) await visit({ ...content, 'x-files': undefined }, file, '');
};

/** Google's discovery format as OpenAPI 3. */
const discovered = (source) => {
  const text = JSON.stringify(source.schemas).replaceAll('"$ref":"', '"$ref":"#/components/schemas/');
  const paths = {};
  const numbers = ({ minimum, maximum, ...schema }) => ({
    ...schema,
    ...(minimum === undefined ? {} : { minimum: Number(minimum) }),
    ...(maximum === undefined ? {} : { maximum: Number(maximum) }),
  });
  const visit = ({ methods = {}, resources = {} }) => {
    for (const { path: below, httpMethod, parameters = {}, request, response } of Object.values(methods)) {
      const body = (part) => ({ content: { 'application/json': { schema: { $ref: `#/components/schemas/${part.$ref}` } } } });
      paths[`/${below}`] = {
        ...paths[`/${below}`],
        [httpMethod.toLowerCase()]: {
          parameters: Object.entries({ ...source.parameters, ...parameters }).map(([name, parameter]) => {
            const { location, required, repeated, ...schema } = parameter;
            return { name, in: location, required, schema: repeated ? { type: 'array', items: numbers(schema) } : numbers(schema) };
          }),
          ...(request ? { requestBody: body(request) } : {}),
          responses: { 200: response ? body(response) : {} },
        },
      };
    }
    Object.values(resources).forEach(visit);
  };
  visit(source);
  return {
    openapi: '3.0.0',
    servers: [{ url: source.baseUrl }],
    paths,
    components: { schemas: JSON.parse(text), securitySchemes: { oauth2: { type: 'oauth2' } } },
    security: [{ oauth2: [] }],
  };
};

class Document {
  constructor(content, server, instead) {
    this.content = content;
    this.instead = instead;
    this.answers = new Map();
    const address = content.swagger ? content.basePath : content.servers?.[0]?.url;
    const paths = server === undefined ? pathOf(address) : server.replace('*', '');
    this.paths = Object.entries(content.paths ?? {}).map(([below, item]) => {
      const whole = (below.startsWith('/') ? paths + below : `${paths}/${below}`).replace(/[?#].*$/, '').replace(/(.)\/$/, '$1');
      const pattern = whole.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]*\}/g, '[^/]+');
      return { below, item, pattern: new RegExp(`^${server === '*' ? '.*' : ''}${pattern}/?$`, 'i'), places: (whole.match(/\{/g) ?? []).length };
    });
    // A path that is written out comes before one with a parameter at the same place.
    this.paths.sort((one, other) => one.places - other.places);
  }

  resolve(part) {
    let found = part;
    for (let steps = 0; found?.$ref && steps < 50; steps += 1) found = this.at(found.$ref);
    return found;
  }

  at(reference) {
    const names = reference.replace(/^#\//, '').split('/');
    return names.reduce((value, name) => value?.[decodeURIComponent(name).replaceAll('~1', '/').replaceAll('~0', '~')], this.content);
  }

  operation(method, pathname) {
    const name = method.toLowerCase();
    for (const { below, item, pattern } of this.paths) {
      const whole = this.resolve(item);
      if (!METHODS.includes(name) || !whole[name] || !pattern.test(pathname)) continue;
      return this.#described(below, whole, whole[name]);
    }
    return null;
  }

  #described(below, item, operation) {
    const own = (operation.parameters ?? []).map((part) => this.resolve(part));
    const shared = (item.parameters ?? []).map((part) => this.resolve(part));
    const parameters = [...own, ...shared.filter((part) => !own.some(({ name, in: place }) => name === part.name && place === part.in))];
    const body = parameters.find((part) => part.in === 'body');
    const given = this.resolve(operation.requestBody);
    const answers = Object.entries(operation.responses ?? {}).map(([status, part]) => [status, this.#schemaOf(this.resolve(part))]);
    return {
      path: below,
      // Types may say nothing of parameters.
      parameters: operation.parameters === undefined && this.isTypes ? null : parameters.filter((part) => part.in !== 'body').map((part) => ({ ...part, schema: part.schema ?? typed(part) })),
      body: body?.schema ?? (given && this.#schemaOf(given)),
      answers: Object.fromEntries(answers),
      security: this.#security(operation),
    };
  }

  #schemaOf(part) {
    if (part?.schema) return this.#replaced(part.schema);
    const types = Object.entries(part?.content ?? {});
    const json = types.find(([type]) => /^application\/([\w.-]+\+)?json/.test(type)) ?? types.find(([type]) => type === '*/*') ?? types[0];
    return this.#replaced(json?.[1].schema ?? shapeOf(json?.[1].example?.value ?? json?.[1].example));
  }

  /** An answer where a parameter asks for more than the document says. */
  #replaced(schema) {
    if (!schema || Object.keys(this.instead).length === 0) return schema;
    if (!this.answers.has(schema)) {
      this.answers.set(schema, JSON.parse(JSON.stringify(schema), (name, value) => (name === '$ref' ? (this.instead[value] ?? value) : value)));
    }
    return this.answers.get(schema);
  }

  /** The ways to sign this request: `bearer`, `basic`, `header NAME`, `query NAME`. Empty if the document names none. */
  #security(operation) {
    const schemes = this.content.components?.securitySchemes ?? this.content.securityDefinitions ?? {};
    const wanted = operation.security ?? this.content.security ?? [];
    const names = wanted.flatMap((one) => Object.keys(one));
    return names.map((name) => this.resolve(schemes[name])).flatMap((scheme) => {
      if (!scheme) return [];
      if (scheme.type === 'basic' || (scheme.type === 'http' && scheme.scheme.toLowerCase() === 'basic')) return ['basic'];
      if (scheme.type === 'apiKey') return [`${scheme.in} ${scheme.name.toLowerCase()}`];
      return ['bearer'];
    });
  }
}

/** A schema from an example, where the document has no other. */
const shapeOf = (value) => {
  if (value === undefined) return undefined;
  if (value === null) return {};
  if (Array.isArray(value)) return { type: 'array', items: shapeOf(value[0]) ?? {} };
  if (typeof value !== 'object') return { type: typeof value };
  return { type: 'object', properties: Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shapeOf(inner)])) };
};

const pathOf = (address = '') => {
  const below = address.replace(/^[^/]*:?\/\/[^/]*/, '').replace(/^\{[^}]*\}(?=\/|$)/, '').replace(/\/$/, '');
  return below === '' || below.startsWith('/') ? below : `/${below}`;
};

/** A parameter of Swagger 2 as a schema. */
const typed = ({ content, name, in: place, required, description, ...schema }) => Object.values(content ?? {})[0]?.schema ?? schema;
