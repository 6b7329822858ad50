// A fake application. Its responses and the requests to it are checked against the vendor's API description.
//
//     node fakes.mjs okta|slack|asana|box|pagerduty|sentry [--page 3]
//
// Prints one line, {"origin": …, "plays": …, "control": …}, when it is ready. Exits when its standard input is
// closed. `plays` is the origin of the vendor that it replaces. A page has at most --page records.
//
// Requests arrive at `origin`. Those that the document (specs/VENDOR.json) describes are sent through Stoplight
// Prism, with the same components as `prism proxy --errors`. Prism checks the request, and then the response of
// vendors.mjs, against the document, and responds to a violation with an error. Prism does not check for
// undeclared parameters; this script does. Requests that the document does not describe bypass Prism.
//
// The control address:
//
//     GET /report   {"judged": n, "violations": […], "undeclared": […], "outside": […]}: the number of requests
//                   that conformed, the violations, undeclared parameters, and requests that bypassed Prism
//     PUT /spoil    from now on the ids of records are numbers, which no vendor's document allows

import http from 'node:http';
import { readFile } from 'node:fs/promises';

import { answerJson, bodyOf, listen, load, serving } from './common.mjs';
import { VENDORS } from './vendors.mjs';

const [key, ...options] = process.argv.slice(2);
const vendor = VENDORS[key];
const cap = Number(options[options.indexOf('--page') + 1] || 3);
if (!vendor) throw new Error(`no such vendor: ${key}`);

const report = { judged: 0, violations: [], undeclared: [], outside: [] };
let spoilt = false;

// ------------------------------------------------------------------------------- the application

const cursors = new Map();
const pageOf = (path) => (records, cursor, limit) => {
  const start = cursor ? cursors.get(`${path} ${cursor}`) : 0;
  if (start === undefined) return null;
  const end = start + Math.min(limit, cap);
  const next = end < records.length ? Buffer.from(`${path}#${end}#${cursors.size}`).toString('base64url') : null;
  if (next) cursors.set(`${path} ${next}`, end);
  return { records: records.slice(start, end), next };
};

/** Replaces the id of each record by a number. */
const spoil = (body) => {
  const records = [body, ...Object.values(body ?? {})].find((value) => Array.isArray(value)) ?? [];
  for (const record of records) record[record.gid ? 'gid' : 'id'] = 7;
  return body;
};

const routes = Object.entries(vendor.routes).map(([name, route]) => {
  return { name, route, pattern: new RegExp(`^${name.replace(/[.]/g, '\\.').replace(/\*/g, '([^/]+)')}$`) };
});
const routeOf = (call) => routes.find(({ pattern }) => pattern.test(call));

const application = await listen(async (request, response) => {
  const { pathname, searchParams, search } = new URL(request.url, vendor.origin);
  const name = `${request.method} ${pathname}`;
  const found = routeOf(name);
  const form = new URLSearchParams((await bodyOf(request)).toString());
  const known = Object.entries(vendor.credential).every(([header, value]) => request.headers[header] === value);
  if (!known && !vendor.open?.includes(name)) return answerJson(response, vendor.refusedStatus ?? 401, vendor.refused);
  if (!found) return answerJson(response, 404, { error: 'not_found' });
  const at = vendor.origin + pathname + search;
  const parts = found.pattern.exec(name).slice(1);
  const { status = 200, body, headers } = found.route({ parts, query: searchParams, form, at, cap, page: pageOf(pathname) });
  return answerJson(response, status, spoilt ? spoil(body) : body, headers);
});

// ----------------------------------------------------------------------------------- the document

const specification = JSON.parse(await readFile(new URL(`specs/${key}.json`, import.meta.url)));

/** Prepends the path of the server to all paths, because Prism ignores it. */
const prepare = (document) => {
  const server = document.swagger ? document.basePath : new URL(document.servers[0].url.replace(/[{}]/g, 'x')).pathname;
  document.paths = Object.fromEntries(Object.entries(document.paths).map(([path, item]) => [server.replace(/\/$/, '') + path, item]));
  if (document.swagger) document.basePath = '/';
  else document.servers = [{ url: '/' }];
  return document.swagger ? eitherOf(document) : document;
};

