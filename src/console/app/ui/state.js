// The state of an instance: one badge, and how fresh its users are.

import { useComputed } from "../../vendor/signals.js";
import { count, duration, number, words } from "../format.js";
import { html } from "../lib.js";
import { progress } from "../store.js";
import { Day, Moment, now } from "./moment.js";

/** What each headline state is called, and how it looks. The first that is true is shown. */
export const HEADLINES = {
  DELETING: { label: "Deleting", tone: "plain" },
  REVOKED: { label: "Revoked", tone: "danger" },
  SWITCHED_OFF: { label: "Switched off", tone: "plain" },
  HELD: { label: "Held", tone: "warning" },
  FAILING: { label: "Failing", tone: "danger" },
  PARTIAL: { label: "Partial", tone: "warning" },
  FIRST_SYNC: { label: "First sync", tone: "plain" },
  HEALTHY: { label: "Healthy", tone: "ok" },
};

/** The outcomes of runs, and how they look. */
export const OUTCOMES = { SUCCEEDED: "ok", PARTIAL: "warning", FAILED: "danger", CANCELLED: "plain" };

export const Badge = ({ tone = "plain", children }) => html`<span class="badge ${tone}">${children}</span>`;

const isUnderWay = ({ syncState }) => syncState !== "IDLE";

/** The badge of an instance. A run is a spinner beside it. */
export function State({ instance }) {
  const { label, tone } = HEADLINES[instance.headline];
  return html`
    <span class="state">
      <${Badge} tone=${tone}>${label}</${Badge}>
      ${isUnderWay(instance) && html`<span class="spinner" role="img" aria-label=${instance.syncState === "QUEUED" ? "A sync is queued" : "Syncing"}></span>`}
    </span>
  `;
}

/** "Fresh, 3 minutes ago" or "Stale since 12 May". */
export function Freshness({ instance }) {
  const { state, asOf, staleSince } = instance.freshness;
  if (state === "NEVER") return html`<span class="second">Never synced</span>`;
  if (state === "STALE") return html`<span class="second stale">Stale since <${Day} at=${staleSince ?? asOf} /></span>`;
  return html`<span class="second">Fresh, <${Moment} at=${asOf} /></span>`;
}

/** The progress of a running sync: percent where the number of users is known, rate, remaining time. */
export function Progress({ id, expectedBefore = null }) {
  const report = useComputed(() => progress(id).value).value;
  if (!report) return html`<p class="progress" role="status"><progress aria-label="Users read"></progress> Starting…</p>`;
  const { seen, rate, waitingFor, waitingUntil } = report;
  const expected = report.expected ?? expectedBefore;
  const known = expected > 0 && seen <= expected;
  const left = known && rate > 0 ? ((expected - seen) / rate) * 1000 : null;
  return html`
    <div class="progress" role="status">
      <progress aria-label="Users read" max=${known ? expected : undefined} value=${known ? seen : undefined}></progress>
      <span>
        ${known ? `${Math.floor((100 * seen) / expected)} %, ${number(seen)} of ${count(expected, "user")}` : `${count(seen, "user")} so far`}
        ${rate > 0 && `, ${count(Math.round(rate), "user")} per second`}
        ${left !== null && left > 1000 && `, about ${duration(left)} left`}
      </span>
      ${waitingUntil && Date.parse(waitingUntil) > now.value && html`<span class="second">Waits (${words(waitingFor).toLowerCase()}), goes on <${Moment} at=${waitingUntil} /></span>`}
    </div>
  `;
}
