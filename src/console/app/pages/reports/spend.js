// Spend: what licences cost in a year, by currency, application and licence. Currencies are never added up.

import { changesFigures, useList } from "../../data.js";
import { count, number, plural } from "../../format.js";
import { html } from "../../lib.js";
import { search } from "../../router.js";
import { mayChange } from "../../session.js";
import { Choose } from "../../ui/choose.js";
import { Moment } from "../../ui/moment.js";
import { Empty, Link, More, Pending } from "../../ui/parts.js";
import { filterOfAddress, money, Of, OneApplication, REPORTED, ReportFile, unknown } from "../../ui/report.js";
import { PriceButton } from "./licences.js";

const MONEY = "amount { amount currency } held { amount currency } freeSeats { amount currency } unknownHolders { amount currency } quantity";
const SPEND = `query Spend($by: SpendGroup!, $filter: SpendFilter, $after: String) {
  spend(groupBy: $by, filter: $filter) {
    evaluatedAt staleInstances totals { currency ${MONEY} }
    buckets(first: 50, after: $after) {
      totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
      nodes { kind integration { key name } instance { ...Reported } license department ${MONEY} }
    }
  }
} ${REPORTED}`;
const UNPRICED = `query Unpriced($filter: SpendFilter, $after: String) {
  spend(groupBy: APPLICATION, filter: $filter) {
    unpriced(first: 20, after: $after) {
      totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
      nodes { license reason quantity instance { ...Reported } }
    }
  }
} ${REPORTED}`;
const REASONS = {
  NO_PRICE: "It has no price",
  HOLDERS_UNKNOWN: "It has a price, but no contract, and it is not known who holds it",
};

/** The parts of an amount, which add up to it. */
const partsOf = ({ held, freeSeats, unknownHolders }) => [
  ["Held", held],
  ["Free seats", freeSeats],
  ["Not known whether held", unknownHolders],
];

const isZero = ({ amount }) => !/[1-9]/.test(amount);

const Total = ({ total }) => html`
  <li class="card">
    <h3 class="total">${money(total.amount)}</h3>
    <p class="second">a year, for ${count(total.quantity, "licence or seat", "licences and seats")}</p>
    <dl>${partsOf(total).filter(([label, part]) => label === "Held" || !isZero(part)).map(([label, part]) => html`<div key=${label}><dt>${label}</dt><dd>${money(part)}</dd></div>`)}</dl>
  </li>
`;

function Totals({ spend, unpriced }) {
  const { totals, staleInstances, evaluatedAt } = spend;
  return html`
    <section aria-labelledby="totals">
      <h2 id="totals" class="unseen">Totals by currency</h2>
      ${totals.length === 0 && html`<p>${unknown("Nothing has a price yet.")}</p>`}
      <ul class="totals">${totals.map((total) => html`<${Total} key=${total.currency} total=${total} />`)}</ul>
      <p class="second">
        As of <${Moment} at=${evaluatedAt} />.
        ${staleInstances > 0 && html` <${Link} to="integrations?stale=1">${count(staleInstances, "instance")} ${plural(staleInstances, "is", "are")} stale</${Link}>, and ${plural(staleInstances, "counts", "count")} as ${plural(staleInstances, "it was", "they were")} known last.`}
        ${unpriced.total > 0 && ` ${count(unpriced.total, "licence")} ${plural(unpriced.total, "is", "are")} not contained, see below.`}
      </p>
    </section>
  `;
}

/** The groups that are no department. */
const RESTS = {
  FREE_SEATS: "Free seats",
  UNKNOWN_HOLDERS: "Not known whether held",
  UNMATCHED: "Accounts without a person",
  NO_DEPARTMENT: "No department known",
  SUPPRESSED: "Departments with few people",
};

/** By what the costs can be grouped: the values in the address, and what each is called. */
const GROUPS = { licence: ["LICENSE", "licence"], department: ["DEPARTMENT", "department"] };

/** What a group is: a link to the licences behind it. */
function Group({ bucket: { kind, integration, instance, license, department } }) {
  if (!integration) return department ?? unknown(RESTS[kind]);
  if (!instance) return html`<${Link} to="reports/licences?application=${encodeURIComponent(integration.key)}">${integration.name}</${Link}>`;
  return html`<${Link} to="reports/licences?instance=${encodeURIComponent(instance.id)}">${license}</${Link}><${Of} instance=${instance} />`;
}

