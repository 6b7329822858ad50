// The page of a person: whether they belong to the company, and all their accounts with why each is theirs.

import { useList, useWatch } from "../data.js";
import { nameOf, words } from "../format.js";
import { html } from "../lib.js";
import { go } from "../router.js";
import { mayDecide, mayManage, maySeePeople } from "../session.js";
import { loaded, useAction } from "../ui/dialog.js";
import { Day, FullMoment, Moment } from "../ui/moment.js";
import { Button, Failure, Heading, instanceLink, Link, Loading, More, personLink } from "../ui/parts.js";
import { changesPeople, isPinned, PersonState, Why } from "../ui/person.js";
import { Badge } from "../ui/state.js";

const PERSON = `query Person($id: ID!, $after: String) {
  peopleSettings { pendingTasks sources { rank instance { id } } }
  person(id: $id) {
    id displayName email department employeeId state stateSince stateAsOf isExternal manager { id displayName email }
    accounts(first: 50, after: $after, includeRemoved: true) {
      totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
      nodes {
        id externalId displayName email status lastActiveAt neverActive removedAt
        instance { id name integration { key name } } link { state rule evidence }
      }
    }
  }
}`;
const NO_ACCOUNTS = { nodes: [], totalCount: 0, totalCountIsExact: true, pageInfo: { hasNextPage: false, endCursor: null } };
const TONES = { ACTIVE: "ok", SUSPENDED: "warning", INVITED: "plain", UNKNOWN: "plain" };

const faint = (text) => html`<span class="unknown">${text}</span>`;

/** What a source says of a person by an account. */
function saidBy({ instance, status, removedAt }) {
  if (removedAt) return html`<${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}> does not list the account any more.`;
  if (status === "SUSPENDED") return html`<${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}> has suspended the account.`;
  return html`<${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}> lists the account.`;
}

/** The accounts in the people sources that decide the state: those of the lowest rank. */
function deciding(accounts, sources) {
  const ranks = new Map(sources.map(({ rank, instance }) => [instance.id, rank]));
  const own = accounts.filter(({ link, instance }) => link?.rule === "SOURCE" && ranks.has(instance.id));
  const first = Math.min(...own.map(({ instance }) => ranks.get(instance.id)));
  return own.filter(({ instance }) => ranks.get(instance.id) === first);
}

/** Why a person is in the state that is shown. */
function WhyState({ person, accounts, sources }) {
  const { state, stateAsOf, isExternal } = person;
  const said = deciding(accounts, sources);
  const known = said.length ? said.map((account) => html`<span class="block" key=${account.id}>${saidBy(account)}</span>`) : null;
  if (state === "UNKNOWN") {
    return isExternal
      ? "The address is outside of the company's domains, and no people source has this person."
      : "No people source says whether this person belongs to the company.";
  }
  return html`
    ${known ?? (state === "LEFT" ? "The people source does not list the account any more." : "A people source lists the account.")}
    ${stateAsOf && html`<small>last read <${Moment} at=${stateAsOf} /></small>`}
  `;
}

const Fact = ({ label, children }) => html`<div><dt>${label}</dt><dd>${children}</dd></div>`;