/** Slack writes `items: [A, B]` for `anyOf`, also for values that are not lists. Taken literally, that allows everything. */
const eitherOf = (value) => {
  if (!value || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(eitherOf);
  const { items, ...rest } = value;
  const inner = Object.fromEntries(Object.entries(rest).map(([name, part]) => [name, eitherOf(part)]));
  if (items === undefined) return inner;
  return Array.isArray(items) && value.type !== 'array' ? { ...inner, anyOf: items.map(eitherOf) } : { ...inner, items: eitherOf(items) };
};

const document = prepare(specification);
const resolve = (part) => (part.$ref ? part.$ref.slice(2).split('/').reduce((value, name) => value[name], document) : part);

const operationOf = (method, pathname) => {
  for (const [path, item] of Object.entries(document.paths)) {
    const pattern = path.replace(/[.]/g, '\\.').replace(/\{[^}]+\}/g, '[^/]+');
    const operation = item[method.toLowerCase()];
    if (operation && new RegExp(`^${pattern}$`).test(pathname)) {
      return [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
    }
  }
  return null;
};

/** `page[size]` may be declared by this name, or as a member of the object `page`. */
const declares = (parameters, name) =>
  parameters.some(
    (known) =>
      known.in === 'query' &&
      (known.name === name || (known.style === 'deepObject' && name.startsWith(`${known.name}[`) && name.endsWith(']'))),
  );

// ------------------------------------------------------------------------------------------ Prism

const { getHttpOperationsFromSpec } = await load('@stoplight/prism-http');
const { createServer } = await load('@stoplight/prism-http-server');
const { createLogger } = await load('@stoplight/prism-core');

const prism = createServer(await getHttpOperationsFromSpec(document), {
  cors: false,
  components: { logger: createLogger('prism', { level: 'silent' }) },
  config: {
    isProxy: true,
    upstream: new URL(application),
    validateRequest: true,
    validateResponse: true,
    checkSecurity: true,
    errors: true,
    mock: { dynamic: false },
  },
});
const judge = await prism.listen(0, '127.0.0.1');

// ----------------------------------------------------------------------------------- the entrance

const forward = (target, request, body) =>
  new Promise((resolve, reject) => {
    const { method, headers } = request;
    const call = http.request(new URL(request.url, target), { method, headers: { ...headers, host: new URL(target).host } }, resolve);
    call.on('error', reject);
    call.end(body);
  });

const origin = await listen(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, vendor.origin);
  const name = `${request.method} ${pathname}`;
  const parameters = operationOf(request.method, pathname);
  const route = routeOf(name)?.name ?? name;
  if (!parameters && !report.outside.includes(route)) report.outside.push(route);
  for (const parameter of parameters ? searchParams.keys() : []) {
    if (!declares(parameters, parameter)) report.undeclared.push(`${name}: ${parameter}`);
  }
  const answer = await forward(parameters ? judge : application, request, await bodyOf(request));
  const body = await bodyOf(answer);
  const { connection, 'transfer-encoding': _, 'content-length': __, ...headers } = answer.headers;
  const violation = headers['sl-violations'] ?? (headers['content-type'] === 'application/problem+json' ? body.toString() : null);
  if (violation) report.violations.push({ call: name, found: violation });
  else if (parameters) report.judged += 1;
  // Prism responds with 500 if the application is at fault. 422 keeps the client from treating it as temporary.
  response.writeHead(violation ? 422 : answer.statusCode, headers);
  response.end(body);
});

const control = await listen((request, response) => {
  if (request.method === 'PUT' && request.url === '/spoil') spoilt = true;
  else if (request.method !== 'GET' || request.url !== '/report') return answerJson(response, 404, {});
  return answerJson(response, 200, report);
});

serving({ origin, plays: vendor.origin, control });
