// Questions to a schema of a document: does a value conform, what is at a path, which values may stand there?

import { load } from '../peers/common.mjs';

const { default: Ajv } = await load('ajv');
const { default: addFormats } = await load('ajv-formats');

/** A schema that says nothing: whatever is in it cannot be judged. */
export const ANYTHING = Symbol('anything');

/** The alternatives of a schema, each with its properties together. */
const alternatives = (document, schema, depth = 0) => {
  const part = document.resolve(schema);
  if (part === undefined || part === null || part === true || part.type === 'any' || depth > 12) return [ANYTHING];
  const { allOf, anyOf, oneOf, ...own } = either(part);
  let found = [own];
  for (const member of allOf ?? []) {
    const others = alternatives(document, member, depth + 1);
    found = found.flatMap((one) => others.map((other) => merged(one, other)));
  }
  for (const choice of [anyOf, oneOf].filter(Boolean)) {
    const others = choice.flatMap((member) => alternatives(document, member, depth + 1));
    found = found.flatMap((one) => others.map((other) => merged(one, other)));
  }
  return found.slice(0, 200);
};

/** Slack writes `items: [A, B]` for `anyOf`, also for values that are not lists. */
const either = (part) => {
  if (!Array.isArray(part.items)) return part;
  const { items, ...rest } = part;
  return part.type === 'array' ? { ...rest, items: { anyOf: items } } : { ...rest, anyOf: items };
};

const SILENT = ['type', 'properties', 'items', 'additionalProperties', 'patternProperties', 'enum', 'const', 'format'];

const merged = (one, other) => {
  if (one === ANYTHING || !SILENT.some((key) => key in one)) return other;
  if (other === ANYTHING || !SILENT.some((key) => key in other)) return one;
  const properties = { ...one.properties, ...other.properties };
  return { ...one, ...other, ...(one.properties || other.properties ? { properties } : {}) };
};

const isSilent = (part) => part === ANYTHING || !SILENT.some((key) => key in part);
const isNull = (part) => part !== ANYTHING && (part.type === 'null' || (Array.isArray(part.enum) && part.enum.every((value) => value === null)));

/** The schemas of a member, in each alternative that has it. */
export const member = (document, schemas, name) => schemas.flatMap((schema) => alternatives(document, schema)).flatMap((part) => {
  if (isSilent(part)) return [true];
  if (part.properties && name in part.properties) return [part.properties[name]];
  const pattern = Object.entries(part.patternProperties ?? {}).find(([key]) => new RegExp(key).test(name));
  if (pattern) return [pattern[1]];
  // That there may be more beside what is declared is no proof that there is this.
  if (part.additionalProperties && (!part.properties || Object.keys(part.additionalProperties).length > 0)) return [part.additionalProperties];
  const isOpen = !part.properties && part.additionalProperties !== false && (part.type === 'object' || part.type === undefined) && !part.items && !part.enum;
  return isOpen ? [true] : [];
});

/** The schemas of the entries of a list, or of all members of an object. */
export const entries = (document, schemas) => schemas.flatMap((schema) => alternatives(document, schema)).flatMap((part) => {
  if (isSilent(part)) return [true];
  if (part.items) return [part.items];
  if (part.type === 'array') return [true];
  if (part.additionalProperties) return [part.additionalProperties];
  return Object.values(part.properties ?? {});
});

/** The types that may stand here, from schemas with their documents; null if that is open. */
export const types = (schemas) => {
  const parts = schemas.flatMap(([document, schema]) => alternatives(document, schema)).filter((part) => !isNull(part));
  const found = parts.map((part) => (isSilent(part) ? null : part.type ?? (part.properties ? 'object' : part.items ? 'array' : part.enum ? [...new Set(part.enum.map((value) => typeof value))] : null)));
  return found.includes(null) || found.length === 0 ? null : [...new Set(found.flat())].filter((type) => type !== 'null');
};

/** The values that may stand here; null if they are not listed. */
export const values = (schemas) => {
  const parts = schemas.flatMap(([document, schema]) => alternatives(document, schema)).filter((part) => !isNull(part));
  const lists = parts.map((part) => (part === ANYTHING ? null : part.enum ?? ('const' in part ? [part.const] : null)));
  return lists.length === 0 || lists.includes(null) ? null : [...new Set(lists.flat())].filter((value) => value !== null);
};

// ------------------------------------------------------------------------------------------ conformance

/** Some documents have patterns of other dialects. */
const isPattern = (text) => {
  try {
    return Boolean(new RegExp(text, 'u'));
  } catch {
    return false;
  }
};

/** The names of all members in a value. */
const namesIn = (value, names) => {
  if (!value || typeof value !== 'object') return names;
  for (const [name, inner] of Object.entries(value)) namesIn(inner, Array.isArray(value) ? names : names.add(name));
  return names;
};

