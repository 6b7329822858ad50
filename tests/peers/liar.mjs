// An identity provider that lies. It signs everybody in as `ada` at once, and tells one lie at a time.
//
//     node liar.mjs
//
// Prints one line, {"origin": …, "control": …}, when it is ready. Exits when its standard input is closed.
//
// The control address:
//
//     PUT  /lie      the body is the name of the lie from now on; empty for the truth
//     GET  /secrets  everything that must not appear in a log: codes, tokens and the client's secret
//     GET  /asked    how often each path was requested
//     GET  /lies     the names of the lies that can be told at any time
//     GET  /sign-out-lies  those about the address to sign out, with which everybody is signed in all the same
//     GET  /first-lies  those about what is read once: the metadata and the keys

import { createHash, createHmac, randomBytes, sign } from 'node:crypto';

import { answerJson, bodyOf, keyPair, listen, serving } from './common.mjs';

const CLIENT = 'muster';
const SECRET = 'canary-client-secret-71c0';
const pair = (bits = 2048) => keyPair('rsa', { modulusLength: bits });
const [key, other, weak] = [pair(), pair(), pair(1024)];
const curve = keyPair('ec', { namedCurve: 'P-256' });
const jwk = ({ publicKey }, kid, more = {}) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', ...more });
const SCRIPT = '<script>alert("canary-script")</script>';

let lie = '';
let previous = null;
const secrets = [SECRET];
const asked = {};
const codes = new Map();
const random = () => randomBytes(24).toString('base64url');
const secret = (value) => (value.length > 20 && secrets.push(value), value);
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);

// What the claims of a token are changed to.
const CLAIMS = {
  'wrong nonce': () => ({ nonce: random() }),
  'no nonce': () => ({ nonce: undefined }),
  'empty nonce': () => ({ nonce: '' }),
  'expired': () => ({ iat: now() - 400, exp: now() - 100 }),
  'no end': () => ({ exp: undefined }),
  'an end that is no number': () => ({ exp: 'never' }),
  'not valid yet': () => ({ nbf: now() + 300 }),
  'a start that is no number': () => ({ nbf: 'now' }),
  'issued in the future': () => ({ iat: now() + 300 }),
  'issued long ago': () => ({ iat: now() - 86_400 }),
  'no issue time': () => ({ iat: undefined }),
  'foreign audience': () => ({ aud: 'somebody-else' }),
  'audience that begins alike': () => ({ aud: 'muster-2' }),
  'no audience': () => ({ aud: undefined }),
  'empty audience': () => ({ aud: [] }),
  'several audiences without azp': () => ({ aud: [CLIENT, 'somebody-else'] }),
  'several audiences with azp': () => ({ aud: [CLIENT, 'somebody-else'], azp: CLIENT }),
  'wrong azp': () => ({ azp: 'somebody-else' }),
  'wrong issuer in the token': () => ({ iss: 'https://elsewhere.example' }),
  'issuer with a slash': () => ({ iss: `${origin}/` }),
  'no issuer in the token': () => ({ iss: undefined }),
  'empty subject': () => ({ sub: '' }),
  'no subject': () => ({ sub: undefined }),
  'subject that is a number': () => ({ sub: 1 }),
  'subject that is too long': () => ({ sub: 'x'.repeat(300) }),
  'subject with control characters': () => ({ sub: 'ada\n{"level":"INFO"}' }),
};

// What the header of a token is changed to.
const HEADERS = {
  'unknown key': () => ({ kid: 'unknown' }),
  'no key id': () => ({ kid: undefined }),
  'critical header': () => ({ crit: ['b64'], b64: false }),
  'an access token': () => ({ typ: 'at+jwt' }),
  'nested token': () => ({ cty: 'JWT' }),
};

