// Holds manifests, and their samples, against the documents that the vendors publish.
//
//     node check.mjs [--packages] [--folder FOLDER] [--connectors FOLDER] [--list] [KEY…]
//
// documents.yaml says which document is for which manifest. --packages takes those from packages of TEST_NODE_MODULES
// and TEST_PYTHON_DOCUMENTS; --folder those that `run` laid there. Prints each disagreement, and ends with 1 if there is
// one that documents.yaml does not explain. --list prints where the documents are instead.
//
// Of each request in the samples: the path is in the document, its parameters are declared and have allowed values,
// required ones are there, and it is signed in a way that the document names. Of each successful answer: it conforms to
// the schema. Of each path in the manifest: the document has it, in the form in which it is read. Of each value that the
// manifest names: the document knows it; and a status that only the document knows is reported.

import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { load } from '../peers/common.mjs';
import { read } from './document.mjs';
import { conditionReads, partsOf, patternOf, stepsOf } from './manifest.mjs';
import * as schemas from './schema.mjs';

const { default: { parse: parseYaml } } = await load('yaml');
const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    packages: { type: 'boolean', default: false },
    folder: { type: 'string' },
    connectors: { type: 'string', default: path.join(here, '../../src/integration/connectors') },
    list: { type: 'boolean', default: false },
  },
});
const yaml = async (file) => parseYaml(await readFile(file, 'utf8'), { merge: true });

/** Whether the package that is installed is of the version that documents.yaml names. */
const isThat = async ({ npm, version }) => {
  const installed = JSON.parse(await readFile(path.join(process.env.TEST_NODE_MODULES, npm, 'package.json'), 'utf8')).version;
  if (installed !== version) throw new Error(`documents.yaml has ${npm} ${version}, tests/peers/package.json ${installed}`);
};

/** The files of a document, or null if they are not to be had in this run. */
const filesOf = ({ npm, pypi, github, rfc, file }) => {
  if (rfc) return [path.join(here, rfc)];
  const folders = [
    options.folder && path.join(options.folder, npm ?? pypi ?? github),
    options.packages && npm && path.join(process.env.TEST_NODE_MODULES, npm),
    options.packages && pypi && process.env.TEST_PYTHON_DOCUMENTS,
  ];
  const found = folders.filter(Boolean).map((folder) => [file].flat().map((name) => path.join(folder, name)));
  return found.find((files) => files.every((name) => existsSync(name))) ?? null;
};

class Check {
  constructor(manifest, sample, documents, isPartial) {
    Object.assign(this, { manifest, sample, documents, isPartial, findings: new Set(), requests: 0, answers: 0, reads: 0, found: new Map(), records: new Map() });
    this.parts = partsOf(manifest);
  }

  tell(...words) {
    this.findings.add(words.join(' ').replaceAll(/\s+/g, ' '));
  }

