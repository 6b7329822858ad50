// The applications of fakes.mjs. Each has the same eight people, with records as complete as in the vendor's
// document, and the paths and the pagination of the vendor.
//
// A vendor is {origin, credential, refused, routes}. A `*` in a route's path matches one segment. A route gets
// {parts, query, form, at, cap, page} and returns {status, body, headers}. `page(records, cursor, limit)` begins
// or continues a listing, and returns {records, next}, or null for an unknown cursor.

const DAY = '2026-02-27T08:15:30.000Z';
const MADE = '2024-05-06T07:08:09.000Z';

/** Who has an account. `state`: active, disabled or invited. */
export const PEOPLE = [
  { n: 1, first: 'Ann', last: 'Admin', state: 'active', admin: true, mfa: true, seen: DAY },
  { n: 2, first: 'Bob', last: 'Brown', state: 'active', mfa: true, seen: DAY },
  { n: 3, first: 'Cleo', last: 'Closed', state: 'disabled', seen: DAY },
  { n: 4, first: 'Dee', last: 'Dunn', state: 'invited' },
  { n: 5, first: 'Eve', last: 'Early', state: 'active' },
  { n: 6, first: 'Finn', last: 'Founder', state: 'active', admin: true, owner: true, mfa: true, seen: DAY },
  { n: 7, first: 'Robo', last: 'Reporter', state: 'active', bot: true },
  { n: 8, first: 'Gus', last: 'Guest', state: 'active', guest: true, seen: DAY },
].map((person) => ({ ...person, name: `${person.first} ${person.last}`, email: `${person.first.toLowerCase()}@example.com` }));

const humans = PEOPLE.filter((person) => !person.bot);
const bearer = (token) => ({ authorization: `Bearer ${token}` });
const bad = (body) => ({ status: 400, body });
const only = (record, names) => Object.fromEntries(Object.entries(record).filter(([name]) => names.includes(name)));

// ------------------------------------------------------------------------------------------------ Okta

const OKTA = 'https://acme.okta.com';
const oktaStatus = { active: 'ACTIVE', disabled: 'DEPROVISIONED', invited: 'PROVISIONED' };
const oktaUser = (person) => {
  const id = `00u${person.n}AbCdEfGhIjKlMn`;
  return {
    id,
    status: person.guest ? 'LOCKED_OUT' : oktaStatus[person.state],
    created: MADE,
    activated: person.state === 'invited' ? null : MADE,
    statusChanged: MADE,
    lastLogin: person.seen ?? null,
    lastUpdated: MADE,
    passwordChanged: null,
    transitioningToStatus: null,
    realmId: 'guo1AbCdEfGhIjKlMnOp',
    type: { id: 'oty1AbCdEfGhIjKlMnOp' },
    profile: {
      login: person.email,
      email: person.email,
      firstName: person.first,
      lastName: person.last,
      displayName: person.n === 5 ? null : person.name,
      mobilePhone: null,
      secondEmail: null,
      department: 'Works',
      countryCode: 'GB',
    },
    credentials: { provider: { type: 'OKTA', name: 'OKTA' } },
    _links: { self: { href: `${OKTA}/api/v1/users/${id}` } },
  };
};

const okta = {
  origin: OKTA,
  credential: { authorization: 'SSWS 00aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789-_abcd' },
  refused: { errorCode: 'E0000011', errorSummary: 'Invalid token provided', errorLink: 'E0000011', errorId: 'oae1', errorCauses: [] },
  routes: {
    'GET /api/v1/users': ({ query, page, at }) => {
      // According to its document, disabled accounts are listed only by a search.
      const wanted = query.has('search') ? humans : humans.filter((person) => person.state !== 'disabled');
      const found = page(wanted.map(oktaUser), query.get('after'), Number(query.get('limit') ?? 200));
      if (!found) return bad({ errorCode: 'E0000031', errorSummary: 'Invalid search criteria' });
      const link = (rel, after) => {
        const address = new URL(at);
        if (after) address.searchParams.set('after', after);
        return `<${address}>; rel="${rel}"`;
      };
      const links = [link('self', query.get('after'))];
      if (found.next) links.push(link('next', found.next));
      return { body: found.records, headers: { link: links.join(', ') } };
    },
    'GET /api/v1/iam/assignees/users': ({ query, page }) => {
      const admins = humans.filter((person) => person.admin).map((person) => ({ id: oktaUser(person).id, orn: 'orn:okta:directory:acme:users' }));
      const found = page(admins, query.get('after'), Number(query.get('limit') ?? 20));
      if (!found) return bad({ errorCode: 'E0000001' });
      const next = found.next && { next: { href: `${OKTA}/api/v1/iam/assignees/users?after=${found.next}` } };
      return { body: { value: found.records, _links: { ...next } } };
    },
    'GET /api/v1/users/*/factors': ({ parts: [id] }) => {
      const person = humans.find((one) => oktaUser(one).id === id);
      if (!person) return { status: 404, body: { errorCode: 'E0000007', errorSummary: `Not found: Resource not found: ${id} (User)` } };
      const factor = (factorType) => ({ id: `${factorType}${person.n}`, factorType, provider: 'OKTA', vendorName: 'OKTA', status: 'ACTIVE', created: MADE, lastUpdated: MADE });
      return { body: person.mfa ? [factor('email'), factor('push')] : [factor('email')] };
    },
  },
};

