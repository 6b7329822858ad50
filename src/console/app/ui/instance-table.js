// Tables of instances. Of a long one, only the rows in view are drawn.

import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "../../vendor/hooks.js";
import { count, number } from "../format.js";
import { html } from "../lib.js";
import { mayChange } from "../session.js";
import { instance } from "../store.js";
import { useInstanceList } from "./instance-list.js";
import { Moment } from "./moment.js";
import { Button, Failure, instanceLink, integrationLink, Link, Loading, say } from "./parts.js";
import { Freshness, State } from "./state.js";

/** Up to this many rows, all are drawn. */
const FEW_ROWS = 100;
/** The height of a row before it is drawn, in pixels: in a table, and as a card. */
const [ROW_HEIGHT, CARD_HEIGHT] = [51, 110];
const AS_CARDS = window.matchMedia("(max-width: 899px)");
const ORDERS = {
  name: { label: "By name", orderBy: { field: "NAME", direction: "ASC" } },
  synced: { label: "Latest sync first", orderBy: { field: "LAST_SYNCED_AT", direction: "DESC" } },
  unsynced: { label: "Latest sync last", orderBy: { field: "LAST_SYNCED_AT", direction: "ASC" } },
  created: { label: "Newest first", orderBy: { field: "CREATED_AT", direction: "DESC" } },
};

const openEditor = (id) =>
  import("../dialogs/edit-instance.js").then(
    ({ editInstance }) => editInstance(id),
    () => say("The window could not be loaded. Try again when the server can be reached.", "danger"),
  );

function Cells({ row, showIntegration }) {
  const { id, name, integration, userCount, lastSync, status } = row;
  return html`
    <th scope="row">
      <${Link} to=${instanceLink(id)}>${name}</${Link}>
      ${showIntegration && html`<span class="second"><${Link} class="plain" to=${integrationLink(integration.key)}>${integration.name}</${Link}></span>`}
    </th>
    <td><${State} instance=${row} /> <${Freshness} instance=${row} /></td>
    <td class="number" data-label="Users">${number(userCount)}</td>
    <td class="of-sync" data-label="Last sync">${lastSync?.finishedAt ? html`<${Moment} at=${lastSync.finishedAt} />` : html`<span class="unknown">None yet</span>`}</td>
    ${mayChange.value &&
    html`<td class="number manage">${status !== "DELETING" && html`<${Button} look="small" aria-label="Manage ${name}" onClick=${() => openEditor(id)}>Manage</${Button}>`}</td>`}
  `;
}

/** One row. An event about its instance draws only this row again. */
function InstanceRow({ id, index, columns, showIntegration, measure }) {
  const row = id === undefined ? undefined : instance(id).value;
  return html`
    <tr data-index=${index} aria-rowindex=${index + 2} ref=${measure}>
      ${row ? html`<${Cells} row=${row} showIntegration=${showIntegration} />` : html`<td colspan=${columns}><span class="line"></span></td>`}
    </tr>
  `;
}

/** An empty row in place of those that are not in view. */
const Space = ({ height, columns }) =>
  height > 0 && html`<tr class="space" aria-hidden="true"><td colspan=${columns} style=${{ height: `${height}px` }}></td></tr>`;

/** The rows in view of a table as long as the page. `core` is the module virtual-core. */
function useRowsInView(core, length, body) {
  const [, redraw] = useReducer((drawn) => drawn + 1, 0);
  const [top, setTop] = useState(0);
  const options = {
    count: length,
    overscan: 10,
    scrollMargin: top,
    getScrollElement: () => window,
    estimateSize: () => (AS_CARDS.matches ? CARD_HEIGHT : ROW_HEIGHT),
    initialOffset: () => window.scrollY,
    observeElementRect: core.observeWindowRect,
    observeElementOffset: core.observeWindowOffset,
    scrollToFn: core.windowScroll,
    onChange: () => redraw(),
  };
  const kept = useRef(null);
  kept.current ??= new core.Virtualizer(options);
  kept.current.setOptions(options);
  useLayoutEffect(() => kept.current._didMount(), []);
  useLayoutEffect(() => {
    kept.current._willUpdate();
    setTop(Math.round(body.current.getBoundingClientRect().top + window.scrollY));
  });
  return kept.current;
}

