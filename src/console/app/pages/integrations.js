// The applications that can be connected: those in use with their health, and the whole catalog.

import { useRef } from "../../vendor/hooks.js";
import { ask } from "../api.js";
import { changesStates, useLoad } from "../data.js";
import { count, number, words } from "../format.js";
import { html } from "../lib.js";
import { search, setSearch } from "../router.js";
import { mayManageMail } from "../session.js";
import { InstanceTable } from "../ui/instance-table.js";
import { Button, Empty, Failure, Heading, integrationLink, Link, Loading, Monogram, Search, say, Tabs } from "../ui/parts.js";
import { HEADLINES } from "../ui/state.js";
import { clearState, stateOf, StateFilter } from "../ui/state-filter.js";

const CATALOG = `query Catalog($after: String) {
  integrations(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { key name alsoKnownAs category description instanceCount instanceCounts { byHeadline { headline count } } }
  }
}`;
/** Events after which the counts may differ, whatever is known of the instance. */
const COUNTED = new Set(["CREATED", "DELETED"]);
/** `human-resources` as "Human resources". */
export const categoryName = (category) => words(category.replaceAll("-", "_"));

async function loadCatalog(signal) {
  const found = [];
  let after = null;
  do {
    const { integrations } = await ask(CATALOG, { after }, signal);
    found.push(...integrations.nodes);
    after = integrations.pageInfo.hasNextPage ? integrations.pageInfo.endCursor : null;
  } while (after !== null);
  const isUsed = ({ instanceCount }) => Number(instanceCount > 0);
  return found.sort((a, b) => isUsed(b) - isUsed(a) || a.name.localeCompare(b.name));
}

/** Whether all instances of an integration are in this state, so that each of them was in it before. */
const areAll = (headline, integration) =>
  integration?.instanceCounts.byHeadline.find((entry) => entry.headline === headline)?.count === integration?.instanceCount;

/** The catalog. It is asked again when an instance changes to another state, and not for each of its syncs. */
function useCatalog() {
  const known = useRef(new Map());
  const catalog = useRef([]);
  const matters = ({ cause, instance: { id, headline, integration } }) => {
    const before = known.current.get(id);
    known.current.set(id, headline);
    if (COUNTED.has(cause)) return true;
    if (before !== undefined) return before !== headline;
    return changesStates({ cause }) && !areAll(headline, catalog.current.find(({ key }) => key === integration.key));
  };
  const loaded = useLoad(loadCatalog, "catalog", matters);
  catalog.current = loaded.data ?? [];
  return loaded;
}

/** How many instances are in each state, the worst first. */
function Health({ counts }) {
  return html`
    <p class="tile-health second">
      ${counts.filter((entry) => entry.count > 0).map(({ headline, count: instances }) => {
        const { label, tone } = HEADLINES[headline];
        return html`<span key=${headline}><span class="dot ${tone}"></span>${number(instances)} ${label.toLowerCase()}</span>`;
      })}
    </p>
  `;
}

function Tile({ integration }) {
  const { key, name, category, description, instanceCount, instanceCounts } = integration;
  return html`
    <li class="tile ${instanceCount > 0 ? "" : "unused"}">
      <div class="tile-top">
        <${Monogram} name=${name} />
        <div class="grow">
          <h2 class="tile-name"><${Link} to=${integrationLink(key)}>${name}</${Link}></h2>
          <p class="second">${categoryName(category)}</p>
        </div>
      </div>
      <p class="tile-text">${description}</p>
      ${instanceCount > 0 && html`<${Health} counts=${instanceCounts.byHeadline} />`}
    </li>
  `;
}

/** In lower case and without accents. */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Whether every word of the text is in a name, the category, the key or the description. */
function fitsText({ key, name, alsoKnownAs, category, description }, text) {
  const all = plain([name, ...alsoKnownAs, categoryName(category), key, description].join(" "));
  return plain(text).split(/\s+/).every((word) => all.includes(word));
}

function CategoryFilter({ catalog, category }) {
  const names = [...new Set(catalog.map((integration) => integration.category))].sort();
  return html`
    <label class="unseen" for="category-filter">Category</label>
    <select id="category-filter" value=${names.includes(category) ? category : ""} onChange=${({ target }) => setSearch({ category: target.value })}>
      <option value="">All categories</option>
      ${names.map((name) => html`<option key=${name} value=${name}>${categoryName(name)}</option>`)}
    </select>
  `;
}

