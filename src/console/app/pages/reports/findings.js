// Findings: accounts that somebody should look at, and what was accepted.

import { changesFigures, useList } from "../../data.js";
import { count, listed, nameOf, words } from "../../format.js";
import { html } from "../../lib.js";
import { search, setSearch } from "../../router.js";
import { mayChange, mayRead } from "../../session.js";
import { Choose } from "../../ui/choose.js";
import { loaded, useAction } from "../../ui/dialog.js";
import { instancesOfAddress, OneInstance, Severity, SEVERITIES, STATES, TYPES } from "../../ui/finding.js";
import { Day, Moment } from "../../ui/moment.js";
import { Button, Empty, instanceLink, Link, More, Pending, personLink } from "../../ui/parts.js";
import { ReportFile } from "../../ui/report.js";
import { Badge } from "../../ui/state.js";

const FINDINGS = `query Findings($after: String, $filter: FindingFilter) {
  findings(first: 50, after: $after, filter: $filter) {
    totalCount totalCountIsExact evaluatedAt pageInfo { hasNextPage endCursor }
    nodes {
      id type severity state openedAt closedAt closeReason evidence { field value } exception { reason by until }
      instance { id name } user { id externalId displayName email person { id displayName email } }
    }
  }
}`;
const CLOSED = {
  FIXED: "it does not hold any more",
  ACCOUNT_GONE: "the account is gone",
  INSTANCE_DELETED: "the instance was deleted",
  RULE_OFF: "its type was switched off",
  REASSESSED: "it does not hold under other settings, or cannot be decided",
};

/** The fields that findings follow from, in words. */
const FACTS = {
  status: "Status",
  kind: "Kind",
  guest: "Guest",
  domain: "Domain",
  isAdmin: "Administrator",
  mfaEnabled: "Second factor",
  licenses: "Licences",
  neverActive: "Never active",
  lastActiveAt: "Last active",
  createdAt: "Created",
  firstSeenAt: "First seen",
  "person.state": "Person",
  "link.state": "Account",
  "link.rule": "Linked by",
};
const TIME = /^\d{4}-\d\d-\d\dT/;
const ANSWERS = { true: "yes", false: "no" };

const one = (name, known) => (Object.hasOwn(known, search.value.get(name) ?? "") ? [search.value.get(name)] : undefined);
const isLimited = () => ["type", "severity", "state", "instance"].some((name) => search.value.has(name));

const filterOfAddress = () => ({
  types: one("type", TYPES),
  severities: one("severity", SEVERITIES),
  states: one("state", STATES),
  instanceIds: instancesOfAddress() ?? undefined,
});

const whose = ({ user, instance }) => [user ? nameOf(user) : "an account that was deleted", instance?.name].filter(Boolean).join(", ");

/** Accepts a finding for a time, or takes that back. */
function Decide({ finding, reload }) {
  const [busy, run, failure] = useAction();
  const isAccepted = finding.state === "EXCEPTED";
  const of = `${TYPES[finding.type]}: ${whose(finding)}`;
  const decide = () =>
    run(async () => {
      const windows = await loaded(import("../../dialogs/accept-finding.js"));
      if (await (isAccepted ? windows.takeBack : windows.accept)(finding, of)) reload();
    });
  return html`
    <${Button} look="small" busy=${busy} onClick=${decide} aria-label="${isAccepted ? "Take back" : "Accept"}: ${of}">${isAccepted ? "Take back…" : "Accept…"}</${Button}>
    <span class="error" role="alert">${failure}</span>
  `;
}

function Account({ user, instance }) {
  const { person } = user ?? {};
  return html`
    ${user ? (person ? html`<${Link} to=${personLink(person.id)}>${nameOf(user)}</${Link}>` : nameOf(user)) : "An account that was deleted"}
    ${user?.email && user.displayName && html`<span class="second">${user.email}</span>`}
    ${instance && html`<span class="second"><${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}></span>`}
  `;
}

function StateOf({ finding: { state, openedAt, closedAt, closeReason, exception } }) {
  return html`
    <${Badge} tone=${state === "OPEN" ? "warning" : "plain"}>${STATES[state]}</${Badge}>
    <span class="second">since <${Day} at=${openedAt} /></span>
    ${closedAt && html`<span class="second">closed <${Day} at=${closedAt} />: ${CLOSED[closeReason]}</span>`}
    ${exception && html`<span class="second">by ${exception.by} until <${Day} at=${exception.until} />: ${exception.reason}</span>`}
  `;
}

