// Tables of instances. Of a long one, only the rows in view are drawn.

import { useEffect, useState } from "../../vendor/hooks.js";
import { manageInstance } from "../actions.js";
import { count, number } from "../format.js";
import { html } from "../lib.js";
import { mayChange } from "../session.js";
import { instance } from "../store.js";
import { askInstancesEarly, useInstanceList } from "./instance-list.js";
import { FEW_ROWS, LongBody, useVirtualCore } from "./long-body.js";
import { Moment } from "./moment.js";
import { Button, Failure, instanceLink, integrationLink, Link, Loading } from "./parts.js";
import { Freshness, State } from "./state.js";

/** The height of a row before it is drawn, in pixels: in a table, and as a card. */
const [ROW_HEIGHT, CARD_HEIGHT] = [51, 110];
const AS_CARDS = window.matchMedia("(max-width: 899px)");
const ORDERS = {
  name: { label: "By name", orderBy: { field: "NAME", direction: "ASC" } },
  reverse: { label: "By name, Z to A", orderBy: { field: "NAME", direction: "DESC" } },
  synced: { label: "Latest sync first", orderBy: { field: "LAST_SYNCED_AT", direction: "DESC" } },
  unsynced: { label: "Latest sync last", orderBy: { field: "LAST_SYNCED_AT", direction: "ASC" } },
  created: { label: "Newest first", orderBy: { field: "CREATED_AT", direction: "DESC" } },
};

/** Asks for the beginning of a table that is shown in a moment. */
export const askTableEarly = (filter) => askInstancesEarly(filter, ORDERS.name.orderBy);

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
    html`<td class="number manage">${status !== "DELETING" && html`<${Button} look="small" aria-label="Manage ${name}" onClick=${() => manageInstance(row)}>Manage</${Button}>`}</td>`}
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

/** Rows of a table that is long. Rows of the same instance, which may be moving, have different keys. */
function LongList({ core, list, length, columns, showIntegration }) {
  const shown = new Set();
  const row = (index, measure) => {
    const id = list.at(index);
    const key = id === undefined || shown.has(id) ? index : id;
    shown.add(id);
    return html`<${InstanceRow} key=${key} id=${id} index=${index} columns=${columns} showIntegration=${showIntegration} measure=${measure} />`;
  };
  const height = () => (AS_CARDS.matches ? CARD_HEIGHT : ROW_HEIGHT);
  return html`<${LongBody} core=${core} length=${length} columns=${columns} height=${height} row=${row} look=${list.want} version=${list.rows} />`;
}

const ShortBody = ({ list, length, ...rest }) => html`
  <tbody>
    ${Array.from({ length: Math.min(length, FEW_ROWS) }, (_, index) => html`<${InstanceRow} key=${list.at(index) ?? index} id=${list.at(index)} index=${index} ...${rest} />`)}
  </tbody>
`;

/**
 * The instances that match a filter. `empty` is shown if there are none. `filter` is an `InstanceFilter` of the API.
 */
export function InstanceTable({ filter, caption, empty, showIntegration = false }) {
  const [order, setOrder] = useState("name");
  const list = useInstanceList(filter, ORDERS[order].orderBy);
  const { rows, error, isOld, reload } = list;
  const length = rows?.length ?? 0;
  const isLong = length > FEW_ROWS;
  const core = useVirtualCore(isLong);
  useEffect(() => {
    if (rows && !isOld && !isLong) list.want(0, length - 1);
  }, [rows, isOld, isLong]);
  if (!rows) return error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${6} />`;
  const columns = 4 + Number(mayChange.value);
  const failure = error && html`<${Failure} error=${error} reload=${reload} />`;
  if (!length) return html`${failure}<div aria-busy=${isOld ? "true" : null}>${empty}</div>`;
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
      ${isLong && core ? html`<${LongList} core=${core} ...${bodyOf} />` : html`<${ShortBody} ...${bodyOf} />`}
    </table>
  `;
}
