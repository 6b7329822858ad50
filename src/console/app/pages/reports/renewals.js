// Renewals: contracts in the order of the last days for notice.

import { done } from "../../api.js";
import { changesFigures, useList } from "../../data.js";
import { count, date, number } from "../../format.js";
import { html } from "../../lib.js";
import { search, setSearch } from "../../router.js";
import { mayChange, mayRead } from "../../session.js";
import { confirm, loaded, useAction } from "../../ui/dialog.js";
import { findInstances, nameOfInstance } from "../../ui/find.js";
import { Day } from "../../ui/moment.js";
import { Only } from "../../ui/only.js";
import { Button, Empty, Link, More, Pending, say } from "../../ui/parts.js";
import { filterOfAddress, money, Of, OneApplication, REPORTED, ReportFile, unknown } from "../../ui/report.js";
import { Badge } from "../../ui/state.js";

const RENEWALS = `query Renewals($after: String, $filter: RenewalFilter) {
  renewals(first: 50, after: $after, filter: $filter) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
    nodes {
      id name state currency billingMonths startsOn endsOn noticeDays noticeBy daysToNotice revision
      annualCost { amount currency } lines { license seats unitPrice totalPrice }
      reminders { daysBefore endsOn decidedAt mails } instance { ...Reported }
    }
  }
} ${REPORTED}`;
const DELETE_CONTRACT = `mutation DeleteContract($input: DeleteContractInput!) {
  deleteContract(input: $input) { id userErrors { message } }
}`;
const STATES = { UPCOMING: ["Upcoming", "plain"], ACTIVE: ["In force", "ok"], ENDED: ["Ended", "plain"] };
/** So many days before the last day for notice, a contract is highlighted. */
const [SOON, VERY_SOON] = [30, 7];

/** "in 12 days", "12 days ago" */
function left(days) {
  if (days === 0) return "today";
  return days > 0 ? `in ${count(days, "day")}` : `${count(-days, "day")} ago`;
}

function Notice({ contract: { state, noticeBy, daysToNotice: days } }) {
  const tone = days <= VERY_SOON ? "danger" : days <= SOON ? "warning" : null;
  const isAhead = days >= 0 && state !== "ENDED";
  return html`
    <time dateTime=${noticeBy}>${date(noticeBy)}</time>
    <span class="second">${isAhead && tone ? html`<${Badge} tone=${tone}>${left(days)}</${Badge}>` : left(days)}</span>
  `;
}

/** The last reminder of the present term. */
function Reminder({ contract: { endsOn, reminders } }) {
  const last = reminders.find((reminder) => reminder.endsOn === endsOn);
  if (!last) return null;
  if (last.mails === 0) return html`<span class="second">A reminder was due, and there was no address.</span>`;
  const text = html`Reminded <${Day} at=${last.decidedAt} />`;
  return html`<span class="second">${mayRead.value ? html`<${Link} to="notifications?kind=RENEWAL_REMINDER">${text}</${Link}>` : text}</span>`;
}

/** Opens the window of a contract; of a new one without it. */
const edit = async (contract) => (await loaded(import("../../dialogs/contract.js"))).editContract(contract);

function Actions({ contract, reload }) {
  const [busy, run, failure] = useAction();
  const { id, name } = contract;
  const change = () => run(async () => (await edit(contract)) && reload());
  const remove = () =>
    run(async () => {
      const text = "Its seats and prices no longer count, and no reminder is mailed. A contract that has ended costs nothing, and can stay.";
      if (!(await confirm(`Delete “${name}”?`, text, "Delete", "danger"))) return;
      await done(DELETE_CONTRACT, { id });
      say(`“${name}” is deleted.`);
      reload();
    });
  return html`
    <span class="buttons">
      <${Button} look="small" busy=${busy} onClick=${change} aria-label="Edit ${name}">Edit…</${Button}>
      <${Button} look="small" busy=${busy} onClick=${remove} aria-label="Delete ${name}">Delete…</${Button}>
    </span>
    <span class="error" role="alert">${failure}</span>
  `;
}

