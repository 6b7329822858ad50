// Licences: how many are held, paid for and free, which can be taken back, and what they cost.

import { changesFigures, useList, useWatch } from "../../data.js";
import { count, number, words } from "../../format.js";
import { html } from "../../lib.js";
import { search, setSearch } from "../../router.js";
import { mayChange } from "../../session.js";
import { loaded, useAction } from "../../ui/dialog.js";
import { findInstances, nameOfInstance } from "../../ui/find.js";
import { Moment } from "../../ui/moment.js";
import { Only } from "../../ui/only.js";
import { Button, Empty, Link, More, Pending } from "../../ui/parts.js";
import { filterOfAddress, money, Of, OneApplication, REPORTED, ReportFile, told, unknown } from "../../ui/report.js";
import { Badge } from "../../ui/state.js";

const LICENCES = `query Licences($after: String, $filter: LicenseFilter) {
  licenses(first: 50, after: $after, filter: $filter) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
    nodes {
      name assigned unknownHolders seats free over asOf countedAt
      reclaimable { count unknown parts { reason count unknown } }
      price { unitPrice { amount currency } totalPrice { amount currency } seats billingMonths }
      annualCosts { amount currency }
      instance { ...Reported lastSync { id outcome finishedAt } }
    }
  }
} ${REPORTED}`;

/** Why a licence can be taken back. */
const REASONS = { LEFT: "left", SUSPENDED: "suspended", NEVER: "never active", INACTIVE: "inactive" };

/** "8 suspended, 3 never active": the parts add up to the whole. */
const toldParts = (parts) =>
  parts.filter((part) => part.count > 0).map((part) => `${number(part.count)} ${REASONS[part.reason] ?? words(part.reason).toLowerCase()}`).join(", ");

function Assigned({ licence: { assigned, unknownHolders } }) {
  if (assigned === null) return unknown();
  return html`${number(assigned)}${unknownHolders > 0 && html`<span class="second">${number(unknownHolders)} more may hold it</span>`}`;
}

function Seats({ licence: { seats, instance } }) {
  if (seats === null) return unknown("no contract");
  return html`<${Link} to="reports/renewals?instance=${encodeURIComponent(instance.id)}">${number(seats)}</${Link}>`;
}

function Free({ licence: { seats, free, over } }) {
  if (over > 0) return html`<${Badge} tone="danger">${number(over)} over</${Badge}>`;
  if (free !== null) return number(free);
  return seats === null ? html`<span class="unknown" title="There is no contract, which does not mean that there is no limit.">–</span>` : unknown();
}

function Reclaimable({ licence: { assigned, reclaimable } }) {
  if (assigned === null) return unknown();
  const parts = toldParts(reclaimable.parts);
  return html`
    ${number(reclaimable.count)}
    ${parts && html`<span class="second">${parts}</span>`}
    ${reclaimable.unknown > 0 && html`<span class="second">of ${number(reclaimable.unknown)} more it is not known</span>`}
  `;
}

function Price({ licence: { price, annualCosts, seats } }) {
  if (!annualCosts && !price) return unknown("No price");
  return html`
    ${annualCosts ? annualCosts.map((cost) => html`<span class="block" key=${cost.currency}>${money(cost)}</span>`) : unknown()}
    <span class="second">${price ? told(price) : "by the contract"}${price && seats !== null && "; a price in the contract counts first"}</span>
  `;
}

/** Opens the window of a price. */
export function PriceButton({ instance, licence, price = null, reload }) {
  const [busy, run, failure] = useAction();
  const edit = () =>
    run(async () => {
      const { editPrice } = await loaded(import("../../dialogs/price.js"));
      if (await editPrice({ instance, licence, price })) reload();
    });
  return html`
    <${Button} look="small" busy=${busy} onClick=${edit} aria-label="Price of ${licence} in ${instance.name}">Price…</${Button}>
    <span class="error" role="alert">${failure}</span>
  `;
}

const LicenceRow = ({ licence, reload }) => html`
  <tr>
    <th scope="row">
      ${licence.name}
      <${Of} instance=${licence.instance} />
      <span class="second">${licence.asOf ? html`as of <${Moment} at=${licence.asOf} />` : "not read yet"}</span>
    </th>
    <td class="number" data-label="Assigned"><${Assigned} licence=${licence} /></td>
    <td class="number" data-label="Seats"><${Seats} licence=${licence} /></td>
    <td class="number" data-label="Free"><${Free} licence=${licence} /></td>
    <td class="number wide" data-label="Can be taken back"><${Reclaimable} licence=${licence} /></td>
    <td class="number wide" data-label="A year"><${Price} licence=${licence} /></td>
    ${mayChange.value && html`<td class="acts wide"><${PriceButton} instance=${licence.instance} licence=${licence.name} price=${licence.price} reload=${reload} /></td>`}
  </tr>
`;

/** Whether the licences of the last run are still to be counted. */
const isBehind = ({ countedAt, instance: { lastSync } }) =>
  lastSync?.finishedAt && lastSync.outcome !== "CANCELLED" && (countedAt === null || Date.parse(countedAt) < Date.parse(lastSync.finishedAt));

const isLimited = () => search.value.has("application") || search.value.has("instance");

const None = () =>
  isLimited()
    ? html`<${Empty} title="Nothing matches the filters"><p><${Button} onClick=${() => setSearch({ application: null, instance: null })}>Clear the filters</${Button}></p></${Empty}>`
    : html`<${Empty} title="No licences yet"><p class="measure">They are here when a sync has read the licences of an application. What each application provides is on its page in <${Link} to="integrations">Integrations</${Link}>.</p></${Empty}>`;

export function LicencesReport() {
  const list = useList(LICENCES, { filter: filterOfAddress() }, (data) => data.licenses, changesFigures);
  useWatch(list.nodes?.length <= 50 && list.nodes.some(isBehind), list.reload);
  return html`
    <div class="filters bottom">
      <${OneApplication} />
      <${Only} label="Instance" name="instance" placeholder="All instances" find=${findInstances} nameOf=${nameOfInstance} />
      <span class="filters-end"><${ReportFile} report="licenses" /></span>
    </div>
    <${Pending} list=${list} lines=${8} />
    ${list.nodes?.length === 0 && html`<${None} />`}
    ${list.nodes?.length > 0 &&
    html`
      <p class="second" role="status">${count(list.total, "licence")}${list.exact ? "" : " or more"}. Those can be taken back whose holder is suspended, was never active, or has been inactive for 90 days.</p>
      <table class="cards flow figures">
        <caption class="unseen">Licences by instance</caption>
        <thead>
          <tr>
            <th scope="col">Licence</th>
            ${["Assigned", "Seats", "Free", "Can be taken back", "A year"].map((label) => html`<th key=${label} scope="col" class="number">${label}</th>`)}
            ${mayChange.value && html`<th scope="col"><span class="unseen">Actions</span></th>`}
          </tr>
        </thead>
        <tbody>${list.nodes.map((licence) => html`<${LicenceRow} key=${`${licence.instance.id} ${licence.name}`} licence=${licence} reload=${list.reload} />`)}</tbody>
      </table>
      ${(list.hasMore || list.total > 50) && html`<${More} list=${list} />`}
    `}
  `;
}
