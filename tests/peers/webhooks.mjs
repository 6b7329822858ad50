// Verifies messages with the library that receivers in JavaScript use. Its input and output are those of webhooks.py.

import { createRequire } from 'node:module';

const { Webhook, WebhookVerificationError } = createRequire(`${process.env.TEST_NODE_MODULES}/`)('standardwebhooks');

const parts = [];
for await (const part of process.stdin) parts.push(part);
const { secrets, messages } = JSON.parse(Buffer.concat(parts).toString());

const fault = (secret, { headers, body }) => {
  try {
    new Webhook(secret).verify(body, headers);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    return error.message || 'refused';
  }
  return null;
};

process.stdout.write(JSON.stringify(messages.map((message) => secrets.map((secret) => fault(secret, message)))));
