// The ledger of mails: what was sent to whom, and for every mail and run why it was sent or not.

import { useList, useWatch } from "../data.js";
import { count, number, words } from "../format.js";
import { html } from "../lib.js";
import { search, setSearch } from "../router.js";
import { mayManageMail } from "../session.js";
import { Choose } from "../ui/choose.js";
import { findInstances, nameOfInstance } from "../ui/find.js";
import { isWaiting, MAIL_KINDS, MAIL_STATES, whyNoMail, WhyMail } from "../ui/mail.js";
import { Moment } from "../ui/moment.js";
import { Only } from "../ui/only.js";
import { Button, Empty, Heading, instanceLink, Link, More, Pending, Tabs } from "../ui/parts.js";
import { Badge, OUTCOMES } from "../ui/state.js";

const MAILS = `query Mails($after: String, $filter: NotificationFilter) {
  notifications(first: 50, after: $after, filter: $filter) {
    totalCount totalCountIsExact pageInfo { endCursor hasNextPage }
    nodes {
      id address subject state reason attempts lastError createdAt sentAt instance { id name }
      standsFor(first: 3) { totalCount nodes { id name } }
    }
  }
}`;
const SILENT_RUNS = `query SilentRuns($after: String, $filter: SyncRunFilter) {
  syncHistory(first: 50, after: $after, filter: $filter) {
    totalCount totalCountIsExact pageInfo { endCursor hasNextPage }
    nodes { id outcome finishedAt mailDecision { kind reason } failure { class message } instance { id name } }
  }
}`;

/** Why there may be no mail. */
const SILENCES = {
  NO_CHANGE: "Same outcome as before",
  NO_RECIPIENT: "Nobody to send it to",
  CANCELLED: "Cancelled",
};

/** The instance of a mail, or those that a collected mail reports. */
function About({ mail }) {
  const { instance, standsFor } = mail;
  if (standsFor.totalCount > 1) {
    const rest = standsFor.totalCount - standsFor.nodes.length;
    return html`${count(standsFor.totalCount, "instance")}<span class="second">
      ${standsFor.nodes.map(({ id, name }, index) => html`${index > 0 && ", "}<${Link} to=${instanceLink(id)}>${name}</${Link}>`)}${rest > 0 && ` and ${number(rest)} more`}
    </span>`;
  }
  if (!instance) return html`<span class="unknown">None</span>`;
  return html`<${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}>`;
}

function LedgerRow({ mail }) {
  const [label, tone] = MAIL_STATES[mail.state];
  return html`
    <tr>
      <th scope="row">${mail.subject}</th>
      <td data-label="To" class="to">${mail.address}</td>
      <td data-label="Instance" class="about"><${About} mail=${mail} /></td>
      <td data-label="State"><${Badge} tone=${tone}>${label}</${Badge}></td>
      <td data-label="Why" class="why wide"><${WhyMail} mail=${mail} /></td>
      <td data-label="When"><${Moment} at=${mail.sentAt ?? mail.createdAt} /></td>
    </tr>
  `;
}

const OneInstance = () => html`<${Only} label="Instance" name="instance" placeholder="All instances" find=${findInstances} nameOf=${nameOfInstance} />`;

const one = (name, known) => (search.value.get(name) in known ? [search.value.get(name)] : undefined);
const isLimited = (...names) => names.some((name) => search.value.has(name));
const clearAll = () => setSearch({ state: null, kind: null, instance: null, outcome: null, reason: null });

const Nothing = ({ filtered, title, children }) =>
  filtered
    ? html`<${Empty} title="Nothing matches the filters"><p><${Button} onClick=${clearAll}>Clear the filters</${Button}></p></${Empty}>`
    : html`<${Empty} title=${title}>${children}</${Empty}>`;

/** Runs that end may cause mails. */
const mayMail = ({ cause }) => ["SYNC_SUCCEEDED", "SYNC_PARTIAL", "SYNC_FAILED", "SYNC_CANCELLED", "REVOKED"].includes(cause);

