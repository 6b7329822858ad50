// The sync history of an instance: its runs, and what one of them changed.

import { askEarly } from "../../api.js";
import { useList, useQuery } from "../../data.js";
import { CAPABILITIES, USER_FIELDS } from "../../fields.js";
import { count, duration, listed, nameOf, number, words } from "../../format.js";
import { html } from "../../lib.js";
import { search, setSearch } from "../../router.js";
import { mayRead } from "../../session.js";
import { FullMoment, Moment, now } from "../../ui/moment.js";
import { Empty, Failure, instanceLink, Link, Loading, More, Pending } from "../../ui/parts.js";
import { Badge, OUTCOMES } from "../../ui/state.js";

const RUN = `fragment Run on SyncRun {
  id trigger outcome queuedAt startedAt finishedAt seen added changed removed newBaseline waitingFor waitingUntil
  remark # person
  failure {
    class httpStatus missingPermissions lostCapabilities
    message # person
  }
  mailDecision { kind reason }
}`;
const RUNS_OF_INSTANCE = `query RunsOfInstance($id: ID!, $after: String, $filter: SyncRunFilter) {
  instance(id: $id) { id syncHistory(first: 25, after: $after, filter: $filter) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor } nodes { ...Run }
  } }
} ${RUN}`;
const ONE_RUN = `query OneRun($id: ID!) { syncRun(id: $id) { ...Run instance { id } } } ${RUN}`;
const CHANGES_OF_RUN = `query ChangesOfRun($id: ID!, $kind: UserChangeKind!, $after: String) {
  syncRun(id: $id) { id changes(first: 50, after: $after, kind: $kind) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
    nodes { kind fields user { id externalId displayName email } }
  } }
}`;
/** How a run changed users: the kind, its label, and the field of the run with the number. */
const KINDS_OF_CHANGE = [
  ["ADDED", "Joined", "added"],
  ["REMOVED", "Left", "removed"],
  ["CHANGED", "Changed", "changed"],
];
const TRIGGERS = { INITIAL: "First sync", MANUAL: "Requested", REACTIVATION: "Set live again", SCHEDULED: "On schedule" };
const MAILS_OF_RUN = {
  AUTO_REVOKED: "it was set inactive",
  INITIAL_SYNC_FAILED: "the first sync failed",
  INITIAL_SYNC_SUCCEEDED: "the first sync succeeded",
  SYNC_FAILED: "syncs fail",
  SYNC_RECOVERED: "syncs work again",
};
const NO_MAIL = {
  CANCELLED: "None: a cancelled run is never mailed",
  NO_CHANGE: "None: same outcome as before",
  NO_RECIPIENT: "None: nobody to send it to",
};

/** Whether a mail was sent about a run, and why. */
const mailOf = ({ mailDecision: mail }) => (!mail ? "" : mail.reason === "EDGE" ? `Mail: ${MAILS_OF_RUN[mail.kind] ?? words(mail.kind).toLowerCase()}` : (NO_MAIL[mail.reason] ?? "None"));

const runLink = (id, run) => `${instanceLink(id)}?tab=history&run=${encodeURIComponent(run)}`;

function Outcome({ run }) {
  if (run.outcome) return html`<${Badge} tone=${OUTCOMES[run.outcome]}>${words(run.outcome)}</${Badge}>`;
  return html`<span class="state"><span class="spinner"></span>${run.startedAt ? "Running" : "Queued"}</span>`;
}

/** How long a run took, or has been running. */
function tookOf({ startedAt, finishedAt }) {
  if (!startedAt) return "";
  return duration((finishedAt ? Date.parse(finishedAt) : Math.max(now.value, Date.now())) - Date.parse(startedAt));
}

/** "+ 3 − 1 ~ 2": joined, left, changed. */
function CountsOfRun({ run }) {
  const parts = [["+", run.added, "joined", "ok"], ["−", run.removed, "left", "danger"], ["~", run.changed, "changed", "plain"]];
  const shown = parts.filter(([, value]) => value > 0);
  return html`
    ${number(run.seen)}<span class="unseen"> seen</span>
    ${shown.map(([sign, value, word, tone]) => html` <span class="delta ${tone}"><span aria-hidden="true">${sign}</span>${number(value)}<span class="unseen"> ${word}</span></span>`)}
    ${run.outcome === "SUCCEEDED" && !shown.length && html` <span class="unknown">no change</span>`}
  `;
}

