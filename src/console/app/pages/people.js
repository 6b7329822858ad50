// The people whose accounts are known: search, states, and pages.

import { useRef } from "../../vendor/hooks.js";
import { useChanged, useList, useQuery, useWatch } from "../data.js";
import { nameOf, number } from "../format.js";
import { html } from "../lib.js";
import { search, setSearch } from "../router.js";
import { mayManage, maySeePeople } from "../session.js";
import { GrowingBody, HowMany } from "../ui/long-body.js";
import { Button, Download, Empty, Heading, Link, Pending, personLink, Search } from "../ui/parts.js";
import { changesPeople, PersonState } from "../ui/person.js";

const PEOPLE = `query People($after: String, $filter: PersonFilter) {
  persons(first: 50, after: $after, filter: $filter) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
    nodes { id displayName email department state stateSince isExternal accounts(first: 1) { totalCount } }
  }
}`;
const SOURCES = "query Sources { peopleSettings { pendingTasks sources { rank instance { id name } } } }";
/** What people are filtered by: the name in the address, the label, and the filter of the API. */
const FILTERS = {
  current: ["Current", { states: ["CURRENT"] }],
  left: ["Left", { states: ["LEFT"] }],
  unknown: ["Unknown", { states: ["UNKNOWN"] }],
  external: ["External", { isExternal: true }],
};
/** The height of a row before it is drawn, in pixels: in a table, and as a card. */
const HEIGHTS = [41, 96];
const COLUMNS = ["Name", "E-mail", "State", "Department", "Accounts"];

const faint = (text) => html`<span class="unknown">${text}</span>`;

const PersonRow = ({ person, measure, ...attributes }) => html`
  <tr ref=${measure} ...${attributes}>
    <th scope="row"><${Link} to=${personLink(person.id)}>${nameOf(person)}</${Link}></th>
    <td data-label="E-mail">${person.email ?? faint("none known")}</td>
    <td data-label="State"><${PersonState} person=${person} /></td>
    <td data-label="Department">${person.department ?? faint("not known")}</td>
    <td class="number" data-label="Accounts">${number(person.accounts.totalCount)}</td>
  </tr>
`;

/** Where people sources are marked. */
const Mark = ({ children }) =>
  mayManage.value
    ? html`<${Link} to="settings/people">${children}</${Link}>`
    : html`An administrator does that in Settings, People.`;

/** What is said where nobody is known yet. */
function NoPeople({ settings }) {
  if (settings.pendingTasks > 0) return html`<${Empty} title="Nobody is known yet."><p>Muster is finding out whose the accounts are. It takes a moment.</p></${Empty}>`;
  if (settings.sources.length) {
    const names = settings.sources.map(({ instance }) => `“${instance.name}”`).join(", ");
    return html`<${Empty} title="Nobody is known yet."><p>People are here after the next sync of ${names}.</p></${Empty}>`;
  }
  return html`
    <${Empty} title="Nobody is known yet.">
      <p class="measure">Connect what knows the people of your company: personnel records, a directory or an identity provider. Then mark it as a people source. <${Mark}>Mark a people source</${Mark}></p>
    </${Empty}>
  `;
}

/** That nobody's state can be known, although people are. */
const NoSource = () => html`
  <div class="notice plain"><p>No instance is a people source, so it is not known who belongs to the company and who has left. <${Mark}>Mark a people source</${Mark}></p></div>
`;

const Nobody = ({ isFiltered, settings }) =>
  isFiltered
    ? html`<${Empty} title="Nobody is found by that."><${Button} onClick=${() => setSearch({ q: null, state: null })}>Show all people</${Button}></${Empty}>`
    : settings && html`<${NoPeople} settings=${settings} />`;

const Table = ({ list }) => html`
  <${HowMany} list=${list} one="person" many="people" />
  <table class="cards flow people" aria-rowcount=${list.exact ? list.total + 1 : -1}>
    <caption class="unseen">People</caption>
    <thead><tr>${COLUMNS.map((label) => html`<th key=${label} scope="col" class=${label === "Accounts" ? "number" : ""}>${label}</th>`)}</tr></thead>
    <${GrowingBody} list=${list} columns=${COLUMNS.length} heights=${HEIGHTS} row=${(person, attributes) => html`<${PersonRow} person=${person} ...${attributes} />`} />
  </table>
  ${list.hasMore && html`<p class="more"><${Button} onClick=${list.more} busy=${list.busy}>Show more</${Button}></p>`}
`;

function People() {
  const [text, state] = [search.value.get("q") ?? "", search.value.get("state") ?? ""];
  const [, filter] = Object.hasOwn(FILTERS, state) ? FILTERS[state] : ["", {}];
  const variables = { filter: { ...filter, search: text || null } };
  const isLong = useRef(false);
  const [isChanged, setChanged, matters] = useChanged(changesPeople, isLong.current, JSON.stringify(variables));
  const list = useList(PEOPLE, variables, (data) => data.persons, matters);
  const { data, reload } = useQuery(SOURCES, {}, changesPeople);
  const settings = data?.peopleSettings;
  isLong.current = (list.nodes?.length ?? 0) > 50;
  // Whose accounts are is found out after a run, which is the last event.
  useWatch(settings?.pendingTasks > 0, () => {
    reload();
    if (!isLong.current) list.reload();
  });
  const renew = () => {
    setChanged(false);
    list.reload();
  };
  return html`
    <div class="filters">
      <${Search} label="Name or e-mail" placeholder="Name or e-mail…" value=${text} onSearch=${(q) => setSearch({ q })} />
      <label class="unseen" for="state-of-people">State</label>
      <select id="state-of-people" value=${state} onChange=${({ target }) => setSearch({ state: target.value })}>
        <option value="">Every state</option>
        ${Object.entries(FILTERS).map(([name, [label]]) => html`<option key=${name} value=${name}>${label}</option>`)}
      </select>
      <span class="filters-end"><${Download} to="export/people.csv?${new URLSearchParams({ filter: JSON.stringify(variables.filter) })}" name="people" /></span>
    </div>
    ${settings?.sources.length === 0 && list.nodes?.length > 0 && html`<${NoSource} />`}
    ${isChanged && html`<p class="notice plain remedies" role="status">The people have changed. <button type="button" class="small" onClick=${renew}>Load them again</button></p>`}
    <${Pending} list=${list} lines=${8} />
    ${list.nodes?.length === 0 && html`<${Nobody} isFiltered=${Boolean(text || state)} settings=${settings} />`}
    ${list.nodes?.length > 0 && html`<${Table} list=${list} />`}
  `;
}

export const PeoplePage = () => html`
  <${Heading} title="People" second="Who has an account, and who has left." />
  ${maySeePeople.value ? html`<${People} />` : html`<p>You do not see people, because you are limited to figures or to some instances.</p>`}
`;
