// The audit log: who did what, when, from where, and how it ended.

import { useList } from "../../data.js";
import { count, words } from "../../format.js";
import { html } from "../../lib.js";
import { search, setSearch } from "../../router.js";
import { Choose } from "../../ui/choose.js";
import { findActors } from "../../ui/find.js";
import { Finder } from "../../ui/finder.js";
import { Icon } from "../../ui/icon.js";
import { FullMoment } from "../../ui/moment.js";
import { Button, Empty, instanceLink, Link, More, Pending, Search } from "../../ui/parts.js";
import { Badge } from "../../ui/state.js";

const AUDIT = `query Audit($after: String, $filter: AuditFilter) {
  auditLog(first: 50, after: $after, filter: $filter) {
    totalCount totalCountIsExact pageInfo { endCursor hasNextPage }
    nodes {
      action actor actorId actorKind address at code detail outcome requestId subjectId subjectKind subjectName times isChained
      instance { id name }
    }
  }
}`;

/** Each action, and what was wanted, for entries of what was refused or failed; null where the name says it. */
const WANTED = {
  ACCESS_REFUSED: null,
  ACCOUNT_KIND_SET: "Set the kind of an account",
  ACCOUNT_LINKED: "Link an account",
  ACCOUNT_UNLINKED: "Unlink an account",
  AUDIT_ACCEPTED: "Accept the audit log as it is",
  AUDIT_EXPORTED: "Export the audit log",
  AUTHORIZATION_BEGUN: "Begin a consent",
  AUTHORIZATION_COMPLETED: "Complete a consent",
  AUTHORIZATION_FAILED: null,
  BACKUP_RESTORED: "Restore a backup",
  CHANGED: "Change something",
  CONNECTION_TESTED: "Test a connection",
  CONTRACT_CREATED: "Create a contract",
  CONTRACT_DELETED: "Delete a contract",
  CONTRACT_UPDATED: "Save a contract",
  DELIVERIES_RETRIED: "Send messages of a webhook again",
  GROWTH_ACCEPTED: "Accept the growth of an instance",
  INSTANCE_CREATED: "Create an instance",
  INSTANCE_DELETED: "Delete an instance",
  INSTANCE_UPDATED: "Update an instance",
  KEYS_ROTATED: "Rotate the keys",
  LINK_CREATED: "Create a link",
  LINK_RESET: "Reset the link of an account",
  LIST_DELIVERED: "Deliver a list",
  MEMBER_CREATED: "Create a member",
  MEMBER_UPDATED: "Update a member",
  NAMES_ERASED: "Erase names",
  OWNED_DOMAINS_SET: "Set the domains",
  OWNER_SET: "Set the owner of an account",
  PASSWORD_SET: "Set a password",
  PEOPLE_SOURCES_SET: "Set the people sources",
  PERSON_ERASED: "Erase a person",
  PERSON_READ: "Read about a person",
  PRICE_SET: "Set a price",
  RECIPIENTS_SET: "Set the recipients",
  REMOVALS_ACCEPTED: "Accept the removals of an instance",
  REPORT_EXPORTED: "Export a report",
  SESSION_ENDED: "End a session",
  SIGNED_IN: "Sign in",
  SIGNED_OUT: "Sign out",
  SIGN_IN_FAILED: null,
  SYNC_CANCELLED: "Cancel a sync",
  SYNC_REQUESTED: "Request a sync",
  TEST_MAIL_SENT: "Send a test mail",
  TOKEN_CREATED: "Create a token",
  TOKEN_REVOKED: "Revoke a token",
  TOKEN_UPDATED: "Update a token",
  USERS_DELETED: "Delete all users",
  USERS_EXPORTED: "Export users",
  WEBHOOK_CREATED: "Create a webhook",
  WEBHOOK_DELETED: "Delete a webhook",
  WEBHOOK_SECRET_ROTATED: "Change the secret of a webhook",
  WEBHOOK_TESTED: "Test a webhook",
  WEBHOOK_UPDATED: "Update a webhook",
};
const AUDIT_ACTIONS = Object.keys(WANTED);
const AUDIT_OUTCOMES = { OK: ["Done", "ok"], REFUSED: ["Refused", "warning"], FAILED: ["Failed", "danger"] };
const ACTOR_KINDS = {
  ANONYMOUS: "somebody unknown",
  COMMAND_LINE: "command line",
  MEMBER: "member",
  SERVER: "the server",
  TOKEN: "token",
};
/** The names of the filters in the query of the address. */
const AUDIT_FILTERS = ["action", "outcome", "actor", "subject", "address", "from", "to"];