function Reason({ outcome, failure, remark, waitingFor, waitingUntil }) {
  // The message of a partial run names all that is missing.
  const missing = (outcome === "FAILED" && failure?.missingPermissions) || [];
  const waits = waitingUntil && Date.parse(waitingUntil) > now.value;
  return html`
    ${failure && html`<strong>${words(failure.class)}</strong>${failure.message && `: ${failure.message}`}`}
    ${missing.length > 0 && html` Missing: ${listed(missing)}.`}
    ${remark && html`<span class="second">${remark}</span>`}
    ${waits && html`<span class="second">Waits (${words(waitingFor).toLowerCase()}), goes on <${Moment} at=${waitingUntil} /></span>`}
  `;
}

const RunRow = ({ id, run }) => html`
  <tr>
    <th scope="row"><${Link} to=${runLink(id, run.id)}><${Moment} at=${run.startedAt ?? run.queuedAt} /></${Link}></th>
    <td data-label="Outcome"><${Outcome} run=${run} /></td>
    <td data-label="Trigger" class="steady">${TRIGGERS[run.trigger] ?? words(run.trigger)}</td>
    <td class="number" data-label="Duration">${tookOf(run)}</td>
    <td data-label="Users" class="steady"><${CountsOfRun} run=${run} /></td>
    <td data-label="Reason" class="wide"><${Reason} ...${run} /></td>
    <td data-label="Mail" class="mailed">${mailOf(run)}</td>
  </tr>
`;

/** The outcome that the address asks for, and the variables of the first page. */
function askedFor(id) {
  const outcome = search.value.get("outcome") ?? "";
  return { outcome, variables: { id, filter: { outcomes: outcome ? [outcome] : null } } };
}

/** Asks for what the tab shows in a moment. */
export function askHistoryEarly(id) {
  const run = search.value.get("run");
  if (run) askEarly(ONE_RUN, { id: run });
  else askEarly(RUNS_OF_INSTANCE, askedFor(id).variables);
}

function Runs({ instance }) {
  const { outcome, variables } = askedFor(instance.id);
  const matters = ({ instance: { id } }) => id === instance.id;
  const list = useList(RUNS_OF_INSTANCE, variables, (data) => data.instance.syncHistory, matters);
  return html`
    <div class="filters">
      <label class="unseen" for="outcome-of-runs">Outcome</label>
      <select id="outcome-of-runs" value=${outcome} onChange=${({ target }) => setSearch({ outcome: target.value })}>
        <option value="">Every outcome</option>
        ${Object.keys(OUTCOMES).map((value) => html`<option key=${value} value=${value}>${words(value)}</option>`)}
      </select>
    </div>
    <${Pending} list=${list} lines=${6} />
    ${list.nodes?.length === 0 &&
    html`<${Empty} title=${outcome ? "No sync ended like that." : "No sync yet."}>
      ${outcome && html`<button type="button" onClick=${() => setSearch({ outcome: null })}>Show every outcome</button>`}
    </${Empty}>`}
    ${list.nodes?.length > 0 &&
    html`
      <table class="cards flow">
        <caption class="unseen">Syncs of ${instance.name}, the newest first</caption>
        <thead>
          <tr>
            <th scope="col">When</th><th scope="col">Outcome</th><th scope="col">Trigger</th><th scope="col" class="number">Duration</th>
            <th scope="col">Users</th><th scope="col">Reason</th><th scope="col">Mail</th>
          </tr>
        </thead>
        <tbody>${list.nodes.map((run) => html`<${RunRow} key=${run.id} id=${instance.id} run=${run} />`)}</tbody>
      </table>
      <${More} list=${list} />
    `}
  `;
}

