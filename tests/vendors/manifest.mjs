// What a manifest asks for, and what it reads of the answers.

/** The parts of a manifest that send requests, each with the paths that are read: of the response, and of a record. */
export const partsOf = (manifest) => {
  const { users, identify } = manifest;
  const parts = [];
  if (identify) {
    parts.push(part('identify', manifest, identify, { response: Object.values(identify.keep ?? {}).map((path) => ({ path })) }));
  }
  if (users === 'scim') return parts;
  const common = { ...users, lists: undefined, joins: undefined, details: undefined };
  const lists = users.lists ?? [{}];
  const details = Object.entries(users.details ?? {});
  lists.forEach((own, index) => {
    const list = { ...common, ...own, query: { ...common.query, ...own.query } };
    const isOther = own.map && 'external_id' in own.map;
    list.map = isOther ? own.map : { ...common.map, ...own.map };
    list.skip_if = own.skip_if ?? (isOther ? [] : common.skip_if);
    const name = own.name ?? (lists.length > 1 ? `list ${index + 1}` : 'users');
    const reads = [...mapReads(list.map), ...(list.skip_if ?? []).flatMap((test) => testReads(test, 'skip_if'))];
    if (!isOther) {
      for (const { on, key } of Object.values(users.joins ?? {})) reads.push({ path: on ?? (key.startsWith('$') ? key : undefined), use: 'on' });
      for (const [, { path, when }] of details) {
        for (const [, inner] of path.matchAll(/\{\{record\.([\w.]+)\}\}/g)) reads.push({ path: `$.${inner}`, use: 'details' });
        if (when) reads.push(...testReads(when, 'when'));
      }
    }
    parts.push(listing(name, manifest, list, reads.filter(({ path }) => path)));
    if (list.count) parts.push(part(`count of ${name}`, manifest, list.count, { response: [{ path: list.count.at }] }));
  });
  for (const [name, join] of Object.entries(users.joins ?? {})) {
    const keys = [join.key, ...Object.values(join.keep ?? {})].flat();
    parts.push(listing(`join ${name}`, manifest, join, keys.map((path) => ({ path, use: 'join' }))));
  }
  for (const [name, detail] of details) {
    const reads = mapReads(users.map ?? {}).concat((users.skip_if ?? []).flatMap((test) => testReads(test, 'skip_if')));
    const prefix = `$._details.${name}`;
    const response = reads.filter(({ path }) => path.startsWith(prefix)).map((read) => ({ ...read, path: `$${read.path.slice(prefix.length)}` }));
    parts.push(part(`details ${name}`, manifest, detail, { response }));
  }
  return parts;
};

const part = (name, manifest, { url, path, query, json, form }, reads) => {
  const address = url ?? `${manifest.base_url}${path}`;
  const method = json || form ? 'POST' : 'GET';
  return { name, address, method, query, json, records: undefined, response: [], record: [], ...reads };
};

const listing = (name, manifest, list, record) => {
  const pages = Object.values(list.pages ?? {})[0] ?? {};
  const response = [];
  if (typeof list.pages === 'object') {
    for (const key of ['at', 'total', 'last']) if (pages[key]) response.push({ path: pages[key], use: key });
    if (pages.more) response.push(...testReads(pages.more, 'more'));
  }
  if (list.empty_when) response.push(...testReads(list.empty_when, 'empty_when'));
  const records = list.records ?? '$';
  // Rows are named by the answer itself, so nothing can be looked up.
  const isRows = Boolean(records.rows);
  const at = records.map ?? records.rows ?? records;
  const found = part(name, manifest, list, { response, record: isRows ? [] : record, records: at, isMap: Boolean(records.map), key: records.key });
  if (list.json) {
    found.json = structuredClone(list.json);
    if (list.page_size?.json) put(found.json, list.page_size.json, list.page_size.count);
    found.sizeAt = list.page_size?.json;
    found.cursorAt = pages.json;
  }
  return found;
};

const put = (target, path, value) => {
  const names = path.replace(/^\$\.?/, '').split('.');
  const last = names.pop();
  const inner = names.reduce((object, name) => (object[name] ??= {}), target);
  inner[last] = value;
};