const keyOf = ({ kind, integration, instance, license, department, amount }) => [amount.currency, kind, integration?.key, instance?.id, license, department].join(" ");

const Buckets = ({ list, by }) => html`
  <section aria-labelledby="groups">
    <h2 id="groups">By ${by}</h2>
    <table class="cards flow figures">
      <caption class="unseen">What each ${by} costs in a year</caption>
      <thead>
        <tr>
          <th scope="col">${by[0].toUpperCase() + by.slice(1)}</th>
          ${["Licences and seats", "Held", "Free seats", "Not known whether held", "A year"].map((label) => html`<th key=${label} scope="col" class="number">${label}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${list.nodes.map(
          (bucket) => html`
            <tr key=${keyOf(bucket)}>
              <th scope="row"><${Group} bucket=${bucket} /></th>
              <td class="number" data-label="Licences and seats">${number(bucket.quantity)}</td>
              ${partsOf(bucket).map(([label, part]) => html`<td key=${label} class="number" data-label=${label}>${money(part)}</td>`)}
              <td class="number" data-label="A year"><strong>${money(bucket.amount)}</strong></td>
            </tr>
          `,
        )}
      </tbody>
    </table>
    ${list.hasMore && html`<${More} list=${list} />`}
  </section>
`;

const Unpriced = ({ list, reload }) => html`
  <section aria-labelledby="unpriced">
    <h2 id="unpriced">Not contained</h2>
    <p class="second">No total contains these, because what they cost is not known.</p>
    <table class="cards flow figures">
      <caption class="unseen">Licences that no total contains</caption>
      <thead><tr><th scope="col">Licence</th><th scope="col">Why</th><th scope="col" class="number">Licences and seats</th>${mayChange.value && html`<th scope="col"><span class="unseen">Actions</span></th>`}</tr></thead>
      <tbody>
        ${list.nodes.map(
          ({ instance, license, reason, quantity }) => html`
            <tr key=${`${instance.id} ${license}`}>
              <th scope="row">${license}<${Of} instance=${instance} /></th>
              <td data-label="Why">${REASONS[reason]}</td>
              <td class="number" data-label="Licences and seats">${quantity === null ? unknown() : number(quantity)}</td>
              ${mayChange.value && html`<td class="acts">${reason === "NO_PRICE" && html`<${PriceButton} instance=${instance} licence=${license} reload=${reload} />`}</td>`}
            </tr>
          `,
        )}
      </tbody>
    </table>
    ${list.hasMore && html`<${More} list=${list} />`}
  </section>
`;

const Nothing = () => html`
  <${Empty} title="Nothing has a price yet">
    <p class="measure">Set the prices of licences in <${Link} to="reports/licences">Licences</${Link}>, or enter contracts in <${Link} to="reports/renewals">Renewals</${Link}>.</p>
  </${Empty}>
`;

export function SpendReport() {
  const [by, name] = (Object.hasOwn(GROUPS, search.value.get("by") ?? "") && GROUPS[search.value.get("by")]) || ["APPLICATION", "application"];
  const filter = filterOfAddress();
  const list = useList(SPEND, { by, filter }, (data) => data.spend.buckets, changesFigures);
  const unpriced = useList(UNPRICED, { filter }, (data) => data.spend.unpriced, changesFigures);
  const reload = () => {
    list.reload();
    unpriced.reload();
  };
  const isEmpty = list.nodes?.length === 0 && unpriced.nodes?.length === 0;
  return html`
    <div class="filters bottom">
      <${Choose} label="Group" name="by" all="By application" options=${Object.entries(GROUPS).map(([value, [, name]]) => [value, `By ${name}`])} />
      <${OneApplication} />
      <span class="filters-end"><${ReportFile} report=${by === "DEPARTMENT" ? "spend-by-department" : "spend"} /></span>
    </div>
    <${Pending} list=${list} lines=${8} />
    ${isEmpty && html`<${Nothing} />`}
    ${list.nodes && !isEmpty && html`<${Totals} spend=${list.data.spend} unpriced=${unpriced} />`}
    ${list.nodes?.length > 0 && html`<${Buckets} list=${list} by=${name} />`}
    ${unpriced.error && html`<${Pending} list=${unpriced} />`}
    ${unpriced.nodes?.length > 0 && html`<${Unpriced} list=${unpriced} reload=${reload} />`}
  `;
}
