// Apollo Client 4 as a client of Muster: queries over HTTP, subscriptions over a WebSocket of graphql-ws.
//
//     node apollo_client.mjs ORIGIN TOKEN
//
// Asks a query, asks it again from the cache, and takes one event of a subscription. Prints one line, {"query": …, "cached": …, "event": …}.

import { load } from './common.mjs';

const { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } = await load('@apollo/client');
const { GraphQLWsLink } = await load('@apollo/client/link/subscriptions');
const { createClient } = await load('graphql-ws');
const { default: webSocketImpl } = await load('ws');

const [origin, token] = process.argv.slice(2);
const authorization = `Bearer ${token}`;
const url = `${origin.replace('http', 'ws')}/graphql`;
const socket = createClient({ url, webSocketImpl, connectionParams: { authorization } });
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.split(
    ({ operationType }) => operationType === 'subscription',
    new GraphQLWsLink(socket),
    new HttpLink({ uri: `${origin}/graphql`, headers: { authorization } }),
  ),
});

const query = gql`query Names { instances(first: 5) { nodes { id name } } }`;
const { data } = await client.query({ query });
const cached = await client.query({ query, fetchPolicy: 'cache-only' });
const event = await new Promise((resolve, reject) => {
  const document = gql`subscription { instanceStateChanged { cause instance { id name } } }`;
  const subscription = client.subscribe({ query: document }).subscribe({
    next: (result) => {
      subscription.unsubscribe();
      resolve(result.data);
    },
    error: reject,
  });
});
await socket.dispose();
process.stdout.write(`${JSON.stringify({ query: data, cached: cached.data, event })}\n`);
process.exit();
