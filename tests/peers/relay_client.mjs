// Relay as a client of Muster: its compiler checks documents against our schema, and its runtime executes them.
//
//     node relay_client.mjs SCHEMA ORIGIN TOKEN
//
// Compiles a paginated query in a temporary folder, loads the first page and the second one, and then one object by its
// id. Prints one line, {"first": names, "both": names, "node": name}.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { load } from './common.mjs';

const [schema, origin, token] = process.argv.slice(2);
const runtime = (await load('relay-runtime')).default;
const compiler = createRequire(`${process.env.TEST_NODE_MODULES}/`)('relay-compiler');

const DOCUMENTS = `import { graphql } from 'relay-runtime';
graphql\`query documentsQuery($count: Int!, $after: String) {
  instances(first: $count, after: $after) @connection(key: "documents_instances") {
    edges { node { id name } }
  }
}\`;
graphql\`query documentsNodeQuery($id: ID!) { node(id: $id) { id ... on Instance { name } } }\`;
`;

const folder = mkdtempSync(join(tmpdir(), 'muster-relay-'));
const compiled = async (name) =>
  (await import(pathToFileURL(join(folder, 'src/__generated__', `${name}.graphql.js`)).href)).default;
try {
  mkdirSync(join(folder, 'src'));
  copyFileSync(schema, join(folder, 'schema.graphql'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'src/documents.js'), DOCUMENTS);
  const config = { src: './src', schema: './schema.graphql', language: 'javascript', eagerEsModules: true };
  writeFileSync(join(folder, 'relay.config.json'), JSON.stringify(config));
  execFileSync(compiler, ['relay.config.json'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });

  const { Environment, Network, RecordSource, Store, createOperationDescriptor, fetchQuery } = runtime;
  const ask = async ({ text }, variables) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ query: text, variables });
    return (await fetch(`${origin}/graphql`, { method: 'POST', headers, body })).json();
  };
  const environment = new Environment({ network: Network.create(ask), store: new Store(new RecordSource()) });
  const query = await compiled('documentsQuery');
  const names = (data) => data.instances.edges.map(({ node }) => node.name);
  const page = async (variables) => {
    const data = await fetchQuery(environment, query, variables).toPromise();
    environment.retain(createOperationDescriptor(query, variables));
    return data;
  };
  const first = await page({ count: 1, after: null });
  const after = first.instances.pageInfo.endCursor;
  const second = await page({ count: 1, after });
  const { node } = await fetchQuery(environment, await compiled('documentsNodeQuery'), {
    id: first.instances.edges[0].node.id,
  }).toPromise();
  process.stdout.write(`${JSON.stringify({ first: names(first), both: names(second), node: node.name })}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