// ----------------------------------------------------------------------------------------------- Slack

const slackUser = (person) => {
  const image = 'https://avatars.example.com/a.png';
  return {
    id: `U0${person.n}ABCDEFG`,
    team_id: 'T0ABCDEFGH',
    name: person.first.toLowerCase(),
    deleted: person.state === 'disabled',
    profile: {
      title: '',
      phone: '',
      skype: '',
      real_name: person.name,
      real_name_normalized: person.name,
      display_name: person.first,
      display_name_normalized: person.first,
      fields: null,
      status_text: '',
      status_emoji: '',
      status_expiration: 0,
      avatar_hash: 'g0123456789a',
      first_name: person.first,
      last_name: person.last,
      image_24: image,
      image_512: image,
      status_text_canonical: '',
      team: 'T0ABCDEFGH',
      ...(person.bot ? { bot_id: 'B0ABCDEFGH', api_app_id: 'A0ABCDEFGH', always_active: true } : { email: person.email }),
    },
    is_bot: Boolean(person.bot),
    is_app_user: false,
    updated: 1_772_180_130,
    ...(person.state === 'invited' ? { is_invited_user: true } : {}),
    // Disabled users have no further fields.
    ...(person.state === 'disabled'
      ? {}
      : {
          color: '9f69e7',
          real_name: person.name,
          tz: 'Europe/London',
          tz_label: 'Greenwich Mean Time',
          tz_offset: 0,
          is_admin: Boolean(person.admin),
          is_owner: Boolean(person.owner),
          is_primary_owner: Boolean(person.owner),
          is_restricted: Boolean(person.guest),
          is_ultra_restricted: false,
          has_2fa: Boolean(person.mfa),
        }),
  };
};

const slack = {
  origin: 'https://slack.com',
  credential: bearer('xoxb-123456789012-abcdefABCDEF'),
  refused: { ok: false, error: 'invalid_auth' },
  refusedStatus: 200,
  routes: {
    'GET /api/users.list': ({ query, page }) => {
      const found = page(PEOPLE.map(slackUser), query.get('cursor'), Number(query.get('limit') ?? 1000));
      if (!found) return { body: { ok: false, error: 'invalid_cursor' } };
      return { body: { ok: true, members: found.records, cache_ts: 1_772_180_130, response_metadata: { next_cursor: found.next ?? '' } } };
    },
    'GET /api/auth.test': () => ({ body: slackAuthTest }),
    'POST /api/auth.test': () => ({ body: slackAuthTest }),
  },
};
const slackAuthTest = { ok: true, url: 'https://acme.slack.com/', team: 'Acme', user: 'muster', team_id: 'T0ABCDEFGH', user_id: 'U09ABCDEFG', bot_id: 'B0ABCDEFGH' };

// ----------------------------------------------------------------------------------------------- Asana

const asanaGid = (person) => `120000000000${person.n}`;
const asanaPage = ({ query, page, at }, records) => {
  const found = page(records, query.get('offset'), Number(query.get('limit') ?? 20));
  if (!found) return bad({ errors: [{ message: 'offset: Your pagination token is invalid.' }] });
  if (!found.next) return { body: { data: found.records, next_page: null } };
  const address = new URL(at);
  address.searchParams.set('offset', found.next);
  return { body: { data: found.records, next_page: { offset: found.next, path: address.pathname + address.search, uri: String(address) } } };
};
const asanaUser = (person) => ({ gid: asanaGid(person), resource_type: 'user', name: person.name, email: person.email });