/** What is said when no tile is left. `text` is what is searched for, also among the instances. */
function NoTiles({ catalog, matching, showsAll, text }) {
  if (!catalog.length) {
    return html`<${Empty} title="The catalog is empty"><p>This server was started without any integration.</p></${Empty}>`;
  }
  if (!showsAll && !catalog.some(({ instanceCount }) => instanceCount > 0)) {
    return html`
      <${Empty} title="No application is connected yet">
        <p>Choose one from the catalog, and Muster keeps a register of its users.</p>
        <p><${Link} class="button primary" to="integrations?show=all">Choose an application</${Link}></p>
      </${Empty}>
    `;
  }
  const title = showsAll ? "No application matches" : "No application in use matches";
  const elsewhere = matching > 0 && html`<${Button} look=${text ? "small" : ""} onClick=${() => setSearch({ show: "all" })}>Show ${count(matching, "match", "matches")} in All</${Button}>`;
  if (text) return html`<p class="remedies"><span>${title}.</span> ${elsewhere}</p>`;
  return html`
    <${Empty} title=${title}>
      <p class="buttons">${elsewhere} <${Button} onClick=${() => setSearch({ category: null })}>Show all categories</${Button}></p>
    </${Empty}>
  `;
}

/** What to do about an application that the catalog lacks. */
const Missing = () => html`
  <section class="card">
    <h2>Is your application not here?</h2>
    <ul>
      <li>If it speaks SCIM, connect it as <${Link} to=${integrationLink("scim")}>SCIM 2.0</${Link}>.</li>
      <li>If it has another API, describe it in a file: <code>muster connectors new</code> asks a few questions and writes it.</li>
      <li>If it has none, deliver its users as a <${Link} to=${integrationLink("list")}>List</${Link}>: a CSV file is enough.</li>
    </ul>
  </section>
`;

function Tiles({ catalog, text, category, showsAll }) {
  const matching = catalog.filter((integration) => (!category || integration.category === category) && (!text || fitsText(integration, text)));
  const shown = showsAll ? matching : matching.filter(({ instanceCount }) => instanceCount > 0);
  return html`
    <p class="unseen" role="status">${count(shown.length, "application")} shown</p>
    ${shown.length
      ? html`<ul class="tiles">${shown.map((integration) => html`<${Tile} key=${integration.key} integration=${integration} />`)}</ul>`
      : html`<${NoTiles} catalog=${catalog} matching=${matching.length} showsAll=${showsAll} text=${text} />`}
    ${showsAll && html`<${Missing} />`}
  `;
}

/** Instances of all integrations, with those of a category only if one is chosen. */
function Instances({ catalog, state, text, category }) {
  const keys = category ? catalog.filter((integration) => integration.category === category).map(({ key }) => key) : null;
  const filter = { ...state?.filter, ...(text && { search: text }), ...(keys && { integrationKeys: keys }) };
  return html`
    <section>
      <h2>${state ? `Instances: ${state.label}` : "Instances"}</h2>
      <${InstanceTable}
        filter=${filter}
        caption=${state ? `Instances: ${state.label}` : "Instances that match"}
        showIntegration
        empty=${state
          ? html`<${Empty} title=${text || category ? "No instance matches" : "No instance is in this state"}><p><${Button} onClick=${clearState}>Show all integrations</${Button}></p></${Empty}>`
          : html`<p>No instance has “${text}” in its name.</p>`}
      />
    </section>
  `;
}

const openRecipients = () =>
  import("../dialogs/recipients.js").then(
    ({ manageRecipients }) => manageRecipients(),
    () => say("The window could not be loaded. Try again when the server can be reached.", "danger"),
  );

export function IntegrationsPage() {
  const { data: catalog, error, reload } = useCatalog();
  const query = search.value;
  const state = stateOf(query);
  const text = query.get("search") ?? "";
  const category = query.get("category") ?? "";
  const showsAll = query.get("show") === "all";
  const actions = mayManageMail.value && html`<${Button} icon="mail" onClick=${openRecipients}>Manage Recipients</${Button}>`;
  const kept = new URLSearchParams({ ...(text && { search: text }), ...(category && { category }) }).toString();
  return html`
    <${Heading} title="Integrations" actions=${actions} />
    <${Tabs}
      label="Which integrations"
      current=${state ? null : showsAll ? "all" : "used"}
      items=${[
        ["used", "In use", `integrations${kept && `?${kept}`}`],
        ["all", "All", `integrations?show=all${kept && `&${kept}`}`],
      ]}
    />
    <div class="filters">
      <${Search} label="Search integrations and instances" value=${text} onSearch=${(typed) => setSearch({ search: typed })} />
      ${catalog && html`<${CategoryFilter} catalog=${catalog} category=${category} />`}
      <${StateFilter} state=${state} />
    </div>
    ${error && html`<${Failure} error=${error} reload=${reload} />`}
    ${!catalog && !error && html`<${Loading} lines=${6} />`}
    ${catalog && !state && html`<${Tiles} catalog=${catalog} text=${text} category=${category} showsAll=${showsAll} />`}
    ${catalog && (state || text) && html`<${Instances} catalog=${catalog} state=${state} text=${text} category=${category} />`}
  `;
}
