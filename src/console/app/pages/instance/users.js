// The users of an instance: search, filters, and pages.

import { useEffect, useRef, useState } from "../../../vendor/hooks.js";
import { authorization, call } from "../../api.js";
import { useList } from "../../data.js";
import { USER_FIELD_NAMES, USER_FIELDS } from "../../fields.js";
import { listed, words } from "../../format.js";
import { html } from "../../lib.js";
import { onEvent } from "../../live.js";
import { address, search, setSearch } from "../../router.js";
import { token } from "../../token.js";
import { useAction } from "../../ui/dialog.js";
import { Icon } from "../../ui/icon.js";
import { Day, Moment } from "../../ui/moment.js";
import { Button, Empty, Failure, Loading, More, Search } from "../../ui/parts.js";
import { Badge } from "../../ui/state.js";

const USERS_OF_INSTANCE = `query UsersOfInstance($id: ID!, $after: String, $filter: UserFilter, $order: UserOrder) {
  instance(id: $id) { id users(first: 50, after: $after, filter: $filter, orderBy: $order) {
    totalCount totalCountIsExact searchAsOf pageInfo { hasNextPage endCursor }
    nodes { id externalId removedAt ${USER_FIELD_NAMES} }
  } }
}`;
/** A search has an order of its own. */
const BY_NAME = { field: "NAME", direction: "ASC" };
const STATUSES = ["ACTIVE", "SUSPENDED", "INVITED", "UNKNOWN"];
const TONES_OF_STATUSES = { ACTIVE: "ok", SUSPENDED: "warning", INVITED: "plain", UNKNOWN: "plain" };
/** Events after which the list differs. */
const CHANGES_USERS = new Set(["SYNC_SUCCEEDED", "SYNC_PARTIAL", "USERS_DELETION_STARTED", "USERS_DELETED", "DELETION_STARTED"]);
/** The name heads the row. */
const COLUMNS_OF_USERS = USER_FIELDS.filter(({ name }) => name !== "displayName");

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
  const shown = !provided.includes(key) ? faint("not provided") : value === null ? faint("unknown") : SHOWN_AS[kind](value);
  return html`<td data-label=${heading}>${shown}</td>`;
}

function UserRow({ user, provided }) {
  return html`
    <tr class=${user.removedAt ? "removed" : ""}>
      <th scope="row">
        ${user.displayName ?? user.email ?? user.externalId}
        ${user.removedAt && html`<span class="second">Removed <${Day} at=${user.removedAt} /></span>`}
      </th>
      ${COLUMNS_OF_USERS.map((field) => html`<${UserCell} key=${field.key} user=${user} field=${field} provided=${provided} />`)}
    </tr>
  `;
}

/** The filter of the address: `{ text, status, removed }`. */
const askedFor = () => ({
  text: search.value.get("q") ?? "",
  status: search.value.get("status") ?? "",
  removed: search.value.has("removed"),
});

/** The users that are shown as a file. A link carries the session; a token is sent by hand. */
function Export({ instance, text, status }) {
  const [busy, run, failure] = useAction();
  const query = new URLSearchParams({ instance: instance.id });
  if (text) query.set("search", text);
  if (status) query.set("status", status);
  const to = `export/users.csv?${query}`;
  if (!token.value) return html`<a class="button" href=${address(to)} download><${Icon} name="download" />Export CSV</a>`;
  const save = () =>
    run(async () => {
      const file = URL.createObjectURL(await (await call(to, { headers: authorization() })).blob());
      Object.assign(document.createElement("a"), { href: file, download: `${instance.name}.csv` }).click();
      URL.revokeObjectURL(file);
    });
  return html`<${Button} icon="download" busy=${busy} onClick=${save}>Export CSV</${Button}><span class="error" role="alert">${failure}</span>`;
}

function UserFilters({ instance, text, status, removed }) {
  return html`
    <div class="filters">
      <${Search} label="Name or e-mail" placeholder="Name or e-mail…" value=${text} onSearch=${(q) => setSearch({ q })} />
      <label class="unseen" for="status-of-users">Status</label>
      <select id="status-of-users" value=${status} onChange=${({ target }) => setSearch({ status: target.value })}>
        <option value="">Every status</option>
        ${STATUSES.map((value) => html`<option key=${value} value=${value}>${words(value)}</option>`)}
      </select>
      <p class="check">
        <input id="removed-users" type="checkbox" checked=${removed} onChange=${({ target }) => setSearch({ removed: target.checked ? "1" : null })} />
        <label for="removed-users">Removed users, too</label>
      </p>
      <span class="filters-end"><${Export} instance=${instance} text=${text} status=${status} /></span>
    </div>
  `;
}

/** Whether the users have changed since somebody read on beyond the first page. Shorter lists load by themselves. */
function useChanged(id, isLong, key) {
  const [isChanged, setChanged] = useState(false);
  const long = useRef(isLong);
  long.current = isLong;
  useEffect(() => setChanged(false), [key]);
  useEffect(
    () =>
      onEvent(({ instance, cause }) => {
        if (instance.id === id && CHANGES_USERS.has(cause) && long.current) setChanged(true);
      }),
    [id],
  );
  const matters = ({ instance, cause }) => instance.id === id && CHANGES_USERS.has(cause) && !long.current;
  return [isChanged, setChanged, matters];
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

export function InstanceUsers({ instance, provided }) {
  const { text, status, removed } = askedFor();
  const filter = { search: text || null, statuses: status ? [status] : null, includeRemoved: removed };
  const seen = useRef(false);
  const [isChanged, setChanged, matters] = useChanged(instance.id, seen.current, JSON.stringify(filter));
  const list = useList(USERS_OF_INSTANCE, { id: instance.id, filter, order: text ? null : BY_NAME }, (data) => data.instance.users, matters);
  seen.current = (list.nodes?.length ?? 0) > 50;
  const isFiltered = Boolean(text || status || removed);
  const asOf = list.data?.instance.users.searchAsOf;
  const renew = () => {
    setChanged(false);
    list.reload();
  };
  return html`
    <${UserFilters} instance=${instance} text=${text} status=${status} removed=${removed} />
    ${isChanged && html`<p class="notice plain remedies" role="status">The users have changed. <button type="button" class="small" onClick=${renew}>Load them again</button></p>`}
    ${list.error && html`<${Failure} error=${list.error} reload=${list.reload} />`}
    ${!list.nodes && !list.error && html`<${Loading} lines=${8} />`}
    ${list.nodes?.length === 0 && html`<${NoUsers} isFiltered=${isFiltered} instance=${instance} />`}
    ${list.nodes?.length > 0 &&
    html`
      ${text && asOf && html`<p class="second">The search may not find users yet that were stored after <${Moment} at=${asOf} />.</p>`}
      <table class="cards flow users">
        <caption class="unseen">Users of ${instance.name}</caption>
        <thead>
          <tr><th scope="col">Name</th>${COLUMNS_OF_USERS.map(({ key, heading }) => html`<th key=${key} scope="col">${heading}</th>`)}</tr>
        </thead>
        <tbody>${list.nodes.map((user) => html`<${UserRow} key=${user.id} user=${user} provided=${provided} />`)}</tbody>
      </table>
      <${More} list=${list} />
    `}
  `;
}
