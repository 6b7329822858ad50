// The first sync of an instance that was just connected: its progress, and how it ended.

import { useEffect, useRef } from "../../vendor/hooks.js";
import { CancelButton, DeliverButton } from "../actions.js";
import { useQuery } from "../data.js";
import { count } from "../format.js";
import { html } from "../lib.js";
import { INSTANCE, instance, noteRun, remember } from "../store.js";
import { Notice } from "../ui/notice.js";
import { Empty, Failure, Heading, instanceLink, Link, Loading, Monogram } from "../ui/parts.js";
import { Progress, State } from "../ui/state.js";

const NEW_INSTANCE = `query NewInstance($id: ID!) {
  instance(id: $id) { ...Row currentSync { id seen waitingFor waitingUntil } }
} ${INSTANCE}`;

/** The instance. Where there are no live updates, the progress is what was asked for last. */
function useNewInstance(id) {
  const { data, error, reload } = useQuery(NEW_INSTANCE, { id }, (event) => event.instance.id === id);
  const found = data?.instance;
  useEffect(() => {
    if (!found) return;
    remember([found]);
    noteRun(id, found.currentSync);
  }, [data]);
  return { row: instance(id).value ?? found, isGone: (data && !found) || error?.code === "BAD_USER_INPUT", error, reload };
}

/** What a finished run means. Returns `[tone, text]`. */
function verdictOf({ lastSync: { outcome, failure }, userCount }) {
  const users = count(userCount, "user");
  if (outcome === "SUCCEEDED") return ["ok", `The first sync is done: ${users}.`];
  if (outcome === "PARTIAL") return ["warning", `The first sync is done: ${users}. Not everything could be read.`];
  if (outcome === "CANCELLED") return ["plain", "The first sync was cancelled. The instance is synced on its schedule."];
  return ["danger", `The first sync failed. ${failure?.message ?? ""}`];
}

function Ended({ row }) {
  const [tone, text] = verdictOf(row);
  const hasUsers = ["SUCCEEDED", "PARTIAL"].includes(row.lastSync.outcome);
  const isTold = row.notice && row.lastSync.outcome === "FAILED";
  return html`
    ${isTold ? html`<${Notice} instance=${row} />` : html`<p class="notice ${tone}" role="status"><strong>${text}</strong></p>`}
    <p class="buttons">
      ${hasUsers && html`<${Link} class="button primary" to="${instanceLink(row.id)}?tab=users">See ${count(row.userCount, "user")}</${Link}>`}
      <${Link} class="button" to=${instanceLink(row.id)}>Open the instance</${Link}>
    </p>
  `;
}

/** The instance as it was when the first sync ended, if that needs nobody. Later syncs are told of on its own page. */
function useEnd(row) {
  const end = useRef(null);
  if (!end.current && row?.syncState === "IDLE" && row.lastSync && row.lastSync.outcome !== "FAILED") end.current = row;
  return end.current;
}

/** `crumbs` are those of the page, `name` is that of the integration. */
export function FirstSync({ id, crumbs, name }) {
  const { row: newest, isGone, error, reload } = useNewInstance(id);
  const row = useEnd(newest) ?? newest;
  if (isGone || newest === null) {
    return html`
      <${Heading} title="Integrate ${name}" crumbs=${crumbs} />
      <${Empty} title="There is no such instance, or no longer"><p><${Link} to="integrations">Go to the integrations</${Link}></p></${Empty}>
    `;
  }
  if (!row) {
    const shown = error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} />`;
    return html`<${Heading} title="Integrate ${name}" crumbs=${crumbs} />${shown}`;
  }
  const isUnderWay = row.syncState !== "IDLE";
  return html`
    <${Heading}
      key=${id}
      title=${row.lastSync?.outcome === "FAILED" ? row.name : `${row.name} is connected`}
      crumbs=${crumbs}
      second=${html`<${State} instance=${row} />`}
      before=${html`<${Monogram} name=${name} size="large" />`}
    />
    <section class="card stack first-sync" aria-label="First sync">
      ${isUnderWay &&
      html`
        <h2>First sync</h2>
        ${row.syncState === "QUEUED" ? html`<p role="status">It begins in a moment.</p>` : html`<${Progress} id=${id} />`}
        <p class="second">You may leave this page. The sync goes on, and its creator gets a mail when it is done.</p>
        <p class="buttons"><${CancelButton} instance=${row} /><${Link} class="button" to=${instanceLink(id)}>Open the instance</${Link}></p>
      `}
      ${!isUnderWay && row.lastSync && html`<${Ended} row=${row} />`}
      ${!isUnderWay && !row.lastSync && row.integration.isDelivered && html`<p role="status">Deliver the first list now, or later on the page of the instance.</p><p class="buttons"><${DeliverButton} instance=${row} /><${Link} class="button" to=${instanceLink(id)}>Open the instance</${Link}></p>`}
      ${!isUnderWay && !row.lastSync && !row.integration.isDelivered && html`<p role="status">The first sync has not begun yet.</p><p><${Link} class="button" to=${instanceLink(id)}>Open the instance</${Link}></p>`}
    </section>
  `;
}
