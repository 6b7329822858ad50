// A real identity provider for tests (npm `oidc-provider`), with which people sign in to Muster.
//
//     node identity.mjs
//
// Prints one line, {"origin": …, "control": …}, when it is ready. Exits when its standard input is closed.
//
// Its client is `muster` with the secret `secret-of-muster`; it redirects to http://127.0.0.1:ANY/auth/oidc/callback.
// The authorization endpoint signs everybody in as the same person, with redirects only.
//
// The control address:
//
//     PUT  /person   the body is the person from now on: the claims as JSON, with `sub`
//     PUT  /place    where claims are: `userinfo` (as the standard says), or `token`
//     PUT  /key      replaces the key; the body is the algorithm: RS256, PS256, ES256 or EdDSA

import { randomUUID } from 'node:crypto';

import { answerJson, bodyOf, keyPair, listen, load, serving } from './common.mjs';

const { default: Provider } = await load('oidc-provider');

const state = { person: { sub: 'ada' }, place: 'userinfo', algorithm: 'RS256' };
const KINDS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};

let provider;
let key = newKey();
const origin = await listen((request, response) => {
  if (request.url.startsWith('/interaction/')) return interact(request, response);
  return provider.callback()(request, response);
});
build();

function newKey() {
  const { privateKey } = keyPair(...KINDS[state.algorithm]);
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: state.algorithm, use: 'sig' };
}

function build() {
  provider = new Provider(origin, {
    clients: [
      {
        client_id: 'muster',
        client_secret: 'secret-of-muster',
        // Only for native clients, the port of a loopback address is not compared (RFC 8252, 7.3).
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/auth/oidc/callback'],
        id_token_signed_response_alg: state.algorithm,
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
    conformIdTokenClaims: state.place === 'userinfo',
    cookies: { keys: ['identity-peer'] },
    enabledJWA: { idTokenSigningAlgValues: Object.keys(KINDS) },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...state.person, sub: id }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    jwks: { keys: [key] },
    pkce: { required: () => true },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  });
  provider.on('server_error', (_, error) => process.stderr.write(`${error.stack}\n`));
}

async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  const answer = (result) => provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  if (prompt.name === 'login') return answer({ login: { accountId: state.person.sub } });
  const known = grantId && (await provider.Grant.find(grantId));
  const grant = known || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope((prompt.details.missingOIDCScope ?? []).join(' '));
  grant.addOIDCClaims(prompt.details.missingOIDCClaims ?? []);
  return answer({ consent: { grantId: await grant.save() } });
}

const controls = {
  '/person': (body) => void (state.person = JSON.parse(body)),
  '/place': (body) => {
    state.place = body;
    build();
  },
  '/key': (body) => {
    state.algorithm = body;
    key = newKey();
    build();
  },
};

const control = await listen(async (request, response) => {
  controls[request.url]((await bodyOf(request)).toString());
  return answerJson(response, 200, null);
});

serving({ origin, control });