/** The fields of a user that changed, as their columns are called. */
const fieldsOf = (fields) => listed(fields.map((field) => USER_FIELDS.find(({ name }) => name === field)?.heading ?? field));

function ChangedUsers({ run, kind, total }) {
  const list = useList(CHANGES_OF_RUN, { id: run.id, kind }, (data) => data.syncRun?.changes ?? { nodes: [], totalCount: 0, pageInfo: {} });
  if (!list.nodes) return list.error ? html`<${Failure} error=${list.error} reload=${list.reload} />` : html`<${Loading} />`;
  if (!list.nodes.length)
    return html`<p class="second">${total === 0 ? "Nobody." : "Who it was is no longer kept, because the sync is too long ago. The counts stay."}</p>`;
  return html`
    <ul class="list">
      ${list.nodes.map(
        ({ user, fields }) => html`
          <li key=${user.id}>
            <span class="grow">${nameOf(user)}${user.displayName && user.email && html`<span class="second block">${user.email}</span>`}</span>
            ${fields.length > 0 && html`<span class="second">${fieldsOf(fields)}</span>`}
          </li>
        `,
      )}
    </ul>
    ${list.total > 50 && html`<${More} list=${list} />`}
  `;
}

function RunFacts({ run }) {
  const fact = (label, value) => value && html`<div><dt>${label}</dt><dd>${value}</dd></div>`;
  const lost = run.failure?.lostCapabilities ?? [];
  return html`
    <dl class="facts">
      ${fact("Outcome", html`<${Outcome} run=${run} />`)}
      ${fact("Started", html`<${FullMoment} at=${run.startedAt ?? run.queuedAt} />`)}
      ${fact("Trigger", TRIGGERS[run.trigger] ?? words(run.trigger))}
      ${fact("Duration", tookOf(run))}
      ${fact("Users listed", number(run.seen))}
      ${fact("Mail", mailOf(run))}
      ${lost.length > 0 && fact("Not read", listed(lost.map((part) => CAPABILITIES[part])))}
      ${run.failure?.httpStatus && fact("HTTP status", run.failure.httpStatus)}
    </dl>
    ${(run.failure || run.remark) && html`<p class="notice ${OUTCOMES[run.outcome] ?? "plain"}"><span><${Reason} ...${run} /></span></p>`}
    ${run.newBaseline && html`<p class="second">Muster reads this application in a new way since then, so differences were not recorded as changes.</p>`}
  `;
}

/** One run with what it changed. */
function OneRun({ instance, id }) {
  const { data, error, reload } = useQuery(ONE_RUN, { id }, (event) => event.instance.id === instance.id);
  const run = data?.syncRun;
  const back = html`<p><${Link} to=${`${instanceLink(instance.id)}?tab=history`}>All syncs</${Link}></p>`;
  const isUnknown = error?.code === "BAD_USER_INPUT";
  if (!data && !isUnknown) return html`${back}${error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${5} />`}`;
  if (isUnknown || !run || run.instance.id !== instance.id)
    return html`${back}<${Empty} title="This sync is no longer kept."><p>Old syncs are removed after a while; the last one of each instance stays.</p></${Empty}>`;
  return html`
    ${back}
    <section aria-labelledby="one-run">
      <h2 id="one-run">Sync, <${Moment} at=${run.startedAt ?? run.queuedAt} /></h2>
      <div class="part"><${RunFacts} run=${run} /></div>
    </section>
    <div class="columns runs">
      ${mayRead.value &&
      KINDS_OF_CHANGE.map(
        ([kind, label, field]) => html`
          <section key=${kind} class="card" aria-labelledby="changes-${field}">
            <h2 id="changes-${field}">${label} <span class="second">${count(run[field], "user")}</span></h2>
            <${ChangedUsers} run=${run} kind=${kind} total=${run[field]} />
          </section>
        `,
      )}
    </div>
  `;
}

export function InstanceHistory({ instance }) {
  const run = search.value.get("run");
  return run ? html`<${OneRun} key=${run} instance=${instance} id=${run} />` : html`<${Runs} instance=${instance} />`;
}