  run() {
    const seen = new Map();
    for (const { config, isGood, exchange } of this.#exchanges()) {
      const [, method, address] = /^(\S+) (\S+)$/.exec(exchange.call);
      const url = new URL(address);
      const bare = address.replace(/[?#].*$/, '');
      const parts = this.parts.filter((part) => part.method === method && patternOf(part.address, config).test(bare));
      const queries = parts.filter((part) => part.json?.query);
      const interfaces = this.documents.filter((document) => document.judge);
      if (queries.length > 0 && interfaces.length > 0) {
        this.#query(interfaces[0], queries, exchange, isGood, seen);
        continue;
      }
      const operations = this.documents.map((document) => [document, document.operation(method, url.pathname)]).filter(([, operation]) => operation);
      if (operations.length === 0) {
        // A token is of another service than the list, and so is who it belongs to.
        if (!this.isPartial && parts.some(({ address: own }) => own.startsWith(this.manifest.base_url))) this.tell(`${method} ${this.#generic(parts[0])}: not in the document`);
        continue;
      }
      this.requests += 1;
      const [document, operation] = operations.find(([, { parameters }]) => parameters) ?? operations[0];
      if (operation.parameters) this.#request(document, operation, method, url, exchange);
      if (parts.length > 0) this.#signed(operation, method);
      const { status = 200, body } = exchange.answer ?? {};
      if (isGood && status < 300 && body !== undefined) this.#answer(operations, status, body, `${method} ${operation.path}`);
      if (status >= 300 && parts.length > 0) continue;
      for (const part of parts) if (!seen.has(part)) seen.set(part, operations.map(([one, { answers }]) => [one, answers[200] ?? answers['2XX'] ?? answers.default]));
    }
    for (const [part, answers] of seen) {
      const known = answers.filter(([, schema]) => schema !== undefined);
      if (known.length === 0 && part.response.length + part.record.length > 0) this.tell(`${part.name}: the document has no schema of the answer`);
      for (const [document, schema] of known) this.#read(part, document, schema);
    }
    for (const { found, read, name } of this.found.values()) this.#judge(found, read, name);
    for (const [name, known] of this.records) if (!known) this.tell(`${name} is not in the document`);
    for (const part of this.parts) if (!this.isPartial && part.address.startsWith(this.manifest.base_url) && !seen.has(part) && !this.#isOutside(part)) this.tell(`${part.name}: no sample asks for it in the document`);
    return this;
  }

  /** Each exchange with the settings of its case, and whether the answer is meant to be as documented. */
  * #exchanges() {
    for (const one of this.sample.cases) {
      const config = { ...defaultsOf(this.manifest), ...this.sample.config, ...one.config };
      const isGood = !one.error && !(one.lost ?? []).includes('users');
      for (const exchange of one.exchanges ?? []) yield { config, isGood, exchange };
    }
  }

  #generic(part) {
    return part.address.replace(this.manifest.base_url, '').replaceAll(/\{\{\w+\.(\w+)\}\}/g, '{$1}');
  }

  #isOutside(part) {
    return this.findings.has(`${part.method} ${this.#generic(part)}: not in the document`);
  }

