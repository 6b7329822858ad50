// The users of an instance: search, filters, and pages.

import { useRef } from "../../../vendor/hooks.js";
import { askEarly } from "../../api.js";
import { useChanged, useList, useWatch } from "../../data.js";
import { USER_COLUMNS, USER_FIELD_NAMES } from "../../fields.js";
import { isErased, listed, nameOf, words } from "../../format.js";
import { html } from "../../lib.js";
import { search, setSearch } from "../../router.js";
import { mayDecide } from "../../session.js";
import { loaded, useAction } from "../../ui/dialog.js";
import { GrowingBody, HowMany } from "../../ui/long-body.js";
import { Day, Moment } from "../../ui/moment.js";
import { Button, Download, Empty, Link, Pending, personLink, Search } from "../../ui/parts.js";
import { Badge } from "../../ui/state.js";

const USERS_OF_INSTANCE = `query UsersOfInstance($id: ID!, $after: String, $filter: UserFilter, $order: UserOrder) {
  instance(id: $id) { id users(first: 50, after: $after, filter: $filter, orderBy: $order) {
    totalCount totalCountIsExact searchAsOf pageInfo { hasNextPage endCursor }
    nodes {
      id externalId removedAt neverActive ${USER_FIELD_NAMES}
      link { state } person { id displayName email } owner { id displayName email }
    }
  } }
}`;
/** The orders by what the address calls them. */
const ORDERS_OF_USERS = {
  name: { label: "By name", order: { field: "NAME", direction: "ASC" } },
  reverse: { label: "By name, Z to A", order: { field: "NAME", direction: "DESC" } },
};
/** The height of a row before it is drawn, in pixels: in a table, and as a card. */
const HEIGHTS = [41, 116];
const STATUSES = ["ACTIVE", "SUSPENDED", "INVITED", "UNKNOWN"];
const TONES_OF_STATUSES = { ACTIVE: "ok", SUSPENDED: "warning", INVITED: "plain", UNKNOWN: "plain" };
/** Events after which the list differs. */
const CHANGES_USERS = new Set(["SYNC_SUCCEEDED", "SYNC_PARTIAL", "USERS_DELETION_STARTED", "USERS_DELETED", "DELETION_STARTED"]);
/** The name heads the row. */
const COLUMNS_OF_USERS = USER_COLUMNS.filter(({ name }) => name !== "displayName");

const faint = (text) => html`<span class="unknown">${text}</span>`;
/** How a value of each kind of field is shown. */
const SHOWN_AS = {
  text: (value) => value,
  flag: (value) => (value ? "Yes" : "No"),
  texts: (value) => (value.length ? listed(value) : faint("none known")),
  time: (value) => html`<${Moment} at=${value} />`,
  word: (value) => html`<${Badge} tone=${TONES_OF_STATUSES[value]}>${words(value)}</${Badge}>`,
};

/** What an application does not provide is never shown as "no". */
function UserCell({ user, field: { key, name, kind, heading }, provided }) {
  const value = user[name];
  const without = () => (name === "lastActiveAt" && user.neverActive ? "Never" : faint("unknown"));
  const shown = !provided.includes(key) ? faint("not provided") : value === null ? without() : SHOWN_AS[kind](value);
  return html`<td data-label=${heading}>${shown}</td>`;
}

/** What can be done about an account that is nobody's. */
function Decide({ user, instance, reload }) {
  const [busy, run, failure] = useAction();
  const isPersonal = user.link.state !== "NOT_PERSONAL";
  const decide = () =>
    run(async () => {
      const windows = await loaded(import("../../dialogs/whose.js"));
      const isChanged = await (isPersonal ? windows.linkAccount : windows.setOwner)({ ...user, instance });
      if (isChanged) reload();
    });
  return html`
    <${Button} look="small" busy=${busy} onClick=${decide} aria-label="${isPersonal ? "Link" : "Owner of"} ${nameOf(user)}">${isPersonal ? "Link…" : "Owner…"}</${Button}>
    <span class="error" role="alert">${failure}</span>
  `;
}

/** Whose an account is, where that is not the name in the row: a person, an owner, or why nobody is known. */
function Whose({ user, instance, reload }) {
  const { person, link, owner, removedAt } = user;
  if (person) return html`${link.state === "CONFLICT" && html`<${Badge} tone="warning">Conflict</${Badge}> `}of <${Link} to=${personLink(person.id)}>${nameOf(person)}</${Link}>`;
  if (!link || removedAt) return null;
  if (isErased(user)) return "Its person was erased";
  return html`
    ${owner ? html`Owner <${Link} to=${personLink(owner.id)}>${nameOf(owner)}</${Link}>` : words(link.state)}
    ${mayDecide.value && html` <${Decide} user=${user} instance=${instance} reload=${reload} />`}
  `;
}

/** The name of an account, which leads to its person. */
function Name({ user, ...rest }) {
  const { person, link, removedAt } = user;
  const isSame = person && link.state !== "CONFLICT" && nameOf(person) === nameOf(user);
  return html`
    ${isSame ? html`<${Link} to=${personLink(person.id)}>${nameOf(user)}</${Link}>` : nameOf(user)}
    ${!isSame && html`<span class="second"><${Whose} user=${user} ...${rest} /></span>`}
    ${removedAt && html`<span class="second">Removed <${Day} at=${removedAt} /></span>`}
  `;
}

const UserRow = ({ user, instance, provided, reload, measure, ...attributes }) => html`
  <tr ref=${measure} class=${user.removedAt ? "removed" : ""} ...${attributes}>
    <th scope="row"><${Name} user=${user} instance=${instance} reload=${reload} /></th>
    ${COLUMNS_OF_USERS.map((field) => html`<${UserCell} key=${field.key} user=${user} field=${field} provided=${provided} />`)}
  </tr>
`;