const asana = {
  origin: 'https://app.asana.com',
  credential: bearer('2/1200000000001/1200000000002:abcdef0123456789'),
  refused: { errors: [{ message: 'Not Authorized', help: 'For more information, see the documentation' }] },
  routes: {
    'GET /api/1.0/users': (call) => {
      const fields = (call.query.get('opt_fields') ?? 'name').split(',');
      return asanaPage(call, humans.map((person) => only(asanaUser(person), ['gid', 'resource_type', ...fields])));
    },
    'GET /api/1.0/workspaces/1200000000000/workspace_memberships': (call) => {
      const fields = (call.query.get('opt_fields') ?? '').split(',');
      const members = humans.map((person) => ({
        gid: `13000000000${person.n}`,
        resource_type: 'workspace_membership',
        ...only(
          {
            is_active: person.state !== 'disabled',
            is_admin: Boolean(person.admin),
            is_guest: Boolean(person.guest),
            is_view_only: false,
            created_at: MADE,
          },
          fields,
        ),
        user: only(asanaUser(person), [
          'gid',
          'resource_type',
          ...fields.filter((field) => field.startsWith('user.')).map((field) => field.slice('user.'.length)),
        ]),
      }));
      return asanaPage(call, members);
    },
  },
};

// ------------------------------------------------------------------------------------------------- Box

const boxToken = 'boxAccessToken0123456789abcdef';
const boxUser = (person) => ({
  type: 'user',
  id: `1100${person.n}`,
  name: person.name,
  login: person.bot ? 'AutomationUser_1234567_AbCdEf@boxdevedition.com' : person.email,
  created_at: MADE,
  modified_at: MADE,
  language: 'en',
  timezone: 'Europe/London',
  space_amount: 10_737_418_240,
  space_used: 1024,
  max_upload_size: 2_147_483_648,
  status: person.state === 'disabled' ? 'inactive' : person.guest ? 'cannot_delete_edit' : 'active',
  job_title: '',
  phone: '',
  address: '',
  avatar_url: 'https://acme.app.box.com/api/avatar/large/1',
  notification_email: null,
  role: person.owner ? 'admin' : person.admin ? 'coadmin' : 'user',
  is_exempt_from_login_verification: false,
  is_platform_access_only: Boolean(person.bot),
  enterprise: { type: 'enterprise', id: '987654', name: 'Acme' },
});
// Returns only the requested fields; by default the standard ones, without role and enterprise.
const boxFields = (query, { role, enterprise, is_platform_access_only, ...user }) => {
  const fields = query.get('fields')?.split(',');
  return fields ? only({ ...user, role, enterprise, is_platform_access_only }, ['type', 'id', ...fields]) : user;
};

const box = {
  origin: 'https://api.box.com',
  credential: bearer(boxToken),
  refused: { type: 'error', status: 401, code: 'unauthorized', message: 'Unauthorized', request_id: 'r1' },
  open: ['POST /oauth2/token'],
  routes: {
    'POST /oauth2/token': ({ form }) => {
      const right = { grant_type: 'client_credentials', client_id: 'box-client', client_secret: 'box-secret', box_subject_type: 'enterprise', box_subject_id: '987654' };
      const wrong = Object.entries(right).find(([name, value]) => form.get(name) !== value);
      if (wrong) return bad({ error: 'invalid_grant', error_description: `Check the parameter ${wrong[0]}` });
      return { body: { access_token: boxToken, expires_in: 4169, restricted_to: [], token_type: 'bearer' } };
    },
    'GET /2.0/users/me': ({ query }) => ({ body: boxFields(query, boxUser(PEOPLE[0])) }),
    'GET /2.0/users': ({ query, page }) => {
      const limit = Number(query.get('limit') ?? 100);
      const users = PEOPLE.map((person) => boxFields(query, boxUser(person)));
      if (query.get('usemarker') !== 'true') {
        const start = Number(query.get('offset') ?? 0);
        const entries = users.slice(start, start + limit);
        return { body: { total_count: users.length, entries, limit, offset: start, order: [{ by: 'name', direction: 'ASC' }] } };
      }
      const found = page(users, query.get('marker'), limit);
      if (!found) return bad({ type: 'error', status: 400, code: 'bad_request', message: 'Bad marker', request_id: 'r1' });
      return { body: { entries: found.records, limit, next_marker: found.next } };
    },
  },
};

// ------------------------------------------------------------------------------------------- PagerDuty

