// The first tab of an instance: users over time, how long runs take, facts, and what is read.

import { useState } from "../../../vendor/hooks.js";
import { ask, askEarly } from "../../api.js";
import { useLoad } from "../../data.js";
import { CAPABILITIES } from "../../fields.js";
import { count, duration, every, exactly, number, words } from "../../format.js";
import { html } from "../../lib.js";
import { BarChart, LineChart } from "../../ui/chart.js";
import { Day, FullMoment, Moment, now } from "../../ui/moment.js";
import { Failure, Loading } from "../../ui/parts.js";
import { Badge, OUTCOMES } from "../../ui/state.js";

const SUMMARY_OF_INSTANCE = `query SummaryOfInstance($id: ID!) {
  instance(id: $id) {
    id
    config { key value isSet } # person
    lastDelivery {
      deliveredAt userCount isWaiting
      deliveredBy # person
    }
    capabilityStates {
      capability provided asOf lostSince missingPermission
      reason # person
    }
    integration { key configFields { key label secret } authenticationOptions { key label } }
    syncHistory(first: 100) { pageInfo { hasNextPage endCursor } nodes { id outcome startedAt finishedAt seen failure { lostCapabilities } } }
  }
}`;
const EARLIER_RUNS = `query EarlierRuns($id: ID!, $after: String) {
  instance(id: $id) { id syncHistory(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { id outcome startedAt finishedAt seen failure { lostCapabilities } }
  } }
}`;
/** How many of the last runs the first chart may show. */
const SPANS = [100, 1000];
/** So many of the last runs have a bar. */
const MOST_BARS = 40;
/** A credential that expires within this time is highlighted. */
const SOON_EXPIRES = 14 * 86_400_000;

/** Runs that read the whole list. */
const isWhole = ({ outcome, failure }) =>
  outcome === "SUCCEEDED" || (outcome === "PARTIAL" && !failure?.lostCapabilities.includes("USERS"));

/** What the tab shows: `{ about, runs, isMore }` with up to `most` of the last runs, the oldest first. */
async function loadSummary(id, most, signal) {
  const { instance: about } = await ask(SUMMARY_OF_INSTANCE, { id }, signal);
  if (!about) return { about, runs: [], isMore: false };
  const runs = [...about.syncHistory.nodes];
  let { hasNextPage, endCursor } = about.syncHistory.pageInfo;
  while (hasNextPage && runs.length < most) {
    const { instance } = await ask(EARLIER_RUNS, { id, after: endCursor }, signal);
    if (!instance) break;
    runs.push(...instance.syncHistory.nodes);
    ({ hasNextPage, endCursor } = instance.syncHistory.pageInfo);
  }
  return { about, runs: runs.reverse(), isMore: hasNextPage };
}

/** A choice of how many runs are shown, where there are more than a few. */
const Span = ({ most, setMost, isMore }) =>
  (isMore || most > SPANS[0]) &&
  html`
    <label class="unseen" for="span-of-chart">Syncs in the chart</label>
    <select id="span-of-chart" class="small" value=${most} onChange=${({ target }) => setMost(Number(target.value))}>
      ${SPANS.map((span) => html`<option key=${span} value=${span}>Last ${number(span)} syncs</option>`)}
    </select>
  `;

function UsersOverTime({ runs }) {
  const points = runs
    .filter(isWhole)
    .map(({ finishedAt, seen }) => ({ at: Date.parse(finishedAt), value: seen, title: `${count(seen, "user")}, ${exactly(new Date(finishedAt))}` }));
  if (!points.length) return html`<p class="second">No sync has read the users yet.</p>`;
  const values = points.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const start = new Date(points[0].at).toISOString();
  return html`
    <${LineChart} points=${points} write=${number} />
    <p class="second">
      ${count(values.at(-1), "user")} at the last complete sync.
      ${points.length > 1 && (least === most ? " Always as many" : ` From ${number(least)} to ${number(most)}`)}
      ${points.length > 1 && html` in the last ${count(points.length, "sync", "syncs")}, the first of them <${Moment} at=${start} />.`}
    </p>
  `;
}

function Durations({ runs }) {
  const ended = runs.filter(({ startedAt, finishedAt }) => startedAt && finishedAt).slice(-MOST_BARS);
  if (!ended.length) return html`<p class="second">No sync has ended yet.</p>`;
  const bars = ended.map(({ startedAt, finishedAt, outcome }) => {
    const value = Date.parse(finishedAt) - Date.parse(startedAt);
    return { value, tone: OUTCOMES[outcome], title: `${words(outcome)}, ${duration(value)}, ${exactly(new Date(finishedAt))}` };
  });
  const failed = ended.filter(({ outcome }) => outcome === "FAILED").length;
  const typical = bars.map(({ value }) => value).sort((one, other) => one - other)[Math.floor(bars.length / 2)];
  return html`
    <${BarChart} bars=${bars} write=${duration} />
    <p class="second">
      The last sync took ${duration(bars.at(-1).value)}${bars.length < 3 ? "" : `; half of the last ${number(bars.length)} syncs took ${duration(typical)} or less`}.
      ${failed > 0 ? ` ${number(failed)} failed.` : " None failed."}
    </p>
  `;
}

const Fact = ({ label, children }) => html`<div><dt>${label}</dt><dd>${children}</dd></div>`;

/** When the credential expires. */
function CredentialExpiry({ at }) {
  const left = Date.parse(at) - now.value;
  return html`
    ${left < SOON_EXPIRES && html`<${Badge} tone=${left > 0 ? "warning" : "danger"}>${left > 0 ? "Soon" : "Over"}</${Badge}> `}
    <${FullMoment} at=${at} />
  `;
}

