// The overview: what needs somebody, how many instances are in which state, and what has happened.

import { useEffect, useMemo, useState } from "../../vendor/hooks.js";
import { Remedies } from "../actions.js";
import { ask, askEarly } from "../api.js";
import { changesStates, useLoad, useQuery } from "../data.js";
import { count, number, plural } from "../format.js";
import { html } from "../lib.js";
import { onEvent } from "../live.js";
import { mayConnect, mayManage } from "../session.js";
import { INSTANCE, remember } from "../store.js";
import { Told, TOLD_CAUSES, TOLD_EVENT } from "../ui/event.js";
import { Icon } from "../ui/icon.js";
import { Moment } from "../ui/moment.js";
import { Empty, Failure, Heading, instanceLink, Link, Loading, Monogram } from "../ui/parts.js";
import { Freshness, HEADLINES, State } from "../ui/state.js";

const MOST_NEEDING = 10;
const MOST_EVENTS = 20;

const OVERVIEW = `query Overview($first: Int!) {
  instanceCounts { total stale needsAttention byHeadline { headline count } }
  instances(first: $first, filter: { needsAttention: true }) { totalCount totalCountIsExact nodes { ...Row } }
} ${INSTANCE}`;
const LATEST = `query Latest($first: Int!, $causes: [InstanceEventCause!]) {
  instanceEvents(first: $first, filter: { causes: $causes }) { nodes { ${TOLD_EVENT} } }
}`;
const NEWEST = { first: MOST_EVENTS, causes: TOLD_CAUSES };
const TROUBLE = `query Trouble {
  serverStatus { databaseTrouble { kind message since } expiringTokens { id name expiresAt } }
}`;

/** Counts that are always shown, and those that are shown where there are any. */
const ALWAYS = ["HEALTHY", "FAILING", "REVOKED", "SWITCHED_OFF"];
const SOMETIMES = ["HELD", "PARTIAL", "FIRST_SYNC", "DELETING"];

const TROUBLES = { DISK_FULL: "The disk is full", DAMAGED: "The database is damaged" };

/** What an administrator must know about the server itself. */
function Trouble() {
  const { data } = useQuery(TROUBLE);
  const { databaseTrouble: trouble, expiringTokens: tokens = [] } = data?.serverStatus ?? {};
  return html`
    ${trouble &&
    html`<div class="notice danger" role="alert">
      <p><strong>${TROUBLES[trouble.kind] ?? "The database has a problem"}</strong> <span class="second">began <${Moment} at=${trouble.since} /></span></p>
      <p>${trouble.message}</p>
    </div>`}
    ${tokens.length > 0 &&
    html`<div class="notice">
      <p><strong>${plural(tokens.length, "An API token expires soon", `${count(tokens.length, "API token")} expire soon`)}</strong></p>
      <p>
        ${tokens.length === 1 ? html`“${tokens[0].name}” expires` : html`The first of them, “${tokens[0].name}”, expires`} <${Moment} at=${tokens[0].expiresAt} />.
        What uses it then stops working. <${Link} to="settings/tokens">Manage tokens</${Link}>
      </p>
    </div>`}
  `;
}

const Count = ({ to, label, value, tone = "" }) => html`
  <${Link} to=${to} class=${value > 0 ? tone : "none"}><strong>${number(value)}</strong><span>${label}</span></${Link}>
`;

/** The most tiles in a row, at the widths that the stylesheet tells apart. */
const MOST_IN_A_ROW = [2, 3, 4, 6, 8, 10];

/** For each of these, how many tiles are in a row so that all rows are full, and how many places the first one takes. */
function rowsOf(tiles) {
  const style = {};
  for (const most of MOST_IN_A_ROW) {
    const rows = Math.ceil(tiles / most);
    const columns = Math.ceil(tiles / rows);
    style[`--columns-${most}`] = columns;
    style[`--first-${most}`] = 1 + rows * columns - tiles;
  }
  return style;
}

function StateCounts({ counts }) {
  const by = new Map(counts.byHeadline.map(({ headline, count: value }) => [headline, value]));
  const shown = [...ALWAYS, ...SOMETIMES.filter((headline) => by.get(headline) > 0)];
  return html`
    <div class="counts-place">
      <nav class="counts" aria-label="Instances by state" style=${rowsOf(shown.length + 2)}>
        <${Count} to="integrations?attention=1" label="Need attention" value=${counts.needsAttention} tone="warning" />
        ${shown.map(
          (headline) => html`<${Count}
            key=${headline}
            to=${`integrations?state=${headline}`}
            label=${HEADLINES[headline].label}
            value=${by.get(headline) ?? 0}
            tone=${HEADLINES[headline].tone}
          />`,
        )}
        <${Count} to="integrations?stale=1" label="Stale" value=${counts.stale} tone="warning" />
      </nav>
    </div>
  `;
}