function ContractRow({ contract, reload }) {
  const { name, instance, state, endsOn, noticeDays, lines, annualCost } = contract;
  const [label, tone] = STATES[state];
  return html`
    <tr class=${state === "ENDED" ? "ended" : ""}>
      <th scope="row">${name}<${Of} instance=${instance} /></th>
      <td data-label="State"><${Badge} tone=${tone}>${label}</${Badge}></td>
      <td class="wide" data-label="Notice by"><${Notice} contract=${contract} /><${Reminder} contract=${contract} /></td>
      <td data-label="Ends"><time dateTime=${endsOn}>${date(endsOn)}</time><span class="second">${noticeDays ? `${count(noticeDays, "day")} of notice` : "no notice"}</span></td>
      <td class="wide" data-label="Seats"><ul>${lines.map(({ license, seats }) => html`<li key=${license}><${Link} to="reports/licences?instance=${encodeURIComponent(instance.id)}">${license}</${Link}>:${"\u00a0"}${number(seats)}</li>`)}</ul></td>
      <td class="number" data-label="A year">${annualCost ? money(annualCost) : unknown("No price")}</td>
      ${mayChange.value && html`<td class="acts wide"><${Actions} contract=${contract} reload=${reload} /></td>`}
    </tr>
  `;
}

const FILTERS = ["application", "instance", "ended"];

function None({ onNew }) {
  if (FILTERS.some((name) => search.value.has(name)))
    return html`<${Empty} title="Nothing matches the filters"><p><${Button} onClick=${() => setSearch(Object.fromEntries(FILTERS.map((name) => [name, null])))}>Clear the filters</${Button}></p></${Empty}>`;
  return html`
    <${Empty} title="No contracts yet">
      <p class="measure">Enter what you have bought: the seats, the prices, the last day and the notice. Reminders are mailed 120, 30 and 7 days before the last day for notice.</p>
      ${onNew && html`<p><${Button} onClick=${onNew}>Enter a contract</${Button}></p>`}
    </${Empty}>
  `;
}

export function RenewalsReport() {
  const includeEnded = search.value.has("ended");
  const filter = { ...filterOfAddress(), includeEnded };
  const list = useList(RENEWALS, { filter }, (data) => data.renewals, changesFigures);
  const [busy, run, failure] = useAction();
  const enter = mayChange.value ? () => run(async () => (await edit(null)) && list.reload()) : null;
  return html`
    <div class="filters bottom">
      <${OneApplication} />
      <${Only} label="Instance" name="instance" placeholder="All instances" find=${findInstances} nameOf=${nameOfInstance} />
      <p class="check">
        <input id="ended-contracts" type="checkbox" checked=${includeEnded} onChange=${({ target }) => setSearch({ ended: target.checked ? "1" : null })} />
        <label for="ended-contracts">Ended contracts, too</label>
      </p>
      <span class="filters-end">
        <${ReportFile} report="renewals" filter=${filter} />
        ${enter && html`<${Button} look="primary" icon="plus" busy=${busy} onClick=${enter}>New contract</${Button}>`}
      </span>
    </div>
    <span class="error" role="alert">${failure}</span>
    <${Pending} list=${list} lines=${6} />
    ${list.nodes?.length === 0 && html`<${None} onNew=${enter} />`}
    ${list.nodes?.length > 0 &&
    html`
      <table class="cards flow figures">
        <caption class="unseen">Contracts, the next last day for notice first</caption>
        <thead>
          <tr>
            ${["Contract", "State", "Notice by", "Ends", "Seats"].map((label) => html`<th key=${label} scope="col">${label}</th>`)}
            <th scope="col" class="number">A year</th>
            ${mayChange.value && html`<th scope="col"><span class="unseen">Actions</span></th>`}
          </tr>
        </thead>
        <tbody>${list.nodes.map((contract) => html`<${ContractRow} key=${contract.id} contract=${contract} reload=${list.reload} />`)}</tbody>
      </table>
      ${(list.hasMore || list.total > 50) && html`<${More} list=${list} />`}
    `}
  `;
}
