// Shared by all peers in Node: loading packages, keys, listening, and ending with the test.

import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { createRequire } from 'node:module';
import http from 'node:http';
import { pathToFileURL } from 'node:url';

// The packages of package.json are in the environment that tests/run creates, not next to this file.
const environment = process.env.TEST_NODE_MODULES;
if (!environment) throw new Error('TEST_NODE_MODULES must name the packages of tests/peers: run the tests with tests/run');
const require = createRequire(`${environment}/`);
export const load = (name) => import(pathToFileURL(require.resolve(name)).href);

/**
 * A new pair of keys. They go through PEM, because Node waits for ever when it collects garbage while
 * it writes a key as a JWK that it has just made itself.
 */
export const keyPair = (kind, options) => {
  const pair = generateKeyPairSync(kind, {
    ...options,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { publicKey: createPublicKey(pair.publicKey), privateKey: createPrivateKey(pair.privateKey) };
};

/** Listens on a free port of the loopback interface and returns the origin. */
export const listen = async (handler) => {
  const server = http.createServer((request, response) => {
    Promise.resolve(handler(request, response)).catch((error) => {
      process.stderr.write(`${error.stack}\n`);
      if (!response.headersSent) response.statusCode = 500;
      response.end();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${server.address().port}`;
};

/** Prints the addresses for the test, and exits when the test ends. */
export const serving = (addresses) => {
  process.stdin.on('end', () => process.exit()).resume();
  process.stdout.write(`${JSON.stringify(addresses)}\n`);
};

export const bodyOf = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
};

export const answerJson = (response, status, body, headers = {}) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
};