/** A local time such as `2026-11-29T10:00` for the API; undefined if it is none. */
function moment(text) {
  const date = new Date(text ?? "");
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

function auditFilter(query) {
  const one = (name) => query.get(name) ?? undefined;
  const known = (name, allowed) => (allowed.includes(one(name)) ? [one(name)] : undefined);
  return {
    actions: known("action", AUDIT_ACTIONS),
    outcomes: known("outcome", Object.keys(AUDIT_OUTCOMES)),
    actorId: one("actor"),
    subjectId: one("subject"),
    address: one("address"),
    from: moment(one("from")),
    to: moment(one("to")),
  };
}

const When = ({ label, name }) => html`
  <label class="filter">
    <span class="second">${label}</span>
    <input type="datetime-local" value=${search.value.get(name) ?? ""} onChange=${({ target }) => setSearch({ [name]: target.value })} />
  </label>
`;

/** Changes the filters, and gives the focus to the first of them, because the button goes away. */
function drop(event, changes) {
  event.currentTarget.closest(".filters").querySelector("select").focus();
  setSearch(changes);
}

const Only = ({ label, name }) => html`
  <span class="chip">${label}<button type="button" class="quiet bare" aria-label="Remove the filter ${label}" onClick=${(event) => drop(event, { [name]: null })}><${Icon} name="x" size=${12} /></button></span>
`;

function Filters({ entries }) {
  const query = search.value;
  const [actor, subject] = [query.get("actor"), query.get("subject")];
  const isFiltered = AUDIT_FILTERS.some((name) => query.has(name));
  return html`
    <div class="filters bottom" role="group" aria-label="Filters">
      <${Choose} label="Action" name="action" all="All actions" options=${AUDIT_ACTIONS.map((action) => [action, words(action)]).sort((one, other) => one[1].localeCompare(other[1]))} />
      <${Choose} label="Outcome" name="outcome" all="All outcomes" options=${Object.entries(AUDIT_OUTCOMES).map(([key, [label]]) => [key, label])} />
      <${Finder} label="Who" placeholder="Member or token…" find=${findActors} onPick=${({ id }) => setSearch({ actor: id })} />
      <div class="filter"><span class="second" aria-hidden="true">IP address</span><${Search} label="IP address" placeholder="203.0.113.7" value=${query.get("address") ?? ""} onSearch=${(address) => setSearch({ address })} /></div>
      <div class="filter-range"><${When} label="From" name="from" /><${When} label="To" name="to" /></div>
      ${isFiltered &&
      html`<div class="filters-set">
        ${actor && html`<${Only} name="actor" label="by ${entries?.[0]?.actor ?? "this member or token"}" />`}
        ${subject && html`<${Only} name="subject" label="about ${entries?.[0]?.subjectName ?? "this"}" />`}
        <${Button} look="quiet small" onClick=${(event) => drop(event, Object.fromEntries(AUDIT_FILTERS.map((name) => [name, null])))}>Clear the filters</${Button}>
      </div>`}
    </div>
  `;
}

/** What an entry is about: a link to the instance, or to the entries about the same thing. */
function Subject({ entry }) {
  const { instance, subjectName, subjectId } = entry;
  if (instance) return html`<${Link} to=${instanceLink(instance.id)}>${subjectName ?? instance.name}</${Link}>`;
  if (!subjectName) return null;
  if (!subjectId) return subjectName;
  return html`<${Link} to="settings/audit?subject=${encodeURIComponent(subjectId)}" title="Show what was done to it">${subjectName}</${Link}>`;
}

function Actor({ entry }) {
  const { actor, actorId, actorKind } = entry;
  const name = actorId
    ? html`<${Link} to="settings/audit?actor=${encodeURIComponent(actorId)}" title="Show what it did">${actor}</${Link}>`
    : actor;
  return html`${name}${actorKind && ACTOR_KINDS[actorKind] !== actor && html`<span class="second">${ACTOR_KINDS[actorKind]}</span>`}`;
}

function AuditRow({ entry }) {
  const { action, at, address, code, detail, outcome, requestId, times, isChained } = entry;
  const [label, tone] = AUDIT_OUTCOMES[outcome];
  const origin = [address && `from ${address}`, requestId && `request ${requestId}`, !isChained && "from an earlier version, not in the chain"];
  return html`
    <tr>
      <td class="whole" data-label="When"><${FullMoment} at=${at} /></td>
      <td data-label="Who"><${Actor} entry=${entry} /></td>
      <td data-label="What">
        <strong>${(outcome !== "OK" && WANTED[action]) || words(action)}</strong> <${Subject} entry=${entry} /> ${times > 1 && html`<${Badge}>${count(times, "time")}</${Badge}>`}
        <span class="second">${detail}</span>
        <span class="second">${origin.filter(Boolean).join(" · ")}</span>
      </td>
      <td class="whole" data-label="Outcome"><${Badge} tone=${tone}>${label}</${Badge}>${code && html`<span class="second">${words(code)}</span>`}</td>
    </tr>
  `;
}

export function AuditSettings() {
  const list = useList(AUDIT, { filter: auditFilter(search.value) }, (data) => data.auditLog, ({ actor }) => actor !== null);
  return html`
    <p class="second lead">To keep it elsewhere, run <code>muster audit export</code> on the server: it prints JSON Lines in the shape of OCSF.</p>
    <${Filters} entries=${list.nodes} />
    <${Pending} list=${list} lines=${6} />
    ${list.nodes?.length === 0 &&
    (AUDIT_FILTERS.some((name) => search.value.has(name))
      ? html`<${Empty} title="Nothing matches the filters"><p>Change or clear them above.</p></${Empty}>`
      : html`<${Empty} title="No entries yet"><p>What people and tokens change is recorded here.</p></${Empty}>`)}
    ${list.nodes?.length > 0 &&
    html`
      <table class="cards audit">
        <caption class="unseen">Entries of the audit log, the newest first</caption>
        <thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">Outcome</th></tr></thead>
        <tbody>${list.nodes.map((entry, index) => html`<${AuditRow} key=${index} entry=${entry} />`)}</tbody>
      </table>
      <${More} list=${list} />
    `}
  `;
}