/** Why an instance is in the list although no notice says so. */
function Unnoticed({ row }) {
  const { headline, freshness, lastSync, userCount, credentialExpiresAt } = row;
  if (headline !== "HEALTHY" && lastSync?.failure) return html`<p>${lastSync.failure.message ?? "The last sync did not read everything."}</p>`;
  if (freshness.state === "STALE") return html`<p><${Freshness} instance=${row} /></p>`;
  if (userCount === 0) return html`<p>It reports no users.</p>`;
  return credentialExpiresAt && html`<p>Its credential expires <${Moment} at=${credentialExpiresAt} />.</p>`;
}

function Needing({ known }) {
  const row = known.value;
  if (!row) return null;
  const { notice } = row;
  return html`
    <li class="needing">
      <${Monogram} name=${row.integration.name} />
      <div class="grow">
        <p class="needing-name">
          <${Link} to=${instanceLink(row.id)} title=${row.name}>${row.name}</${Link}> <span class="second">${row.integration.name}</span>
          <${State} instance=${row} />
        </p>
        ${notice ? html`<p>${notice.title} <span class="second">began <${Moment} at=${notice.since} /></span></p>` : html`<${Unnoticed} row=${row} />`}
        ${notice?.remedies.length > 0 && html`<${Remedies} instance=${row} limit=${3} />`}
      </div>
    </li>
  `;
}

function Attention({ totalCount, totalCountIsExact, nodes, rows }) {
  return html`
    <section aria-labelledby="needs-you">
      <div class="section-row">
        <h2 id="needs-you">Needs you now</h2>
        ${totalCount > MOST_NEEDING && html`<${Link} to="integrations?attention=1">Show all ${number(totalCount)}${totalCountIsExact ? "" : "+"}</${Link}>`}
      </div>
      ${totalCount === 0 && html`<p class="calm"><${Icon} name="circle-check" size=${20} /> <span>All is well. No instance needs you.</span></p>`}
      ${totalCount > 0 && html`<ul class="list">${rows.map((known, index) => html`<${Needing} key=${nodes[index].id} known=${known} />`)}</ul>`}
    </section>
  `;
}

/** The events that the server has, and those that have arrived since, the newest first. */
function useLatest() {
  const query = useQuery(LATEST, NEWEST);
  const [arrived, setArrived] = useState([]);
  useEffect(
    () =>
      onEvent((event) => {
        if (TOLD_CAUSES.includes(event.cause)) setArrived((before) => [event, ...before].slice(0, MOST_EVENTS));
      }),
    [],
  );
  const asked = query.data?.instanceEvents.nodes;
  const known = new Set(asked?.map(({ cursor }) => cursor));
  const events = asked && [...arrived.filter(({ cursor }) => !known.has(cursor)), ...asked];
  return { ...query, events: events?.sort((one, other) => other.at.localeCompare(one.at)).slice(0, MOST_EVENTS) };
}

function Latest() {
  const { events, error, reload } = useLatest();
  return html`
    <section aria-labelledby="latest">
      <h2 id="latest">Latest events</h2>
      ${error && html`<${Failure} error=${error} reload=${reload} />`}
      ${!events && !error && html`<${Loading} lines=${6} />`}
      ${events?.length === 0 && html`<p class="second">Nothing has happened yet.</p>`}
      ${events?.length > 0 && html`<ol class="list">${events.map((event) => html`<${Told} key=${event.cursor} event=${event} />`)}</ol>`}
    </section>
  `;
}

const Welcome = () => html`
  <${Empty} title="Welcome to Muster">
    <p class="measure">
      Muster keeps a register of every user account in your company's applications. Connect the first application, and its
      users are here a moment later.
    </p>
    ${mayConnect()
      ? html`<${Link} to="integrations" class="button primary">Choose an integration</${Link}>`
      : html`<p>An operator or administrator connects applications.</p><${Link} to="integrations" class="button">See the integrations</${Link}>`}
  </${Empty}>
`;

async function loadOverview(signal) {
  const { instanceCounts, instances } = await ask(OVERVIEW, { first: MOST_NEEDING }, signal);
  return { instanceCounts, needing: { ...instances, rows: remember(instances.nodes) } };
}

export function OverviewPage() {
  // The events do not wait for the counts.
  useMemo(() => askEarly(LATEST, NEWEST), []);
  const { data, error, reload } = useLoad(loadOverview, "overview", changesStates);
  const counts = data?.instanceCounts;
  return html`
    <${Heading} title="Overview" second=${counts?.total > 0 ? count(counts.total, "instance") : null} />
    ${mayManage.value && html`<${Trouble} />`}
    ${error && html`<${Failure} error=${error} reload=${reload} />`}
    ${!counts && !error && html`<${Loading} />`}
    ${counts?.total === 0 && html`<${Welcome} />`}
    ${counts?.total > 0 &&
    html`
      <${StateCounts} counts=${counts} />
      <div class="overview"><${Attention} ...${data.needing} /><${Latest} /></div>
    `}
  `;
}
