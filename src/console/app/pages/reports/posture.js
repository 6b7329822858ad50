// Posture: how accounts stand, by question. What is not known is a number of its own, and there is no score.

import { changesFigures, useQuery, useWatch } from "../../data.js";
import { count, number, plural } from "../../format.js";
import { html } from "../../lib.js";
import { maySeeReportSettings } from "../../session.js";
import { Behind, instancesOfAddress, OneInstance, QUESTIONS } from "../../ui/finding.js";
import { Moment } from "../../ui/moment.js";
import { instanceLink, Link, Pending } from "../../ui/parts.js";
import { unknown } from "../../ui/report.js";

/** For each question, the type behind it, and whether its accounts are those that answer with yes or no. */
const BEHIND = {
  mfa: ["NO_MFA", "no"],
  adminMfa: ["ADMIN_WITHOUT_MFA", "no"],
  leavers: ["LEAVER_ACTIVE", "yes"],
  unmatched: ["UNMATCHED", "yes"],
  conflicts: ["CONFLICT", "yes"],
  admins: [null, "yes"],
  externalAdmins: ["EXTERNAL_ADMIN", "yes"],
  externals: ["EXTERNAL", "yes"],
  inactive: ["INACTIVE", "yes"],
  neverActive: [null, "yes"],
  neverUsed: ["NEVER_USED", "yes"],
  duplicates: ["DUPLICATE", "yes"],
  ownedServices: ["UNOWNED_SERVICE", "no"],
};
const POSTURE = `query Posture($instanceIds: [ID!]) {
  reportSettings { disabledTypes } # settings
  posture(instanceIds: $instanceIds) {
    accounts { active service shared invited suspended unknownStatus }
    mfa { ...Answers } adminMfa { ...Answers } leavers { ...Answers } unmatched { ...Answers }
    conflicts { ...Answers } admins { ...Answers } externalAdmins { ...Answers } externals { ...Answers }
    inactive { ...Answers } neverActive { ...Answers } neverUsed { ...Answers } duplicates { ...Answers }
    ownedServices { ...Answers }
    all: mfa { basis { evaluatedAt unassessed staleSources { instance { id name } } } }
  }
}
fragment Answers on Measure { yes no unknown excepted ratio basis { asOf } }`;
/** Which types are switched off is not told to those who do not see the settings. */
const postureQuery = () => (maySeeReportSettings.value ? POSTURE : POSTURE.replace(/^.*# settings$/m, ""));
const ACCOUNTS = [
  ["active", "active accounts of people", "active account of a person"],
  ["invited", "people who were invited", "person who was invited"],
  ["suspended", "suspended accounts", "suspended account"],
  ["service", "accounts of programs", "account of a program"],
  ["shared", "shared accounts", "shared account"],
  ["unknownStatus", "accounts whose status is not known", "account whose status is not known"],
];

const percent = (ratio) => `${(100 * ratio).toLocaleString("en", { maximumFractionDigits: 1 })} %`;

function QuestionRow({ field, measure, isOff }) {
  const label = QUESTIONS[field];
  const [type, side] = BEHIND[field];
  if (isOff) return html`<tr><th scope="row">${label}</th><td class="number second" colspan="5">Switched off in <${Link} to="settings/reports">Report settings</${Link}></td></tr>`;
  const { yes, no, unknown: untold, excepted, ratio, basis } = measure;
  return html`
    <tr>
      <th scope="row">${label}${basis.asOf && html`<span class="second">as of <${Moment} at=${basis.asOf} /></span>`}</th>
      <td class="number" data-label="Yes"><${Behind} count=${yes} type=${side === "yes" ? type : null} /></td>
      <td class="number" data-label="No"><${Behind} count=${no} type=${side === "no" ? type : null} /></td>
      <td class="number" data-label="Not known">${number(untold)}</td>
      <td class="number" data-label="Accepted">${number(excepted)}</td>
      <td class="number" data-label="Yes, of those known">${ratio === null ? unknown("–") : html`<strong>${percent(ratio)}</strong>`}</td>
    </tr>
  `;
}

function Basis({ posture: { accounts, all: { basis } } }) {
  const shown = ACCOUNTS.filter(([field]) => accounts[field] > 0).map(([field, many, one]) => `${number(accounts[field])} ${plural(accounts[field], one, many)}`);
  const stale = basis.staleSources;
  return html`
    <p>${shown.length > 0 ? `${shown.join(", ")}.` : "No account is listed yet."}</p>
    <p class="second" role="status">
      ${basis.evaluatedAt ? html`Looked at <${Moment} at=${basis.evaluatedAt} />.` : "Not looked at yet."}
      ${basis.unassessed > 0 && ` ${count(basis.unassessed, "account")} ${plural(basis.unassessed, "is", "are")} still to be looked at, and not counted.`}
      ${stale.length > 0 && html` Not fresh, and counted as known last: ${stale.slice(0, 5).map(({ instance }, index) => html`${index > 0 && ", "}<${Link} key=${instance.id} to=${instanceLink(instance.id)}>${instance.name}</${Link}>`)}${stale.length > 5 && ` and ${number(stale.length - 5)} more`}.`}
    </p>
  `;
}

export function PostureReport() {
  const query = useQuery(postureQuery(), { instanceIds: instancesOfAddress() }, changesFigures);
  const posture = query.data?.posture;
  const isOff = (type) => query.data.reportSettings?.disabledTypes.includes(type);
  // Accounts are looked at after a run, which is the last event.
  useWatch(posture?.all.basis.unassessed > 0, query.reload);
  return html`
    <div class="filters bottom"><${OneInstance} /></div>
    <${Pending} list=${{ ...query, nodes: posture && [posture] }} lines=${8} />
    ${posture &&
    html`
      <${Basis} posture=${posture} />
      <table class="cards flow figures">
        <caption class="unseen">How accounts stand</caption>
        <thead>
          <tr>
            <th scope="col">Question</th>
            ${["Yes", "No", "Not known", "Accepted", "Yes, of those known"].map((label) => html`<th key=${label} scope="col" class="number">${label}</th>`)}
          </tr>
        </thead>
        <tbody>${Object.entries(BEHIND).map(([field, [type]]) => html`<${QuestionRow} key=${field} field=${field} measure=${posture[field]} isOff=${isOff(type)} />`)}</tbody>
      </table>
    `}
  `;
}