/** A pattern for the addresses of a part. Settings are replaced by their values, everything else by anything. */
export const patternOf = (address, config) => {
  const filled = address.replace(/\{\{config\.(\w+)\}\}/g, (whole, key) => (config[key] === undefined || config[key] === '' ? (key in config ? '' : whole) : config[key]));
  const parts = filled.split(/\{\{[^}]*\}\}/).map((text) => text.replace(/[.*+?^$()|[\]\\{}]/g, '\\$&'));
  const startsFound = /^\{\{/.test(filled);
  return new RegExp(`^${parts.map((text, index) => (index === 0 ? text : `${index === 1 && startsFound ? '.*' : '[^/?]*'}${text}`)).join('')}$`, 'i');
};

// ----------------------------------------------------------------------------------------- what is read

const mapReads = (map) => Object.entries(map ?? {}).flatMap(([field, rule]) => ruleReads(rule, field));

/** Reads of a rule: {path, use, values, isOpen, time, isYes, literals}. */
const ruleReads = (rule, field) => {
  if (rule === null || rule === undefined) return [];
  if (typeof rule === 'string') return rule.startsWith('$') ? [...textReads(rule, field, ['is_admin', 'mfa_enabled', 'guest'].includes(field) ? { isYes: true } : {})] : [];
  if (Array.isArray(rule)) return rule.flatMap((one) => ruleReads(one, field));
  const reads = [];
  for (const key of ['when', 'known_when', 'any', 'all']) for (const test of [rule[key] ?? []].flat()) reads.push(...testReads(test, field));
  for (const key of ['then', 'not']) if (typeof rule[key] !== 'string' || rule[key].startsWith('$')) reads.push(...ruleReads(rule[key], field));
  for (const path of [rule.from ?? []].flat()) reads.push(...textReads(path, field, { time: rule.format }));
  for (const text of rule.join ?? []) reads.push(...ruleReads(text, 'text'));
  if (rule.of !== undefined && rule.values !== undefined) {
    const more = { values: Object.keys(rule.values), isOpen: 'other' in rule || !['status', 'kind'].includes(field) };
    reads.push(...(typeof rule.of === 'string' ? textReads(rule.of, field, more) : ruleReads(rule.of, 'text')));
  } else if (rule.of !== undefined && rule.matches !== undefined) reads.push(...testReads(rule, field));
  return reads;
};

const textReads = (path, use, more = {}) => (path.startsWith('$[?') ? testReads(path, use) : [{ path, use, ...more }]);

/** Reads of a test: a filter, or `{of, matches}`. `@` in the outermost filter is the record or the response. */
const testReads = (test, use) => {
  if (Array.isArray(test)) return test.flatMap((one) => testReads(one, use));
  if (typeof test === 'object') return [test.of ?? []].flat().map((path) => ({ path, use, isTest: true }));
  const inner = /^\$\[\?([\s\S]*)\]$/.exec(test)?.[1];
  return inner === undefined ? [{ path: test, use }] : conditionReads(inner, use);
};

/** The paths in the condition of a filter, each with the texts that it is compared with. */
export const conditionReads = (condition, use) => {
  const reads = [];
  for (let at = 0; at < condition.length; at += 1) {
    const character = condition[at];
    if (character === "'" || character === '"') {
      at = endOfText(condition, at);
    } else if (character === '@') {
      const end = endOfPath(condition, at + 1);
      const literal = /^\s*[=!]=\s*(?:'([^']*)'|"([^"]*)"|(true|false|-?\d+(?:\.\d+)?)\b)/.exec(condition.slice(end));
      const value = literal && (literal[1] ?? literal[2] ?? JSON.parse(literal[3]));
      reads.push({ path: `$${condition.slice(at + 1, end)}`, use, isTest: true, ...(literal ? { literals: [value] } : {}) });
      at = end - 1;
    }
  }
  return reads;
};

const endOfText = (text, start) => {
  let at = start + 1;
  while (at < text.length && text[at] !== text[start]) at += text[at] === '\\' ? 2 : 1;
  return at;
};

const endOfPath = (text, start) => {
  let at = start;
  for (;;) {
    const name = /^\.\.?(\*|[\p{L}_][\p{L}\p{N}_]*)/u.exec(text.slice(at));
    if (name) at += name[0].length;
    else if (text[at] === '[') at = endOfBracket(text, at);
    else return at;
  }
};

const endOfBracket = (text, start) => {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === "'" || text[at] === '"') at = endOfText(text, at);
    else if (text[at] === '[') depth += 1;
    else if (text[at] === ']') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
};

/** The steps of a JSONPath: {name}, {names}, {each}, {below}, or {filter}. */
export const stepsOf = (path) => {
  const steps = [];
  let at = 1;
  while (at < path.length) {
    if (path[at] === '[') {
      const end = endOfBracket(path, at);
      const inner = path.slice(at + 1, end - 1).trim();
      if (inner.startsWith('?')) steps.push({ filter: inner.slice(1) });
      else if (/^['"]/.test(inner)) steps.push({ names: inner.split(/\s*,\s*/).map((text) => text.slice(1, -1)) });
      else steps.push({ each: true });
      at = end;
    } else {
      const name = /^(\.\.?)(\*|[\p{L}_][\p{L}\p{N}_]*|(?=\[))/u.exec(path.slice(at));
      if (!name) throw new Error(`unknown path: ${path}`);
      if (name[1] === '..') steps.push({ below: true });
      if (name[2] === '*') steps.push({ each: true });
      else if (name[2] && name[1] !== '..') steps.push({ names: [name[2]] });
      at += name[0].length;
    }
  }
  return steps;
};
