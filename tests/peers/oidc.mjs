// A real authorization server for tests (npm `oidc-provider`), and a small application that accepts only
// its access tokens.
//
//     node oidc.mjs
//
// Prints one line, {"origin": …, "control": …}, when it is ready. Exits when its standard input is closed.
//
// Clients. A secret is `secret-of-NAME`:
//
//     basic, post, key   client_credentials; client_secret_basic, client_secret_post, private_key_jwt
//     consent            authorization_code with PKCE and rotating refresh tokens; redirects to
//                        http://127.0.0.1:ANY/oauth/callback/peer
//
// The authorization endpoint signs everybody in as `ada` and gives consent, with redirects only.
// `GET /api/users` lists five users on two pages, if the token has the scope `users.read`.
//
// The control address:
//
//     GET  /tokens       the requests to the token endpoint: grant_type, auth, scope, status, error;
//                        presented and issued are numbers of refresh tokens, in the order of issue
//     GET  /private-key  the key of the client `key` (PKCS 8)
//     PUT  /lifetime     the body is the lifetime of new access tokens in seconds
//     PUT  /consent      the body is `grant` or `deny`: the answer of people from now on
//     PUT  /expire       expires all access tokens
//     PUT  /revoke       revokes all grants, as when an administrator removes the application
//     PUT  /replay       presents the second newest refresh token again, as a thief would
//     PUT  /tenant       the body is the tenant of the application from now on

import { answerJson, bodyOf, keyPair, listen, load, serving } from './common.mjs';

const { default: Provider } = await load('oidc-provider');

const USERS = [
  { id: 'u1', email: 'ann@example.com', name: 'Ann Admin', active: true, admin: true },
  { id: 'u2', email: 'bob@example.com', name: 'Bob Brown', active: true, admin: false },
  { id: 'u3', email: 'cleo@example.com', name: 'Cleo Closed', active: false, admin: false },
  { id: 'u4', email: 'dee@example.com', name: 'Dee Dunn', active: true, admin: false },
  { id: 'u5', email: 'eve@example.com', name: 'Eve Early', active: true, admin: false },
];
const PAGE = 3;

const state = { lifetime: 3600, consent: 'grant', tenant: 'acme' };
const tokens = [];
const accessTokens = [];
const refreshTokens = [];

const pair = () => keyPair('rsa', { modulusLength: 2048 });
const clientKey = pair();
const jwk = (key, kid) => ({ ...key.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' });

const application = (client_id, token_endpoint_auth_method, more) => ({
  client_id,
  token_endpoint_auth_method,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  ...more,
});

let provider;
// The issuer contains the port, which is known only after listening.
const origin = await listen((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://peer');
  if (pathname === '/api/users') return users(request, response, searchParams);
  if (pathname.startsWith('/interaction/')) return interact(request, response);
  return provider.callback()(request, response);
});

provider = new Provider(origin, {
  clients: [
    application('basic', 'client_secret_basic', { client_secret: 'secret-of-basic' }),
    application('post', 'client_secret_post', { client_secret: 'secret-of-post' }),
    application('key', 'private_key_jwt', {
      token_endpoint_auth_signing_alg: 'RS256',
      jwks: { keys: [jwk(clientKey.publicKey, 'client')] },
    }),
    application('consent', 'client_secret_basic', {
      client_secret: 'secret-of-consent',
      // Only for native clients, the port of a loopback address is not compared (RFC 8252, 7.3).
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['http://127.0.0.1/oauth/callback/peer'],
      response_types: ['code'],
    }),
  ],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  cookies: { keys: ['oidc-peer'] },
  jwks: { keys: [jwk(pair().privateKey, 'provider')] },
  scopes: ['openid', 'offline_access', 'users.read'],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  ttl: {
    AccessToken: () => state.lifetime,
    ClientCredentials: () => state.lifetime,
    AuthorizationCode: 60,
    Grant: 86_400,
    Interaction: 600,
    RefreshToken: 86_400,
    Session: 86_400,
  },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => `${origin}/api`,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'users.read users.write',
        audience: resource,
        accessTokenFormat: 'opaque',
        accessTokenTTL: state.lifetime,
      }),
    },
  },
});