  #request(document, operation, method, url, exchange) {
    const name = `${method} ${operation.path}`;
    const declared = operation.parameters.filter((parameter) => parameter.in === 'query');
    for (const key of new Set(url.searchParams.keys())) {
      const parameter = declared.find((one) => one.name === key || one.name === `${key}[]` || (one.style === 'deepObject' && key.startsWith(`${one.name}[`)));
      if (!parameter) {
        this.tell(`${name}: parameter ${key} is not declared`);
        continue;
      }
      if (parameter.name !== key && parameter.style === 'deepObject') continue;
      for (const fault of schemas.parameterViolations(document, parameter, url.searchParams.getAll(key))) this.tell(`${name}: parameter ${key}: ${fault}`);
    }
    const signed = JSON.stringify(this.manifest.auth).toLowerCase();
    for (const parameter of operation.parameters.filter((one) => one.required && ['query', 'header'].includes(one.in))) {
      const lower = parameter.name.toLowerCase();
      const isSent = parameter.in === 'query' ? url.searchParams.has(parameter.name) : lower === 'accept' || lower === 'content-type' || signed.includes(`"${lower}"`) || lower === 'authorization' || Object.keys(this.manifest.headers ?? {}).some((header) => header.toLowerCase() === lower);
      if (!isSent) this.tell(`${name}: required ${parameter.in} parameter ${parameter.name} is missing`);
    }
    if (exchange.json !== undefined) {
      if (!operation.body) this.tell(`${name}: the document has no body`);
      else for (const fault of schemas.violations(document, operation.body, exchange.json)) this.tell(`${name}: body: ${fault}`);
    }
  }

  #signed(operation, method) {
    const ways = [...new Set(operation.security)];
    if (ways.length === 0) return;
    for (const auth of [this.manifest.auth].flat()) {
      const { bearer, basic, header, query } = auth;
      const tokens = auth.oauth2_client_credentials ?? auth.oauth2_authorization_code ?? auth.jwt_bearer ?? auth.session;
      const headers = header ?? tokens?.header;
      const own = bearer || (tokens && !headers) ? ['bearer', 'header authorization'] : basic ? ['basic', 'header authorization'] : query ? Object.keys(query).map((name) => `query ${name.toLowerCase()}`) : Object.keys(headers ?? {}).map((name) => `header ${name.toLowerCase()}`);
      if (headers && Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')) own.push('bearer', 'basic');
      if (own.length > 0 && !own.some((way) => ways.includes(way))) this.tell(`${method} ${operation.path}: signed by ${own[0]}; the document has ${ways.join(', ')}`);
    }
  }

  /** If there are several documents, it is enough that the answer conforms to one. */
  #answer(operations, status, body, name) {
    const known = operations.map(([document, { answers }]) => [document, answers[status] ?? answers[`${status}`.replace(/..$/, 'XX')] ?? answers.default]).filter(([, schema]) => schema !== undefined);
    this.answers += 1;
    const faults = known.map(([document, schema]) => schemas.violations(document, schema, body));
    for (const fault of faults.sort((one, other) => one.length - other.length)[0] ?? []) this.tell(`${name}: answer: ${fault}`);
  }

  #query(document, queries, exchange, isGood, seen) {
    this.requests += 1;
    for (const part of queries) {
      part.judged ??= document.judge(part.json);
      for (const fault of part.judged.faults) this.tell(`${part.name}: query: ${fault}`);
      if (!seen.has(part)) seen.set(part, [[document, part.judged.answer]]);
    }
    const body = exchange.answer?.body;
    if (!isGood || !body?.data || body.errors) return;
    this.answers += 1;
    // Queries of several lists go to the same address: the sample may name the one, else it is the one that fits.
    const sent = queries.filter((part) => part.json.query === exchange.json?.query);
    const faults = (sent.length ? sent : queries).map((part) => [part, schemas.violations(document, part.judged.answer, body, { exact: true })]);
    const [part, found] = faults.sort(([, one], [, other]) => one.length - other.length)[0];
    for (const fault of found) this.tell(`${part.name}: answer: ${fault}`);
  }

  // --------------------------------------------------------------------------------- what is read of answers

  #read(part, document, schema) {
    for (const one of part.response) this.#one(part, document, [schema], one);
    if (part.records === undefined || part.record.length === 0) return;
    const lists = part.records === '$' ? [schema] : this.#at(document, [schema], stepsOf(part.records), part);
    const name = `${part.name}: records: ${part.records}`;
    this.records.set(name, this.records.get(name) || lists.length > 0);
    const records = schemas.entries(document, lists);
    for (const one of lists.length > 0 ? part.record : []) this.#one(part, document, records, one);
  }

  /** A rule may be for several lists, and a list in several documents: it is enough that one has what it reads. */
  #one(part, document, roots, read) {
    if (/^\$\._(joined|details)\b/.test(read.path) || (part.key && read.path === `$.${part.key}`)) return;
    this.reads += 1;
    const group = part.records === undefined || part.name.startsWith('join ') ? part.name : 'users';
    const name = `${group}: ${read.use ?? 'keep'}: ${read.path}`;
    const key = JSON.stringify([name, read.values, read.literals]);
    const found = this.#at(document, roots, stepsOf(read.path), part);
    if (!this.found.has(key)) this.found.set(key, { read, name, found: [] });
    this.found.get(key).found.push(...found.map((schema) => [document, schema]));
  }

  #judge(found, { path: text, use, values, isOpen, time, isYes, isTest, literals }, name) {
    if (found.length === 0) {
      this.tell(`${name} is not in the document`);
      return;
    }
    const types = schemas.types(found);
    const known = schemas.values(found);
    // A filter at the end asks whether there is an entry.
    if (types && !stepsOf(text).at(-1)?.filter) {
      const isOne = (...wanted) => wanted.some((type) => types.includes(type));
      if (time && !(time === 'iso' || time === 'rfc1123' ? isOne('string') : isOne('integer', 'number', 'string'))) this.tell(`${name} is read as a time (${time}); the document has ${types.join(' or ')}`);
      if (isYes && !isOne('boolean')) this.tell(`${name} is read as yes or no; the document has ${types.join(' or ')}`);
      if (!time && !isYes && !isTest && use && !['skip_if', 'join', 'licenses', 'aliases'].includes(use) && types.every((type) => type === 'object')) this.tell(`${name} is read as a text; the document has an object`);
      for (const literal of literals ?? []) {
        if (!isOne(...(typeof literal === 'number' ? ['number', 'integer'] : [typeof literal]))) this.tell(`${name} is compared with ${JSON.stringify(literal)}; the document has ${types.join(' or ')}`);
      }
    }
    if (!known || known.some((value) => typeof value === 'boolean')) return;
    const lower = known.map((value) => String(value).toLowerCase());
    for (const value of [...(values ?? []), ...(literals ?? []).filter((literal) => typeof literal === 'string')]) {
      if (!lower.includes(String(value).toLowerCase())) this.tell(`${name}: value ${JSON.stringify(value)} is not among those of the document: ${known.slice(0, 12).join(', ')}`);
    }
    if (!values || isOpen) return;
    const own = values.map((value) => value.toLowerCase());
    for (const value of known) if (!own.includes(String(value).toLowerCase())) this.tell(`${name}: value ${JSON.stringify(value)} of the document is not in the table`);
  }

  #at(document, roots, steps, part) {
    let found = roots;
    for (const step of steps) {
      if (step.names) found = step.names.flatMap((name) => schemas.member(document, found, name));
      else if (step.below) return [true];
      else if (step.each) found = schemas.entries(document, found);
      else {
        found = schemas.entries(document, found);
        for (const read of conditionReads(step.filter)) this.#one(part, document, found, { ...read, use: `filter ${step.filter}` });
      }
    }
    return found;
  }
}