/** When the last list was delivered, and by whom. */
const Delivered = ({ delivery }) =>
  delivery
    ? html`<${Moment} at=${delivery.deliveredAt} />, ${count(delivery.userCount, "user")}${delivery.isWaiting ? ", not taken over yet" : ""} ${delivery.deliveredBy && html`<small>by ${delivery.deliveredBy}</small>`}`
    : html`<span class="unknown">No list yet</span>`;

/** When a list is overdue that nobody delivers. */
function Overdue({ instance: { status, syncState, nextSyncAt } }) {
  if (syncState !== "IDLE") return syncState === "QUEUED" ? "Queued" : "Running now";
  if (status !== "LIVE" || !nextSyncAt) return html`<span class="unknown">${status === "LIVE" ? "After the first list" : "None while it is not live"}</span>`;
  return html`<${Moment} at=${nextSyncAt} />`;
}

function NextSync({ instance }) {
  const { status, syncState, nextSyncAt, nextTryAt } = instance;
  if (syncState !== "IDLE") return syncState === "QUEUED" ? "Queued" : "Running now";
  if (nextTryAt) return html`The credential is tried again <${Moment} at=${nextTryAt} />`;
  if (status !== "LIVE" || !nextSyncAt) return html`<span class="unknown">None while it is not live</span>`;
  return html`<${Moment} at=${nextSyncAt} />`;
}

/** What was configured, without secrets. */
function settingsOf({ config = [], integration }) {
  const values = new Map(config.map(({ key, value }) => [key, value]));
  const labels = new Map(integration.authenticationOptions.map(({ key, label }) => [key, label]));
  return integration.configFields
    .filter(({ key, secret }) => !secret && values.get(key))
    .map(({ key, label }) => [label, key === "authentication" ? (labels.get(values.get(key)) ?? values.get(key)) : values.get(key)]);
}

function Facts({ instance, about }) {
  const { lastSync } = instance;
  const settings = settingsOf(about);
  const { isDelivered } = instance.integration;
  return html`
    <dl class="facts">
      <${Fact} label="Users">${number(instance.userCount)}</${Fact}>
      <${Fact} label="Interval">${every(instance.syncIntervalMinutes)}</${Fact}>
      ${isDelivered
        ? html`<${Fact} label="Last delivered"><${Delivered} delivery=${about.lastDelivery} /></${Fact}><${Fact} label="Next list overdue"><${Overdue} instance=${instance} /></${Fact}>`
        : html`<${Fact} label="Next sync"><${NextSync} instance=${instance} /></${Fact}>`}
      <${Fact} label="Last sync">
        ${lastSync ? html`${words(lastSync.outcome)}, <${Moment} at=${lastSync.finishedAt} />` : html`<span class="unknown">None yet</span>`}
      </${Fact}>
      ${!isDelivered && html`<${Fact} label="Credential expires">
        ${instance.credentialExpiresAt ? html`<${CredentialExpiry} at=${instance.credentialExpiresAt} />` : html`<span class="unknown">Not known</span>`}
      </${Fact}>`}
      <${Fact} label="Created"><${Moment} at=${instance.createdAt} /> ${instance.createdBy && html`<small>by ${instance.createdBy}</small>`}</${Fact}>
    </dl>
    ${settings.length > 0 &&
    html`
      <h3>Configuration</h3>
      <dl class="facts">${settings.map(([label, value]) => html`<${Fact} key=${label} label=${label}>${value}</${Fact}>`)}</dl>
    `}
  `;
}

function Capability({ state }) {
  const { capability, provided, asOf, lostSince, missingPermission, reason } = state;
  const why = [missingPermission && `Missing: ${missingPermission}.`, reason].filter(Boolean).join(" ");
  const shown = !provided
    ? html`<span class="unknown">Not provided</span>`
    : lostSince
      ? html`<${Badge} tone="warning">Lost</${Badge}> <span class="second">since <${Day} at=${lostSince} />${asOf && html`; last read <${Moment} at=${asOf} />`}</span>`
      : asOf
        ? html`<${Badge} tone="ok">Read</${Badge}> <span class="second"><${Moment} at=${asOf} /></span>`
        : html`<span class="unknown">Not read yet</span>`;
  return html`
    <li>
      <span class="grow">${CAPABILITIES[capability]}${why && html`<small class="reason">${why}</small>`}</span>
      <span>${shown}</span>
    </li>
  `;
}

/** Asks for what the tab shows in a moment. */
export const askSummaryEarly = (id) => askEarly(SUMMARY_OF_INSTANCE, { id });

export function InstanceSummary({ instance }) {
  const [most, setMost] = useState(SPANS[0]);
  const load = (signal) => loadSummary(instance.id, most, signal);
  const { data, previous, error, reload } = useLoad(load, `${instance.id} ${most}`, ({ instance: { id } }) => id === instance.id);
  // While more runs are loaded, those that are there stay.
  const { about, runs, isMore } = data ?? previous ?? {};
  if (!about) return error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${6} />`;
  return html`
    <div class="columns even">
      <section class="card" aria-labelledby="over-time"><div class="section-row"><h2 id="over-time">Users over time</h2><${Span} most=${most} setMost=${setMost} isMore=${isMore} /></div><${UsersOverTime} runs=${runs} /></section>
      <section class="card" aria-labelledby="durations"><h2 id="durations">Duration of syncs</h2><${Durations} runs=${runs} /></section>
    </div>
    <div class="columns second-row">
      <section class="card" aria-labelledby="facts"><h2 id="facts">Facts</h2><${Facts} instance=${instance} about=${about} /></section>
      <section class="card" aria-labelledby="parts">
        <h2 id="parts">What is read</h2>
        <ul class="list">${about.capabilityStates.map((state) => html`<${Capability} key=${state.capability} state=${state} />`)}</ul>
      </section>
    </div>
  `;
}