provider.on('server_error', (_, error) => process.stderr.write(`${error.stack}\n`));
provider.on('access_token.saved', (token) => accessTokens.push(token));
provider.on('client_credentials.saved', (token) => accessTokens.push(token));
provider.on('refresh_token.saved', (token) => {
  if (!refreshTokens.some((known) => known.jti === token.jti)) refreshTokens.push(token);
});

// Records every request to the token endpoint.
provider.use(async (ctx, next) => {
  const made = refreshTokens.length;
  await next();
  if (ctx.path !== '/token') return;
  const given = ctx.oidc?.params ?? {};
  const body = ctx.oidc?.body ?? {};
  tokens.push({
    grant_type: given.grant_type ?? null,
    auth: body.client_assertion ? 'private_key_jwt' : body.client_secret ? 'body' : ctx.get('authorization') ? 'basic' : 'none',
    scope: given.scope ?? null,
    status: ctx.status,
    error: ctx.body?.error ?? null,
    presented: given.refresh_token ? refreshTokens.findIndex((token) => token.jti === given.refresh_token) : null,
    issued: refreshTokens.length > made ? refreshTokens.length - 1 : null,
  });
});

async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (state.consent === 'deny') {
    const result = { error: 'access_denied', error_description: 'The person said no' };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'ada' } }, { mergeWithLastSubmission: false });
  }
  const known = grantId && (await provider.Grant.find(grantId));
  const grant = known || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope = [], missingResourceScopes = {} } = prompt.details;
  grant.addOIDCScope(missingOIDCScope.join(' '));
  for (const [resource, scopes] of Object.entries(missingResourceScopes)) grant.addResourceScope(resource, scopes.join(' '));
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

async function users(request, response, query) {
  const value = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  const token = value && ((await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value)));
  const refuse = (status, error) =>
    answerJson(response, status, { error }, { 'www-authenticate': `Bearer realm="users", error="${error}", scope="users.read"` });
  if (!token) return refuse(401, 'invalid_token');
  if (!token.scope?.split(' ').includes('users.read')) return refuse(403, 'insufficient_scope');
  const start = Number(query.get('cursor') ?? 0);
  const next = start + PAGE < USERS.length ? String(start + PAGE) : null;
  return answerJson(response, 200, { tenant: state.tenant, users: USERS.slice(start, start + PAGE), next });
}

const controls = {
  'GET /tokens': () => tokens,
  'GET /private-key': () => clientKey.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  'PUT /lifetime': (body) => void (state.lifetime = Number(body)),
  'PUT /consent': (body) => void (state.consent = body),
  'PUT /tenant': (body) => void (state.tenant = body),
  'PUT /expire': () => Promise.all(accessTokens.splice(0).map((token) => token.destroy())),
  'PUT /revoke': () => {
    const grants = new Set(refreshTokens.map((token) => token.grantId));
    const models = [provider.AccessToken, provider.RefreshToken];
    return Promise.all([...grants].flatMap((grant) => models.map((model) => model.revokeByGrantId(grant))));
  },
  'PUT /replay': async () => {
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshTokens.at(-2).jti });
    const authorization = `Basic ${Buffer.from('consent:secret-of-consent').toString('base64')}`;
    const answer = await fetch(`${origin}/token`, { method: 'POST', body, headers: { authorization } });
    return answer.json();
  },
};

const control = await listen(async (request, response) => {
  const run = controls[`${request.method} ${request.url}`];
  if (!run) return answerJson(response, 404, {});
  return answerJson(response, 200, (await run((await bodyOf(request)).toString())) ?? null);
});

serving({ origin, control });