const defaultsOf = ({ config }) => Object.fromEntries(config.map(({ key, default: value }) => [key, value ?? '']));

const catalog = await yaml(path.join(here, 'documents.yaml'));
const opened = new Map();
const open = async (found, settings) => {
  const name = JSON.stringify([found, settings]);
  if (!opened.has(name)) opened.set(name, await read(found, settings));
  return opened.get(name);
};

const keys = wanted.length > 0 ? wanted : Object.keys(catalog);
if (options.list) {
  const all = keys.flatMap((key) => catalog[key].documents);
  const lines = all.flatMap(({ npm, pypi, github, version, file, with: more = [] }) => {
    if (!npm && !pypi && !github) return [];
    if (npm) return [`npm ${npm} ${version}`];
    return pypi ? [`pypi ${pypi} ${version}`] : [file, more].flat().map((name) => `github ${github} ${name}`);
  });
  console.log([...new Set(lines)].join('\n'));
  process.exit();
}
let failed = false;
let checked = 0;
for (const key of keys) {
  const entry = catalog[key];
  if (!entry) throw new Error(`documents.yaml has no ${key}`);
  const found = entry.documents.map((settings) => [filesOf(settings), settings]).filter(([files]) => files);
  if (found.length === 0) {
    if (wanted.length > 0 || options.folder) console.log(`${key}: the document is not here`);
    failed ||= wanted.length > 0;
    continue;
  }
  if (options.packages) await Promise.all(found.map(([, settings]) => settings).filter(({ npm }) => npm).map(isThat));
  const documents = await Promise.all(found.map(([files, settings]) => open(files, settings)));
  const isPartial = found.length < entry.documents.length;
  const manifest = await yaml(path.join(options.connectors, `${key}.yaml`));
  const sample = await yaml(path.join(options.connectors, 'samples', `${key}.yaml`));
  const check = new Check(manifest, sample, documents, isPartial).run();
  const explained = Object.keys(entry.but ?? {});
  const used = new Set();
  const unexplained = [...check.findings].filter((finding) => {
    const reason = explained.find((text) => finding.includes(text));
    if (reason) used.add(reason);
    return !reason;
  });
  const stale = isPartial ? [] : explained.filter((text) => !used.has(text));
  checked += 1;
  console.log(`${key}: ${check.requests} requests, ${check.answers} answers and ${check.reads} paths; ${unexplained.length} disagreements, ${used.size} explained`);
  for (const finding of unexplained) console.log(`  ${finding}`);
  for (const text of stale) console.log(`  ${key}: documents.yaml explains what does not occur: ${text}`);
  failed ||= unexplained.length + stale.length > 0;
  if (check.requests === 0) {
    console.log(`  ${key}: no request was found in the document`);
    failed = true;
  }
}
console.log(`${checked} manifests held against documents`);
if (failed || checked === 0) process.exitCode = 1;