function Mails() {
  const filter = { states: one("state", MAIL_STATES), kinds: one("kind", MAIL_KINDS), instanceId: search.value.get("instance") ?? undefined };
  const list = useList(MAILS, { filter }, (data) => data.notifications, mayMail);
  useWatch(list.nodes?.some(isWaiting) ?? false, list.reload);
  return html`
    <div class="filters bottom">
      <${Choose} label="State" name="state" all="All states" options=${Object.entries(MAIL_STATES).map(([key, [label]]) => [key, label])} />
      <${Choose} label="Kind" name="kind" all="All kinds" options=${Object.entries(MAIL_KINDS)} />
      <${OneInstance} />
    </div>
    <${Pending} list=${list} lines=${6} />
    ${list.nodes?.length === 0 &&
    html`<${Nothing} filtered=${isLimited("state", "kind", "instance")} title="No mails yet">
      <p class="measure">Creators of instances and the recipients get a mail when a sync fails, when it works again, and when an instance is set inactive.${mayManageMail.value && html` <${Link} to="integrations">Manage Recipients</${Link}> is at the top of Integrations.`}</p>
    </${Nothing}>`}
    ${list.nodes?.length > 0 &&
    html`
      <table class="cards mails flow">
        <caption class="unseen">Mails, the newest first</caption>
        <thead><tr>${["Subject", "To", "Instance", "State", "Why", "When"].map((label) => html`<th scope="col">${label}</th>`)}</tr></thead>
        <tbody>${list.nodes.map((mail) => html`<${LedgerRow} key=${mail.id} mail=${mail} />`)}</tbody>
      </table>
      <${More} list=${list} />
    `}
  `;
}

function SilentRun({ run }) {
  return html`
    <tr>
      <th scope="row"><${Link} to=${instanceLink(run.instance.id)}>${run.instance.name}</${Link}></th>
      <td data-label="Outcome" class="wide"><${Badge} tone=${OUTCOMES[run.outcome] ?? "plain"}>${words(run.outcome)}</${Badge}>${run.failure && html`<span class="second">${run.failure.message}</span>`}</td>
      <td data-label="Why no mail" class="wide">${whyNoMail(run)}</td>
      <td data-label="When"><${Moment} at=${run.finishedAt} /></td>
    </tr>
  `;
}

function Silent() {
  const filter = {
    outcomes: one("outcome", OUTCOMES),
    mailDecisions: one("reason", SILENCES) ?? Object.keys(SILENCES),
    instanceId: search.value.get("instance") ?? undefined,
  };
  const list = useList(SILENT_RUNS, { filter }, (data) => data.syncHistory, mayMail);
  const runs = list.nodes;
  return html`
    <div class="filters bottom">
      <${Choose} label="Outcome" name="outcome" all="All outcomes" options=${Object.keys(OUTCOMES).map((outcome) => [outcome, words(outcome)])} />
      <${Choose} label="Reason" name="reason" all="All reasons" options=${Object.entries(SILENCES)} />
      <${OneInstance} />
    </div>
    <${Pending} list=${list} lines=${6} />
    ${runs?.length === 0 &&
    html`<${Nothing} filtered=${isLimited("outcome", "reason", "instance")} title="No runs without a mail"><p>When a run ends and nobody gets a mail about it, the reason stands here.</p></${Nothing}>`}
    ${runs?.length > 0 &&
    html`
      <table class="cards mails flow">
        <caption class="unseen">Runs that caused no mail, the newest first</caption>
        <thead><tr>${["Instance", "Outcome", "Why no mail", "When"].map((label) => html`<th scope="col">${label}</th>`)}</tr></thead>
        <tbody>${runs.map((run) => html`<${SilentRun} key=${run.id} run=${run} />`)}</tbody>
      </table>
      <${More} list=${list} />
    `}
  `;
}

export function NotificationsPage() {
  const tab = search.value.get("tab") === "silent" ? "silent" : "mails";
  const instance = search.value.get("instance");
  const kept = instance ? `instance=${encodeURIComponent(instance)}` : "";
  return html`
    <${Heading} title="Notifications" second="Every mail, and why it was sent or not." />
    <${Tabs} label="Notifications" current=${tab} items=${[
      ["mails", "Mails", `notifications${kept && `?${kept}`}`],
      ["silent", "No mail sent", `notifications?tab=silent${kept && `&${kept}`}`],
    ]} />
    ${tab === "mails" ? html`<${Mails} />` : html`<${Silent} />`}
  `;
}