const reference = (id, type, summary) => ({ id, type, summary, self: `https://api.pagerduty.com/${type}/${id}`, html_url: null });
const pagerdutyId = (person) => `PUSER${person.n}`;
const pagerdutyUser = (person) => ({
  ...reference(pagerdutyId(person), 'user', person.name),
  name: person.name,
  email: person.email,
  time_zone: 'Europe/London',
  color: 'green',
  role: person.owner ? 'owner' : person.admin ? 'admin' : person.guest ? 'read_only_user' : 'user',
  avatar_url: 'https://avatars.example.com/a.png',
  description: null,
  invitation_sent: person.state === 'invited',
  job_title: 'Engineer',
  created_via_sso: false,
  teams: [reference('PTEAM1', 'team_reference', 'Works')],
  contact_methods: [reference('PCONT1', 'email_contact_method_reference', 'Default')],
  notification_rules: [reference('PRULE1', 'assignment_notification_rule_reference', 'Default')],
});
// Paginates by offset.
const pagerdutyPage = ({ query, cap }, name, records) => {
  const limit = Math.min(Number(query.get('limit') ?? 25), cap);
  const offset = Number(query.get('offset') ?? 0);
  return { body: { [name]: records.slice(offset, offset + limit), limit, offset, more: offset + limit < records.length, total: query.get('total') === 'true' ? records.length : null } };
};

const pagerduty = {
  origin: 'https://api.pagerduty.com',
  credential: { authorization: 'Token token=u+AbCdEfGhIjKlMnOpQr' },
  refused: { error: { message: 'Unauthorized', code: 2006 } },
  routes: {
    // Disabled users are not listed.
    'GET /users': (call) => pagerdutyPage(call, 'users', humans.filter((person) => person.state !== 'disabled').map(pagerdutyUser)),
    'GET /license_allocations': (call) =>
      pagerdutyPage(
        call,
        'license_allocations',
        humans
          .filter((person) => person.state === 'active')
          .map((person) => ({
            user: reference(pagerdutyId(person), 'user_reference', person.name),
            license: {
              ...reference('PLIC1', 'license', 'Business'),
              name: person.guest ? 'Stakeholder (Business)' : 'Full User (Business)',
              description: '',
              role_group: person.guest ? 'Stakeholder' : 'FullUser',
            },
            allocated_at: MADE,
          })),
      ),
  },
};

// ---------------------------------------------------------------------------------------------- Sentry

const sentryMember = (person) => ({
  id: `90${person.n}`,
  email: person.email,
  name: person.name,
  user:
    person.state === 'invited'
      ? null
      : {
          id: `70${person.n}`,
          name: person.name,
          username: person.email,
          email: person.email,
          avatarUrl: 'https://avatars.example.com/a.png',
          isActive: person.state !== 'disabled',
          isSuspended: false,
          hasPasswordAuth: true,
          isManaged: false,
          dateJoined: MADE,
          lastLogin: person.seen ?? null,
          has2fa: Boolean(person.mfa),
          lastActive: person.seen ?? null,
          isSuperuser: false,
          isStaff: false,
          experiments: {},
          emails: [{ id: `60${person.n}`, email: person.email, is_verified: true }],
        },
  orgRole: person.owner ? 'owner' : person.admin ? 'manager' : 'member',
  pending: person.state === 'invited',
  expired: false,
  flags: {
    'idp:provisioned': false,
    'idp:role-restricted': false,
    'sso:linked': false,
    'sso:invalid': false,
    'member-limit:restricted': false,
    'partnership:restricted': false,
  },
  dateCreated: MADE,
  inviteStatus: 'approved',
  inviterName: null,
});

const sentry = {
  origin: 'https://us.sentry.io',
  credential: bearer('sntryu_0123456789abcdef0123456789abcdef'),
  refused: { detail: 'Invalid token' },
  routes: {
    'GET /api/0/organizations/acme/members/': ({ query, page, at }) => {
      const found = page(humans.map(sentryMember), query.get('cursor'), 100);
      if (!found) return bad({ detail: 'Invalid cursor parameter.' });
      // There is always a next link; `results` says whether the next page has any records.
      const link = (rel, cursor, results) => `<${new URL(at).origin}${new URL(at).pathname}?&cursor=${cursor}>; rel="${rel}"; results="${results}"; cursor="${cursor}"`;
      return { body: found.records, headers: { link: `${link('previous', '0:0:1', false)}, ${link('next', found.next ?? '0:100:0', Boolean(found.next))}` } };
    },
  },
};

export const VENDORS = { okta, slack, asana, box, pagerduty, sentry };