function Facts({ person, accounts, sources }) {
  const { email, department, employeeId, manager, state, stateSince, isExternal } = person;
  return html`
    <dl class="facts">
      <${Fact} label="Why ${words(state).toLowerCase()}"><${WhyState} person=${person} accounts=${accounts} sources=${sources} /></${Fact}>
      <${Fact} label="Since"><${FullMoment} at=${stateSince} /></${Fact}>
      <${Fact} label="E-mail">${email ?? faint("None known")}${isExternal && html`<small>outside of the company's domains</small>`}</${Fact}>
      <${Fact} label="Department">${department ?? faint("Not known")}</${Fact}>
      <${Fact} label="Manager">${manager ? html`<${Link} to=${personLink(manager.id)}>${nameOf(manager)}</${Link}>` : faint("Not known")}</${Fact}>
      <${Fact} label="Employee ID">${employeeId ?? faint("Not known")}</${Fact}>
    </dl>
  `;
}

/** What a member can decide about an account of a person. */
function Decide({ account, reload }) {
  const [busy, run, failure] = useAction();
  const decide = (name) => () =>
    run(async () => {
      const windows = await loaded(import("../dialogs/whose.js"));
      if (await windows[name](account)) reload();
    });
  const label = `${nameOf(account)} in ${account.instance.name}`;
  return html`
    <span class="buttons">
      ${account.link?.state === "CONFLICT" && html`<${Button} look="small" busy=${busy} onClick=${decide("linkAccount")} aria-label="Link ${label}">Link…</${Button}>`}
      ${isPinned(account) && html`<${Button} look="small" busy=${busy} onClick=${decide("resetLink")} aria-label="Reset ${label}">Reset…</${Button}>`}
      <${Button} look="small" busy=${busy} onClick=${decide("unlinkAccount")} aria-label="Unlink ${label}">Unlink…</${Button}>
    </span>
    <span class="error" role="alert">${failure}</span>
  `;
}

function Activity({ account: { lastActiveAt, neverActive } }) {
  if (neverActive) return "Never";
  return lastActiveAt ? html`<${Moment} at=${lastActiveAt} />` : faint("unknown");
}

function AccountRow({ account, reload }) {
  const { displayName, email, externalId, instance, status, removedAt } = account;
  return html`
    <tr class=${removedAt ? "removed" : ""}>
      <th scope="row">
        <${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}>
        <span class="second">${[instance.integration.name, email ?? displayName ?? externalId].join(" · ")}</span>
      </th>
      <td data-label="Status">${removedAt ? html`<${Badge}>Removed</${Badge}> <span class="second"><${Day} at=${removedAt} /></span>` : html`<${Badge} tone=${TONES[status]}>${words(status)}</${Badge}>`}</td>
      <td data-label="Last active"><${Activity} account=${account} /></td>
      <td class="wide" data-label="Why"><${Why} link=${account.link} /></td>
      ${mayDecide.value && html`<td class="acts wide">${!removedAt && html`<${Decide} account=${account} reload=${reload} />`}</td>`}
    </tr>
  `;
}

function Accounts({ list, name }) {
  const columns = ["Account", "Status", "Last active", "Why"];
  return html`
    <section aria-labelledby="accounts">
      <h2 id="accounts">Accounts</h2>
      <table class="cards accounts">
        <caption class="unseen">Accounts of ${name}</caption>
        <thead><tr>${columns.map((label) => html`<th key=${label} scope="col">${label}</th>`)}${mayDecide.value && html`<th scope="col"><span class="unseen">Actions</span></th>`}</tr></thead>
        <tbody>${list.nodes.map((account) => html`<${AccountRow} key=${account.id} account=${account} reload=${list.reload} />`)}</tbody>
      </table>
      ${list.hasMore && html`<${More} list=${list} />`}
    </section>
  `;
}

/** The button that erases a person, for administrators. */
function Erase({ person }) {
  const [busy, run, failure] = useAction();
  const erase = () =>
    run(async () => {
      const { erasePerson } = await loaded(import("../dialogs/erase-person.js"));
      if (await erasePerson(person)) await go("people");
    });
  return html`
    <${Button} look="danger small" busy=${busy} onClick=${erase}>Erase…</${Button}>
    <span class="error" role="alert">${failure}</span>
  `;
}

const CRUMBS = html`<${Link} to="people">People</${Link}>`;

const Gone = () => html`
  <${Heading} title="Person not found" crumbs=${CRUMBS} />
  <p>There is no such person, or no longer. People whose last account is gone are not kept.</p>
  <p><${Link} to="people">Go to the people</${Link}></p>
`;

function Person({ id }) {
  const list = useList(PERSON, { id }, (data) => data.person?.accounts ?? NO_ACCOUNTS, changesPeople);
  const { person, peopleSettings } = list.data ?? {};
  useWatch(peopleSettings?.pendingTasks > 0, list.reload);
  // What is no id of a person.
  if (person === null || list.error?.code === "BAD_USER_INPUT") return html`<${Gone} />`;
  if (!person || !list.nodes) return list.error ? html`<${Heading} title="Person" crumbs=${CRUMBS} /><${Failure} error=${list.error} reload=${list.reload} />` : html`<${Loading} lines=${6} />`;
  return html`
    <${Heading} title=${nameOf(person)} crumbs=${CRUMBS} second=${html`<span class="state-line"><${PersonState} person=${person} /></span>`} actions=${mayManage.value && html`<${Erase} person=${person} />`} />
    <section class="card" aria-labelledby="about"><h2 id="about" class="unseen">About this person</h2><${Facts} person=${person} accounts=${list.nodes} sources=${peopleSettings.sources} /></section>
    <${Accounts} list=${list} name=${nameOf(person)} />
  `;
}

export const PersonPage = ({ part: id }) => (maySeePeople.value ? html`<${Person} key=${id} id=${id} />` : html`<${Gone} />`);
