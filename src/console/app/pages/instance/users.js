// The users of an instance: search, filters, and pages.

import { useEffect, useRef, useState } from "../../../vendor/hooks.js";
import { askEarly, authorization, call } from "../../api.js";
import { useList } from "../../data.js";
import { USER_COLUMNS, USER_FIELD_NAMES } from "../../fields.js";
import { listed, number, plural, words } from "../../format.js";
import { html } from "../../lib.js";
import { onEvent } from "../../live.js";
import { address, search, setSearch } from "../../router.js";
import { token } from "../../token.js";
import { useAction } from "../../ui/dialog.js";
import { Icon } from "../../ui/icon.js";
import { FEW_ROWS, LongBody, useVirtualCore } from "../../ui/long-body.js";
import { Day, Moment } from "../../ui/moment.js";
import { Button, Empty, Pending, Search } from "../../ui/parts.js";
import { Badge } from "../../ui/state.js";

const USERS_OF_INSTANCE = `query UsersOfInstance($id: ID!, $after: String, $filter: UserFilter, $order: UserOrder) {
  instance(id: $id) { id users(first: 50, after: $after, filter: $filter, orderBy: $order) {
    totalCount totalCountIsExact searchAsOf pageInfo { hasNextPage endCursor }
    nodes { id externalId removedAt neverActive ${USER_FIELD_NAMES} }
  } }
}`;
/** The orders by what the address calls them. */
const ORDERS_OF_USERS = {
  name: { label: "By name", order: { field: "NAME", direction: "ASC" } },
  reverse: { label: "By name, Z to A", order: { field: "NAME", direction: "DESC" } },
};
/** The height of a row before it is drawn, in pixels: in a table, and as a card. */
const [ROW_HEIGHT, CARD_HEIGHT] = [41, 116];
const AS_CARDS = window.matchMedia("(max-width: 899px)");
const heightOfRow = () => (AS_CARDS.matches ? CARD_HEIGHT : ROW_HEIGHT);
/**
 * So many rows that are not loaded yet stand below the others. Who comes to them has them loaded. Nobody jumps into the
 * middle, as in the list of instances: the server would have to read all users before that place.
 */
const NEXT_ROWS = 20;
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

/** One row. A user of undefined is not loaded yet. */
function UserRow({ user, provided, index, measure }) {
  if (!user) return html`<tr data-index=${index} ref=${measure}><td colspan=${USER_COLUMNS.length}><span class="line"></span></td></tr>`;
  return html`
    <tr class=${user.removedAt ? "removed" : ""} data-index=${index} aria-rowindex=${index + 2} ref=${measure}>
      <th scope="row">
        ${user.displayName ?? user.email ?? user.externalId}
        ${user.removedAt && html`<span class="second">Removed <${Day} at=${user.removedAt} /></span>`}
      </th>
      ${COLUMNS_OF_USERS.map((field) => html`<${UserCell} key=${field.key} user=${user} field=${field} provided=${provided} />`)}
    </tr>
  `;
}

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

/** The users that are shown as a file. A link carries the session; a token is sent by hand. */
function Export({ instance, text, status, removed }) {
  const [busy, run, failure] = useAction();
  const query = new URLSearchParams({ instance: instance.id });
  if (text) query.set("search", text);
  if (status) query.set("status", status);
  if (removed) query.set("removed", "1");
  const to = `export/users.csv?${query}`;
  // Over plain http, the server knows by the address of this page that no other one has made the link.
  if (!token.value) return html`<a class="button" href=${address(to)} download referrerpolicy="same-origin"><${Icon} name="download" />Export CSV</a>`;
  const save = () =>
    run(async () => {
      const file = URL.createObjectURL(await (await call(to, { headers: authorization() })).blob());
      Object.assign(document.createElement("a"), { href: file, download: `${instance.name}.csv` }).click();
      URL.revokeObjectURL(file);
    });
  return html`<${Button} icon="download" busy=${busy} onClick=${save}>Export CSV</${Button}><span class="error" role="alert">${failure}</span>`;
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

/**
 * Whether the users have changed since somebody read on beyond the first page. Shorter lists load by themselves.
 * @returns {[boolean, (isChanged: boolean) => void, (event: any) => boolean]}
 */
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

/** The rows: all of a short list, of a long one those in view. */
function UserRows({ list, provided }) {
  const { nodes, hasMore, more } = list;
  const length = nodes.length + (hasMore ? NEXT_ROWS : 0);
  const isLong = length > FEW_ROWS;
  const core = useVirtualCore(isLong);
  const row = (index, measure = null) => html`<${UserRow} key=${nodes[index]?.id ?? index} user=${nodes[index]} provided=${provided} index=${index} measure=${measure} />`;
  const end = useRef(null);
  const latest = useRef(more);
  latest.current = more;
  // A short list that goes on is continued when its end comes into view.
  useEffect(() => {
    if (isLong || !hasMore || !end.current) return;
    const seen = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && latest.current());
    seen.observe(end.current);
    return () => seen.disconnect();
  }, [isLong, hasMore, nodes.length]);
  if (isLong && core) {
    const look = (_first, last) => last >= nodes.length && more();
    return html`<${LongBody} core=${core} length=${length} columns=${USER_COLUMNS.length} height=${heightOfRow} row=${row} look=${look} version=${nodes.length} />`;
  }
  return html`<tbody>${nodes.map((_, index) => row(index))}${hasMore && html`<tr ref=${end} class="space" aria-hidden="true"><td colspan=${USER_COLUMNS.length}></td></tr>`}</tbody>`;
}

/** How many there are, and how many of them are loaded. */
const HowMany = ({ list: { nodes, total, exact, hasMore } }) => html`
  <p class="second" role="status">${number(total)}${exact ? "" : "+"} ${plural(total, "user")}${hasMore ? `, the first ${number(nodes.length)} of them here; the next come as you scroll` : ""}</p>
`;

export function InstanceUsers({ instance, provided }) {
  const asked = askedFor();
  const { text, status, removed, order } = asked;
  const variables = variablesOf(instance.id, asked);
  const seen = useRef(false);
  const [isChanged, setChanged, matters] = useChanged(instance.id, seen.current, JSON.stringify(variables.filter));
  const list = useList(USERS_OF_INSTANCE, variables, (data) => data.instance.users, matters);
  seen.current = (list.nodes?.length ?? 0) > 50;
  const isFiltered = Boolean(text || status || removed);
  const asOf = list.data?.instance.users.searchAsOf;
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
      <${HowMany} list=${list} />
      <table class="cards flow users" aria-rowcount=${list.exact ? list.total + 1 : -1}>
        <caption class="unseen">Users of ${instance.name}</caption>
        <thead>
          <tr><th scope="col">Name</th>${COLUMNS_OF_USERS.map(({ key, heading }) => html`<th key=${key} scope="col">${heading}</th>`)}</tr>
        </thead>
        <${UserRows} list=${list} provided=${provided} />
      </table>
      ${list.hasMore && html`<p class="more"><${Button} onClick=${list.more} busy=${list.busy}>Show more</${Button}></p>`}
    `}
  `;
}