/** JSON Schema from a schema of OpenAPI, with what it refers to, as far as the value has it: some refer to thousands. */
const bundle = (document, schema, value) => {
  const names = namesIn(value, new Set());
  const definitions = {};
  const references = new Map();
  const convert = (part) => {
    if (Array.isArray(part)) return part.map(convert);
    if (!part || typeof part !== 'object') return part;
    if (typeof part.$ref === 'string') return { $ref: `#/definitions/${nameOf(part.$ref)}` };
    const { discriminator, example, examples, description, title, xml, externalDocs, default: _, nullable, ...rest } = either(part);
    // Where a record has a member of such a name, it is no keyword.
    const found = Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith('x-')).map(([name, inner]) => {
      if (name === 'properties' && inner && typeof inner === 'object') {
        return [name, Object.fromEntries(Object.entries(inner).map(([key, member]) => [key, names.has(key) ? convert(member) : true]))];
      }
      if (['enum', 'const', 'required'].includes(name)) return [name, inner];
      return [name, convert(inner)];
    }));
    delete found.id;
    delete found.$schema;
    if (typeof found.required === 'boolean') delete found.required;
    if (typeof found.pattern === 'string' && !isPattern(found.pattern)) delete found.pattern;
    if (typeof found.readOnly !== 'undefined') delete found.readOnly;
    for (const [limit, plain] of [['exclusiveMinimum', 'minimum'], ['exclusiveMaximum', 'maximum']]) {
      if (found[limit] === true) {
        found[limit] = found[plain];
        delete found[plain];
      } else if (found[limit] === false) delete found[limit];
    }
    if (found.type === 'file' || found.type === 'any') delete found.type;
    if (nullable || part['x-nullable']) return { anyOf: [{ type: 'null' }, found] };
    return found;
  };
  const nameOf = (reference) => {
    if (!references.has(reference)) {
      references.set(reference, `d${references.size}`);
      definitions[references.get(reference)] = convert(document.at(reference) ?? {});
    }
    return references.get(reference);
  };
  const root = convert(schema ?? {});
  return { ...(root === true ? {} : root.$ref ? { allOf: [root] } : root), definitions };
};

/** A check of a schema that already has everything that it refers to. */
const compile = (schema, coerceTypes) => {
  const ajv = new Ajv({ strict: false, allErrors: true, verbose: true, coerceTypes, validateSchema: false, logger: false });
  addFormats(ajv, { mode: 'fast' });
  return ajv.compile(schema);
};

/**
 * What in an answer contradicts its schema. Samples are shortened, so what is missing is no contradiction. Neither is null,
 * nor a further member, unless the schema is `exact`, which few documents of vendors are.
 */
export const violations = (document, schema, value, { exact = false } = {}) => {
  const loose = exact ? ['required'] : ['required', 'minItems', 'maxItems', 'minProperties', 'additionalProperties'];
  return faults(compile(bundle(document, schema, value), false), value, ({ keyword, data }) => !loose.includes(keyword) && (exact || data !== null));
};

/** What contradicts the schema of a parameter, which comes as text. */
export const parameterViolations = (document, parameter, texts) => {
  const found = types([[document, parameter.schema]]) ?? [];
  let value = found.includes('array') ? texts.flatMap((text) => text.split(',')) : texts.join(',');
  if (found.includes('object') && /^[{[]/.test(value)) value = JSON.parse(value);
  const schema = { type: 'object', properties: { value: parameter.schema } };
  return faults(compile(bundle(document, schema, { value }), true), { value }, () => true);
};

const CHOICES = ['anyOf', 'oneOf', 'if'];

/** What counts among the errors of a value, as texts. */
const faults = (check, value, counts) => [...new Set(errorsOf(check, value, counts).map(text))];

/** Of alternatives that all fail, the errors of the one that fits best; none if what it has does not count. */
const errorsOf = (check, value, counts) => {
  if (check(structuredClone(value))) return [];
  const all = check.errors.filter(({ keyword }) => keyword !== 'if');
  const choices = all.filter(({ keyword }) => CHOICES.includes(keyword));
  const outermost = choices.filter(({ instancePath, schemaPath }) => !choices.some((other) => other.schemaPath !== schemaPath && instancePath.startsWith(other.instancePath) && other.instancePath.length <= instancePath.length && (other.instancePath !== instancePath || schemaPath.startsWith(`${other.schemaPath}/`))));
  const found = all.filter((error) => !CHOICES.includes(error.keyword) && !outermost.some(({ instancePath }) => error.instancePath.startsWith(instancePath)));
  for (const { schema, data, instancePath } of outermost) {
    const { definitions } = check.schema;
    const branches = schema.map((branch) => errorsOf(compile({ allOf: [branch], definitions }), data ?? null, counts));
    branches.sort((one, other) => isOther(one) - isOther(other) || one.length - other.length);
    if (branches.every((errors) => errors.length > 0)) found.push(...branches[0].map((error) => ({ ...error, instancePath: instancePath + error.instancePath })));
  }
  return found.filter(counts);
};

/** The value is of another type than this alternative is for. */
const isOther = (errors) => errors.some(({ keyword, instancePath }) => keyword === 'type' && instancePath === '');

const text = ({ instancePath, message, params }) => {
  const place = `$${instancePath.replaceAll(/\/\d+/g, '[*]').replaceAll('/', '.')}`;
  const more = params?.allowedValues ?? (params?.additionalProperty && [params.additionalProperty]);
  return `${place} ${message}${more ? `: ${more.slice(0, 12).join(', ')}` : ''}`;
};