/** What the address asks for: `{ text, status, removed, order }`. */
const askedFor = () => ({
  text: search.value.get("q") ?? "",
  status: search.value.get("status") ?? "",
  removed: search.value.has("removed"),
  order: search.value.get("order") === "reverse" ? "reverse" : "name",
});

/** The variables of the first page of what is asked for. A search has an order of its own. */
const variablesOf = (id, { text, status, removed, order }) => ({
  id,
  filter: { search: text || null, statuses: status ? [status] : null, includeRemoved: removed },
  order: text ? null : ORDERS_OF_USERS[order].order,
});

/** Asks for what the tab shows in a moment. */
export const askUsersEarly = (id) => askEarly(USERS_OF_INSTANCE, variablesOf(id, askedFor()));

/** The users that are shown, as a file. */
function Export({ instance, text, status, removed }) {
  const query = new URLSearchParams({ instance: instance.id });
  if (text) query.set("search", text);
  if (status) query.set("status", status);
  if (removed) query.set("removed", "1");
  return html`<${Download} to="export/users.csv?${query}" name=${instance.name} />`;
}

function UserFilters({ instance, text, status, removed, order }) {
  return html`
    <div class="filters">
      <${Search} label="Name or e-mail" placeholder="Name or e-mail…" value=${text} onSearch=${(q) => setSearch({ q })} />
      <label class="unseen" for="status-of-users">Status</label>
      <select id="status-of-users" value=${status} onChange=${({ target }) => setSearch({ status: target.value })}>
        <option value="">Every status</option>
        ${STATUSES.map((value) => html`<option key=${value} value=${value}>${words(value)}</option>`)}
      </select>
      ${!text &&
      html`
        <label class="unseen" for="order-of-users">Order</label>
        <select id="order-of-users" value=${order} onChange=${({ target }) => setSearch({ order: target.value === "name" ? null : target.value })}>
          ${Object.entries(ORDERS_OF_USERS).map(([value, { label }]) => html`<option key=${value} value=${value}>${label}</option>`)}
        </select>
      `}
      <p class="check">
        <input id="removed-users" type="checkbox" checked=${removed} onChange=${({ target }) => setSearch({ removed: target.checked ? "1" : null })} />
        <label for="removed-users">Removed users, too</label>
      </p>
      <span class="filters-end"><${Export} instance=${instance} text=${text} status=${status} removed=${removed} /></span>
    </div>
  `;
}

function NoUsers({ isFiltered, instance }) {
  if (isFiltered)
    return html`
      <${Empty} title="Nobody is found by that.">
        <button type="button" onClick=${() => setSearch({ q: null, status: null, removed: null })}>Show all users</button>
      </${Empty}>
    `;
  return html`
    <${Empty} title="No users yet.">
      <p>${instance.syncState === "IDLE" ? "They are here after the next sync." : "A sync is reading them."}</p>
    </${Empty}>
  `;
}

/** Accounts that were stored a moment ago. Whose they are is found out in the background. */
const isNew = ({ link, removedAt }) => !link && !removedAt;

export function InstanceUsers({ instance, provided }) {
  const asked = askedFor();
  const { text, status, removed, order } = asked;
  const variables = variablesOf(instance.id, asked);
  const seen = useRef(false);
  const changes = ({ instance: { id }, cause }) => id === instance.id && CHANGES_USERS.has(cause);
  const [isChanged, setChanged, matters] = useChanged(changes, seen.current, JSON.stringify(variables.filter));
  const list = useList(USERS_OF_INSTANCE, variables, (data) => data.instance.users, matters);
  seen.current = (list.nodes?.length ?? 0) > 50;
  useWatch(!seen.current && (list.nodes?.some(isNew) ?? false), list.reload);
  const isFiltered = Boolean(text || status || removed);
  const asOf = list.data?.instance.users.searchAsOf;
  const row = (user, attributes) => html`<${UserRow} user=${user} instance=${instance} provided=${provided} reload=${list.reload} ...${attributes} />`;
  const renew = () => {
    setChanged(false);
    list.reload();
  };
  return html`
    <${UserFilters} instance=${instance} text=${text} status=${status} removed=${removed} order=${order} />
    ${isChanged && html`<p class="notice plain remedies" role="status">The users have changed. <button type="button" class="small" onClick=${renew}>Load them again</button></p>`}
    <${Pending} list=${list} lines=${8} />
    ${list.nodes?.length === 0 && html`<${NoUsers} isFiltered=${isFiltered} instance=${instance} />`}
    ${list.nodes?.length > 0 &&
    html`
      ${text && asOf && html`<p class="second">The search may not find users yet that were stored after <${Moment} at=${asOf} />.</p>`}
      <${HowMany} list=${list} one="user" />
      <table class="cards flow users" aria-rowcount=${list.exact ? list.total + 1 : -1}>
        <caption class="unseen">Users of ${instance.name}</caption>
        <thead>
          <tr><th scope="col">Name, person</th>${COLUMNS_OF_USERS.map(({ key, heading }) => html`<th key=${key} scope="col">${heading}</th>`)}</tr>
        </thead>
        <${GrowingBody} list=${list} columns=${USER_COLUMNS.length} heights=${HEIGHTS} row=${row} />
      </table>
      ${list.hasMore && html`<p class="more"><${Button} onClick=${list.more} busy=${list.busy}>Show more</${Button}></p>`}
    `}
  `;
}