function LongBody({ core, list, length, columns, showIntegration }) {
  const body = useRef(null);
  const virtual = useRowsInView(core, length, body);
  const items = virtual.getVirtualItems();
  const last = items.at(-1);
  const margin = virtual.options.scrollMargin;
  useEffect(() => {
    if (last) list.want(last.index);
  }, [last?.index, list.rows]);
  return html`
    <tbody ref=${body}>
      <${Space} key="before" height=${(items[0]?.start ?? margin) - margin} columns=${columns} />
      ${items.map(({ index }) => {
        const id = list.rows.ids[index];
        return html`<${InstanceRow} key=${id ?? index} id=${id} index=${index} columns=${columns} showIntegration=${showIntegration} measure=${virtual.measureElement} />`;
      })}
      <${Space} key="after" height=${last ? virtual.getTotalSize() - (last.end - margin) : 0} columns=${columns} />
    </tbody>
  `;
}

const ShortBody = ({ list, ...rest }) => html`
  <tbody>
    ${list.rows.ids.slice(0, FEW_ROWS).map((id, index) => html`<${InstanceRow} key=${id} id=${id} index=${index} ...${rest} />`)}
  </tbody>
`;

/** How many rows there are, as far as that is known. */
function lengthOf({ ids, total, exact, hasMore }) {
  if (!hasMore) return ids.length;
  return exact ? Math.max(total, ids.length) : Math.max(total, ids.length + FEW_ROWS);
}

/** The module that finds the rows in view, once it is needed. */
function useVirtualCore(isNeeded) {
  const [core, setCore] = useState(null);
  useEffect(() => {
    if (isNeeded && !core) import("../../vendor/virtual-core.js").then(setCore, () => {});
  }, [isNeeded]);
  return core;
}

/**
 * The instances that match a filter. `empty` is shown if there are none. `filter` is an `InstanceFilter` of the API.
 */
export function InstanceTable({ filter, caption, empty, showIntegration = false }) {
  const [order, setOrder] = useState("name");
  const list = useInstanceList(filter, ORDERS[order].orderBy);
  const { rows, error, isOld, reload } = list;
  const length = rows ? lengthOf(rows) : 0;
  const isLong = length > FEW_ROWS;
  const core = useVirtualCore(isLong);
  useEffect(() => {
    if (rows && !isOld && !isLong) list.want(length - 1);
  }, [rows, isOld, isLong]);
  if (!rows) return error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${6} />`;
  const columns = 4 + Number(mayChange.value);
  const failure = error && html`<${Failure} error=${error} reload=${reload} />`;
  if (!rows.ids.length) return html`${failure}<div aria-busy=${isOld ? "true" : null}>${empty}</div>`;
  const bodyOf = { list, length, columns, showIntegration };
  return html`
    ${failure}
    <div class="section-row">
      <p class="second" role="status">${count(rows.total, "instance")}${rows.exact ? "" : " or more"}</p>
      <span class="filters order">
        <label class="unseen" for="instance-order">Order</label>
        <select id="instance-order" value=${order} onChange=${({ target }) => setOrder(target.value)}>
          ${Object.entries(ORDERS).map(([name, { label }]) => html`<option key=${name} value=${name}>${label}</option>`)}
        </select>
      </span>
    </div>
    <table class="cards instances" aria-rowcount=${length + 1} aria-busy=${isOld ? "true" : null}>
      <caption class="unseen">${caption}</caption>
      <thead>
        <tr>
          <th scope="col">${showIntegration ? "Name, integration" : "Name"}</th>
          <th scope="col" class="of-state">State</th>
          <th scope="col" class="of-users number">Users</th>
          <th scope="col" class="of-sync">Last sync</th>
          ${mayChange.value && html`<th scope="col" class="of-actions"><span class="unseen">Actions</span></th>`}
        </tr>
      </thead>
      ${isLong && core ? html`<${LongBody} core=${core} ...${bodyOf} />` : html`<${ShortBody} ...${bodyOf} />`}
    </table>
  `;
}