// How a token is signed. Each takes the header and the claims.
const rs256 = (from, head, claims) => {
  const text = `${part(head)}.${part(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), from.privateKey).toString('base64url')}`;
};
const hs256 = (with_, head, claims) => {
  const text = `${part({ ...head, alg: 'HS256' })}.${part(claims)}`;
  return `${text}.${createHmac('sha256', with_).update(text).digest('base64url')}`;
};
const SIGNATURES = {
  'alg none': (head, claims) => `${part({ ...head, alg: 'none' })}.${part(claims)}.`,
  'alg nOnE': (head, claims) => `${part({ ...head, alg: 'nOnE' })}.${part(claims)}.`,
  'no alg': (head, claims) => rs256(key, { ...head, alg: undefined }, claims),
  'HS256 with the public key': (head, claims) => hs256(key.publicKey.export({ type: 'spki', format: 'pem' }), head, claims),
  'HS256 with the modulus': (head, claims) => hs256(jwk(key).n, head, claims),
  'HS256 with the client secret': (head, claims) => hs256(SECRET, head, claims),
  'HS256 with a published key': (head, claims) => hs256('shared', { ...head, kid: 'shared' }, claims),
  'wrong signature': (head, claims) => rs256(key, head, claims).replace(/.{8}$/, 'AAAAAAAA'),
  'signed with another key': (head, claims) => rs256(other, head, claims),
  'signed with a key in its header': (head, claims) => rs256(other, { ...head, jwk: jwk(other, 'key') }, claims),
  'signed with a key at an address': (head, claims) => rs256(other, { ...head, jku: `${origin}/other-jwks` }, claims),
  'signed with a weak key': (head, claims) => rs256(weak, { ...head, kid: 'weak' }, claims),
  'signed with a key for encryption': (head, claims) => rs256(other, { ...head, kid: 'encryption' }, claims),
  'signed with a key that comes twice': (head, claims) => rs256(other, { ...head, kid: 'twice' }, claims),
  'RS512': (head, claims) => {
    const text = `${part({ ...head, alg: 'RS512' })}.${part(claims)}`;
    return `${text}.${sign('sha512', Buffer.from(text), key.privateKey).toString('base64url')}`;
  },
  'ES256 with an RSA key': (head, claims) => {
    const text = `${part({ ...head, alg: 'ES256' })}.${part(claims)}`;
    const signature = sign('sha256', Buffer.from(text), { key: curve.privateKey, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  },
  'PS256 with a signature of RS256': (head, claims) => rs256(key, { ...head, alg: 'PS256' }, claims),
  'changed after it was signed': (head, claims) => {
    const [first, , last] = rs256(key, head, claims).split('.');
    return `${first}.${part({ ...claims, sub: 'mallory' })}.${last}`;
  },
  'two parts': (head, claims) => rs256(key, head, claims).split('.').slice(0, 2).join('.'),
  'five parts': (head, claims) => `${part({ ...head, alg: 'RSA-OAEP', enc: 'A256GCM' })}.${part(claims)}.a.b.c`,
  'no token at all': () => 'token',
  'the token of another sign-in': (head, claims) => previous ?? rs256(other, head, claims),
};

// How a whole answer is replaced, by the path that it is told at: `/token` in `token: …`.
const BAD = {
  html: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>Welcome</p>${SCRIPT}`),
  'json as html': (response, body) => response.writeHead(200, { 'content-type': 'text/html' }).end(JSON.stringify(body)),
  redirect: (response) => response.writeHead(302, { location: `${origin}/redirected` }).end(),
  huge: (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ padding: 'x'.repeat(2_000_000) }));
  },
  slow: (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), 200);
    response.on('close', () => clearInterval(timer));
  },
  broken: (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"keys": ['),
  list: (response) => answerJson(response, 200, []),
  empty: (response) => answerJson(response, 200, {}),
  error: (response) => answerJson(response, 400, { error: SCRIPT, error_description: SCRIPT }),
  failure: (response) => response.writeHead(500).end(SCRIPT),
  nothing: (response) => response.socket.destroy(),
};

// What the metadata is changed to.
const METADATA = {
  'another issuer': () => ({ issuer: 'https://elsewhere.example' }),
  'an issuer with a slash': () => ({ issuer: `${origin}/` }),
  'no issuer': () => ({ issuer: undefined }),
  'a token endpoint of another scheme': () => ({ token_endpoint: `${origin.replace('http', 'ftp')}/token` }),
  'keys of another scheme': () => ({ jwks_uri: `${origin.replace('http', 'https')}/jwks` }),
  'an authorization endpoint that is a script': () => ({ authorization_endpoint: 'javascript:alert(1)' }),
  'a userinfo endpoint of another scheme': () => ({ userinfo_endpoint: 'gopher://127.0.0.1/userinfo' }),
  'a token endpoint with a password': () => ({ token_endpoint: `${origin.replace('//', '//a:b@')}/token` }),
  'no keys': () => ({ jwks_uri: undefined }),
  'a relative endpoint': () => ({ token_endpoint: '/token' }),
};

// Changes of the metadata about what nobody needs to sign in.
const SIGN_OUT = {
  'an empty sign-out': () => ({ end_session_endpoint: '' }),
  'a relative sign-out': () => ({ end_session_endpoint: '/session/end' }),
  'a sign-out of another scheme': () => ({ end_session_endpoint: 'javascript:alert(1)' }),
  'a sign-out with a fragment': () => ({ end_session_endpoint: `${origin}/session/end#top` }),
  'a sign-out that is a number': () => ({ end_session_endpoint: 7 }),
};

// How the answer to the browser is changed.
const ANSWERS = {
  'answer of another issuer': (answer) => answer.set('iss', 'https://elsewhere.example'),
  'answer without an issuer': (answer) => answer.delete('iss'),
  'answer of two issuers': (answer) => answer.append('iss', origin),
  'foreign state': (answer) => answer.set('state', random() + random().slice(0, 11)),
  'no state': (answer) => answer.delete('state'),
  'two states': (answer) => answer.append('state', answer.get('state')),
  'no code': (answer) => answer.delete('code'),
  'a code that was made up': (answer) => answer.set('code', 'made-up'),
  'an error': (answer) => answer.set('error', 'server_error'),
  'an error with a script': (answer) => {
    answer.set('error', SCRIPT);
    answer.set('error_description', SCRIPT);
  },
  'declined': (answer) => answer.set('error', 'access_denied'),
};

const bad = (path, response, body) => {
  const [place, name] = lie.split(': ');
  if (place !== path || !BAD[name]) return false;
  BAD[name](response, body);
  return true;
};

const routes = {
  '/.well-known/openid-configuration': (request, response) => {
    const truth = {
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      jwks_uri: `${origin}/jwks`,
      userinfo_endpoint: `${origin}/userinfo`,
      authorization_response_iss_parameter_supported: true,
    };
    const [place, name] = lie.split(': ');
    const told = { ...truth, ...(place === 'metadata' ? METADATA[name]?.() : {}), ...SIGN_OUT[lie]?.() };
    if (!bad('metadata', response, told)) answerJson(response, 200, told);
  },
  '/authorize': (request, response, query) => {
    const code = secret(random());
    codes.set(code, Object.fromEntries(query));
    const answer = new URLSearchParams({ code, state: query.get('state'), iss: origin });
    ANSWERS[lie]?.(answer);
    response.writeHead(302, { location: `${query.get('redirect_uri')}?${answer}` }).end();
  },
  '/token': async (request, response) => {
    const given = new URLSearchParams((await bodyOf(request)).toString());
    const asked = codes.get(given.get('code'));
    codes.delete(given.get('code'));
    const challenge = createHash('sha256').update(given.get('code_verifier') ?? '').digest('base64url');
    const client = `Basic ${Buffer.from(`${CLIENT}:${SECRET}`).toString('base64')}`;
    if (!asked || asked.code_challenge !== challenge || request.headers.authorization !== client) {
      return answerJson(response, 400, { error: 'invalid_grant', error_description: SCRIPT });
    }
    const head = { alg: 'RS256', kid: 'key', typ: 'JWT', ...HEADERS[lie]?.() };
    const claims = { iss: origin, sub: 'ada', aud: CLIENT, iat: now(), exp: now() + 300, nonce: asked.nonce };
    const token = (SIGNATURES[lie] ?? rs256.bind(null, key))(head, { ...claims, ...CLAIMS[lie]?.() });
    if (!SIGNATURES[lie]) previous = token;
    const body = { id_token: secret(token), access_token: secret(random()), token_type: 'Bearer', expires_in: 60 };
    if (lie === 'no ID token') delete body.id_token;
    if (lie === 'an ID token that is a list') body.id_token = [token];
    if (!bad('token', response, body)) answerJson(response, 200, body);
  },
  '/jwks': (request, response) => {
    const keys = [
      jwk(key, 'key'),
      jwk(weak, 'weak'),
      jwk(other, 'encryption', { use: 'enc' }),
      jwk(other, 'twice'),
      jwk(curve, 'curve'),
      jwk(other, 'twice'),
      { kty: 'oct', kid: 'shared', k: Buffer.from('shared').toString('base64url') },
    ];
    if (lie === 'keys: none') keys.length = 0;
    if (!bad('keys', response, { keys })) answerJson(response, 200, { keys });
  },
  '/userinfo': (request, response) => {
    const body = { sub: 'ada', email: 'ada@example.com', email_verified: true, name: 'Ada', groups: ['admins'] };
    if (lie === 'userinfo of somebody else') body.sub = 'eve';
    if (lie === 'userinfo of nobody') delete body.sub;
    if (lie === 'an address that is not verified') body.email_verified = false;
    if (!bad('userinfo', response, body)) answerJson(response, 200, body);
  },
};

const origin = await listen((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://peer');
  asked[pathname] = (asked[pathname] ?? 0) + 1;
  const route = routes[pathname];
  return route ? route(request, response, searchParams) : answerJson(response, 404, {});
});

const named = (names, prefix = '') => Object.keys(names).map((name) => `${prefix}${name}`);
const control = await listen(async (request, response) => {
  if (request.url === '/lie') lie = (await bodyOf(request)).toString();
  const answers = {
    '/secrets': secrets,
    '/asked': asked,
    '/lies': [
      ...named(CLAIMS), ...named(HEADERS), ...named(SIGNATURES), ...named(ANSWERS),
      ...named(BAD, 'token: ').filter((name) => !name.endsWith('slow')),
      ...named(BAD, 'userinfo: ').filter((name) => !name.endsWith('slow')),
      'no ID token', 'an ID token that is a list', 'userinfo of somebody else', 'userinfo of nobody',
    ],
    '/sign-out-lies': named(SIGN_OUT),
    '/first-lies': [
      ...named(METADATA, 'metadata: '),
      ...named(BAD, 'metadata: ').filter((name) => !name.endsWith('slow')),
      ...named(BAD, 'keys: ').filter((name) => !name.endsWith('slow')),
      'keys: none',
    ],
  };
  answerJson(response, 200, answers[request.url] ?? null);
});

serving({ origin, control });