/** The value of a fact, as it is written. */
function valueOf({ field, value }) {
  if (value === null) return field === "link.rule" ? "no rule" : "not known";
  if (TIME.test(value)) return html`<${Moment} at=${value} />`;
  if (field === "licenses") return listed(JSON.parse(value));
  return ANSWERS[value] ?? (/^[A-Z_]+$/.test(value) ? words(value).toLowerCase() : value);
}

const FindingRow = ({ finding, reload }) => html`
  <tr>
    <th scope="row"><${Account} user=${finding.user} instance=${finding.instance} /></th>
    <td class="wide" data-label="Finding">${TYPES[finding.type]} <${Severity} severity=${finding.severity} /></td>
    <td class="wide" data-label="Because">${finding.evidence.map((fact) => html`<span key=${fact.field} class="block">${FACTS[fact.field] ?? fact.field}: ${valueOf(fact)}</span>`)}</td>
    <td class="wide" data-label="State"><${StateOf} finding=${finding} /></td>
    ${mayChange.value && html`<td class="acts">${["OPEN", "EXCEPTED"].includes(finding.state) && html`<${Decide} finding=${finding} reload=${reload} />`}</td>`}
  </tr>
`;

/** When the accounts were looked at that the list is about. */
const LookedAt = ({ at }) => (at ? html`Looked at <${Moment} at=${at} />.` : "Not looked at yet.");

const None = ({ evaluatedAt }) =>
  isLimited()
    ? html`<${Empty} title="Nothing matches the filters"><p><${Button} onClick=${() => setSearch({ type: null, severity: null, state: null, instance: null })}>Clear the filters</${Button}></p></${Empty}>`
    : html`<${Empty} title="Nothing was found"><p class="measure">Accounts are looked at after each sync. <${LookedAt} at=${evaluatedAt} /> How sure that is, and what is not known, is in <${Link} to="reports/posture">Posture</${Link}>.</p></${Empty}>`;

const options = (known, text) => Object.keys(known).map((value) => [value, text(known[value])]);

function Findings() {
  const filter = filterOfAddress();
  const list = useList(FINDINGS, { filter }, (data) => data.findings, changesFigures);
  const evaluatedAt = list.data?.findings.evaluatedAt;
  return html`
    <div class="filters bottom">
      <${Choose} label="Type" name="type" all="All types" options=${options(TYPES, (text) => text)} />
      <${Choose} label="Severity" name="severity" all="All severities" options=${options(SEVERITIES, ([text]) => text)} />
      <${Choose} label="State" name="state" all="Open or accepted" options=${options(STATES, (text) => text)} />
      <${OneInstance} />
      <span class="filters-end"><${ReportFile} report="findings" filter=${filter} /></span>
    </div>
    <${Pending} list=${list} lines=${8} />
    ${list.nodes?.length === 0 && html`<${None} evaluatedAt=${evaluatedAt} />`}
    ${list.nodes?.length > 0 &&
    html`
      <p class="second" role="status">${count(list.total, "finding")}${list.exact ? "" : " or more"}, the newest first. <${LookedAt} at=${evaluatedAt} /></p>
      <table class="cards flow figures">
        <caption class="unseen">Findings</caption>
        <thead>
          <tr>
            ${["Account", "Finding", "Because", "State"].map((label) => html`<th key=${label} scope="col">${label}</th>`)}
            ${mayChange.value && html`<th scope="col"><span class="unseen">Actions</span></th>`}
          </tr>
        </thead>
        <tbody>${list.nodes.map((finding) => html`<${FindingRow} key=${finding.id} finding=${finding} reload=${list.reload} />`)}</tbody>
      </table>
      ${(list.hasMore || list.total > 50) && html`<${More} list=${list} />`}
    `}
  `;
}

export const FindingsReport = () => (mayRead.value ? html`<${Findings} />` : html`<p>Your role shows figures, and nothing about a person. The figures are in <${Link} to="reports/posture">Posture</${Link}>.</p>`);
