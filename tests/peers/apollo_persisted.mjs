// Apollo Client 4 with its link for automatic persisted queries.
//
//     node apollo_persisted.mjs ORIGIN TOKEN
//
// Asks a query twice, with GET for hashes, and another one twice with POST only. Prints one line,
// {"answers": […], "requests": ["GET hash 200", …]}.

import { load } from './common.mjs';
import { createHash } from 'node:crypto';

const { ApolloClient, HttpLink, InMemoryCache, gql } = await load('@apollo/client');
const { PersistedQueryLink } = await load('@apollo/client/link/persisted-queries');

const [origin, token] = process.argv.slice(2);
const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const requests = [];
const answers = [];

async function watched(address, options) {
  const response = await fetch(address, options);
  const document = options.method === 'GET' ? new URL(address).searchParams.get('query') : JSON.parse(options.body).query;
  requests.push(`${options.method} ${document ? 'document' : 'hash'} ${response.status}`);
  return response;
}

async function askTwice(query, useGETForHashedQueries) {
  const headers = { authorization: `Bearer ${token}` };
  const http = new HttpLink({ uri: `${origin}/graphql`, headers, fetch: watched });
  const link = new PersistedQueryLink({ sha256, useGETForHashedQueries }).concat(http);
  const client = new ApolloClient({ cache: new InMemoryCache(), link });
  for (let turn = 0; turn < 2; turn += 1) {
    const { data } = await client.query({ query, variables: { first: turn + 1 }, fetchPolicy: 'network-only' });
    answers.push(data.instances.nodes.map((node) => node.name));
  }
}

await askTwice(gql`query Names($first: Int) { instances(first: $first) { nodes { id name } } }`, true);
await askTwice(gql`query Others($first: Int) { instances(first: $first) { nodes { id name status } } }`, false);
process.stdout.write(`${JSON.stringify({ answers, requests })}\n`);
process.exit();
