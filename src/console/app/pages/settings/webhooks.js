// Webhooks: where Muster sends what happens to instances, and what became of each message.

import { change, done } from "../../api.js";
import { useList, useQuery, useWatch } from "../../data.js";
import { count, words } from "../../format.js";
import { html } from "../../lib.js";
import { search } from "../../router.js";
import { Choose } from "../../ui/choose.js";
import { confirm, open, useAction } from "../../ui/dialog.js";
import { Moment, now } from "../../ui/moment.js";
import { Button, Empty, Failure, instanceLink, Link, Loading, More, Pending, say } from "../../ui/parts.js";
import { Scope, useNames } from "../../ui/scope.js";
import { Badge } from "../../ui/state.js";
import { ShownMessage } from "./webhook-message.js";
import { EditWebhook, NewSecret } from "./webhook-form.js";
import { kindOf } from "./webhook-kinds.js";

const WEBHOOKS = `query Webhooks {
  webhooks {
    id kind url description causes onlyChanges accountChanges findingChanges scope { integrationKeys instanceIds } state disabledReason disabledAt
    queuedDeliveries failingSince retryAt lastError lastSuccessAt previousSecretUntil revision
  }
}`;
const DELIVERIES = `query WebhookDeliveries($after: String, $filter: WebhookDeliveryFilter) {
  webhookDeliveries(first: 50, after: $after, filter: $filter) {
    totalCount totalCountIsExact pageInfo { endCursor hasNextPage }
    nodes {
      id messageId webhookId type state attempts createdAt lastTriedAt nextTryAt deliveredAt httpStatus lastError answer body
      instance { id name }
    }
  }
}`;
const UPDATE_WEBHOOK = `mutation SwitchWebhook($input: UpdateWebhookInput!) {
  updateWebhook(input: $input) { userErrors { message } }
}`;
const DELETE_WEBHOOK = `mutation DeleteWebhook($input: DeleteWebhookInput!) {
  deleteWebhook(input: $input) { userErrors { message } }
}`;
const TEST_WEBHOOK = `mutation TestWebhook($input: TestWebhookInput!) {
  testWebhook(input: $input) { delivery { state httpStatus lastError } userErrors { message } }
}`;
const RETRY_FAILED = `mutation RetryFailed($input: RetryFailedDeliveriesInput!) {
  retryFailedDeliveries(input: $input) { count userErrors { message } }
}`;

const REASONS = {
  MEMBER: "Somebody switched it off",
  GONE: "Its receiver is gone",
  FAILING: "It accepted nothing for three days",
};
const STATES = {
  QUEUED: ["Waiting", "plain"],
  DELIVERED: ["Accepted", "ok"],
  FAILED: ["Failed", "danger"],
  INCLUDED: ["In another message", "plain"],
  DROPPED: ["Dropped", "plain"],
};
/** As long as events are kept by default. */
const BACK_MS = 30 * 86_400_000;

const nameOf = ({ kind, url, description }) => description || (kind === "STANDARD" ? url : `${kindOf(kind).label}, ${url}`);

function Standing({ webhook }) {
  const { state, disabledReason, disabledAt, failingSince, lastError, lastSuccessAt, queuedDeliveries } = webhook;
  if (state === "DISABLED") {
    return html`<${Badge} tone=${disabledReason === "MEMBER" ? "plain" : "danger"}>Switched off</${Badge}>
      <span class="second">${REASONS[disabledReason] ?? words(disabledReason)}, <${Moment} at=${disabledAt} /></span>`;
  }
  const waiting = queuedDeliveries > 0 && html`<span class="second">${count(queuedDeliveries, "message")} waiting</span>`;
  if (failingSince) {
    return html`<${Badge} tone="danger">Failing</${Badge}> <span class="second">since <${Moment} at=${failingSince} />. ${lastError}</span> ${waiting}`;
  }
  return html`<${Badge} tone="ok">Works</${Badge}>
    <span class="second">${lastSuccessAt ? html`Last message <${Moment} at=${lastSuccessAt} />` : "No message yet"}</span> ${waiting}`;
}

/** What a webhook gets, in words. */
function wanted({ kind, causes, onlyChanges, accountChanges, findingChanges }) {
  if (kind !== "STANDARD") return kindOf(kind).gets ?? "";
  const events = causes === null ? "Every event" : causes.map((cause) => words(cause)).join(", ");
  const parts = causes?.length === 0 ? [] : [`${events}${onlyChanges ? ", if it changes the state" : ""}`];
  if (accountChanges.length) parts.push(`accounts ${accountChanges.map((kind) => words(kind).toLowerCase()).join(", ")}`);
  if (findingChanges) parts.push("findings opened or closed");
  return parts.join("; ");
}

async function test(webhook) {
  const { delivery, userErrors } = await change(TEST_WEBHOOK, { id: webhook.id });
  if (userErrors.length) throw new Error(userErrors[0].message);
  if (delivery.state === "DELIVERED") say(`“${nameOf(webhook)}” accepted the test with status ${delivery.httpStatus}.`);
  else if (delivery.state === "FAILED") throw new Error(delivery.lastError);
  else throw new Error("The test was not sent within 20 seconds. Is a worker running?");
}

function WebhookRow({ webhook, names, reload }) {
  const [busy, run, error] = useAction();
  const { id, kind, url, description, state, scope, previousSecretUntil } = webhook;
  const name = nameOf(webhook);
  const isOff = state === "DISABLED";
  const after = (act) => () =>
    run(async () => {
      await act();
      reload();
    });
  const toggle = after(async () => {
    const text = "What waits has failed, and what happens meanwhile is not recorded for it.";
    if (!isOff && !(await confirm(`Switch “${name}” off?`, text, "Switch off"))) return;
    await done(UPDATE_WEBHOOK, { id, enabled: isOff });
    say(`“${name}” is switched ${isOff ? "on" : "off"}.`);
  });
  const retry = after(async () => {
    const { count: queued } = await done(RETRY_FAILED, { webhookId: id, since: new Date(now.value - BACK_MS).toISOString() });
    say(queued ? `${count(queued, "message")} will be sent again.` : "No message has failed.");
  });
  const remove = after(async () => {
    if (!(await confirm(`Delete “${name}”?`, "Its messages are deleted as well. This cannot be undone.", "Delete", "danger"))) return;
    await done(DELETE_WEBHOOK, { id });
    say(`“${name}” is deleted.`);
  });
  const asks = (content, properties) => async () => {
    if (await open(content, properties)) reload();
  };
  return html`
    <tr class=${isOff ? "ended" : ""}>
      <th scope="row">${name}${description && html`<span class="second">${kind === "STANDARD" ? url : `${kindOf(kind).label}, ${url}`}</span>`}</th>
      <td data-label="Gets" class="wide">${wanted(webhook)}</td>
      <td data-label="For" class="scope"><${Scope} scope=${scope} names=${names} /></td>
      <td data-label="State" class="wide">
        <${Standing} webhook=${webhook} />
        ${previousSecretUntil && Date.parse(previousSecretUntil) > now.value && html`<span class="second">Two secrets until <${Moment} at=${previousSecretUntil} /></span>`}
      </td>
      <td class="wide acts">
        <div class="buttons many">
          <${Button} look="small" busy=${busy} onClick=${after(() => test(webhook))} aria-label="Send a test to ${name}">Send a test</${Button}>
          <${Button} look="small" onClick=${asks(EditWebhook, { webhook })} aria-label="Edit ${name}">Edit…</${Button}>
          ${kind === "STANDARD" && html`<${Button} look="small" onClick=${asks(NewSecret, { webhook })} aria-label="New secret for ${name}">New secret…</${Button}>`}
          <${Button} look="small" busy=${busy} onClick=${toggle} aria-label="Switch ${isOff ? "on" : "off"} ${name}">Switch ${isOff ? "on" : "off"}</${Button}>
          ${!isOff && html`<${Button} look="small" busy=${busy} onClick=${retry} aria-label="Send failed messages again of ${name}">Send failed messages again</${Button}>`}
          <${Button} look="small danger" busy=${busy} onClick=${remove} aria-label="Delete ${name}">Delete…</${Button}>
        </div>
        <span class="error" role="alert">${error}</span>
      </td>
    </tr>
  `;
}

function DeliveryRow({ delivery, reload }) {
  const { messageId, type, state, attempts, createdAt, nextTryAt, lastError, instance } = delivery;
  const [label, tone] = STATES[state] ?? [words(state), "plain"];
  const show = async () => {
    if (await open(ShownMessage, { delivery })) reload();
  };
  return html`
    <tr>
      <th scope="row">${type}<span class="second">${messageId}</span></th>
      <td data-label="Instance">${instance ? html`<${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}>` : html`<span class="unknown">None</span>`}</td>
      <td data-label="State" class="wide">
        <${Badge} tone=${tone}>${label}</${Badge}>
        ${lastError && html`<span class="second">${lastError}</span>`}
        ${nextTryAt && attempts > 0 && html`<span class="second">Tried again <${Moment} at=${nextTryAt} /></span>`}
      </td>
      <td data-label="Attempts">${attempts}</td>
      <td class="whole" data-label="Made"><${Moment} at=${createdAt} /></td>
      <td class="wide steady acts"><${Button} look="small" onClick=${show} aria-label="Look at ${messageId}">Look at…</${Button}></td>
    </tr>
  `;
}

function Deliveries({ webhooks }) {
  const states = search.value.get("state") in STATES ? [search.value.get("state")] : undefined;
  const filter = { states, webhookId: search.value.get("webhook") ?? undefined };
  const list = useList(DELIVERIES, { filter }, (data) => data.webhookDeliveries);
  useWatch(list.nodes?.some(({ state }) => state === "QUEUED") ?? false, list.reload);
  return html`
    <section aria-labelledby="messages">
      <h2 id="messages">Messages</h2>
      <div class="filters bottom">
        <${Choose} label="Webhook" name="webhook" all="All webhooks" options=${webhooks.map((webhook) => [webhook.id, nameOf(webhook)])} />
        <${Choose} label="State" name="state" all="All states" options=${Object.entries(STATES).map(([key, [label]]) => [key, label])} />
        <${Button} onClick=${list.reload}>Reload</${Button}>
      </div>
      <${Pending} list=${list} />
      ${list.nodes?.length === 0 && html`<${Empty} title="No messages"><p>What is sent to a webhook stands here.</p></${Empty}>`}
      ${list.nodes?.length > 0 &&
      html`
        <table class="cards flow">
          <caption class="unseen">Messages to webhooks, the newest first</caption>
          <thead>
            <tr>${["Message", "Instance", "State", "Attempts", "Made"].map((label) => html`<th scope="col">${label}</th>`)}<th scope="col"><span class="unseen">Action</span></th></tr>
          </thead>
          <tbody>${list.nodes.map((delivery) => html`<${DeliveryRow} key=${delivery.id} delivery=${delivery} reload=${list.reload} />`)}</tbody>
        </table>
        <${More} list=${list} />
      `}
    </section>
  `;
}

export function WebhooksSettings() {
  const { data, error, reload } = useQuery(WEBHOOKS);
  const webhooks = data?.webhooks;
  const names = useNames(webhooks?.map(({ scope }) => scope) ?? []);
  useWatch(webhooks?.some(({ queuedDeliveries }) => queuedDeliveries > 0) ?? false, reload);
  const add = async () => {
    if (await open(EditWebhook)) reload();
  };
  return html`
    <div class="section-row">
      <p class="second">What happens to instances, sent to other programs as signed JSON, to chats, and to alert managers. Secrets and the addresses of chats are not shown again.</p>
      <${Button} look="primary" icon="plus" onClick=${add}>Add webhook</${Button}>
    </div>
    ${error && html`<${Failure} error=${error} reload=${reload} />`}
    ${!webhooks && !error && html`<${Loading} />`}
    ${webhooks?.length === 0 && html`<${Empty} title="No webhooks yet"><p>Add one for each program, chat or alert manager that waits for what happens to instances.</p></${Empty}>`}
    ${webhooks?.length > 0 &&
    html`
      <table class="cards flow">
        <caption class="unseen">Webhooks</caption>
        <thead>
          <tr>${["Webhook", "Gets", "For", "State"].map((label) => html`<th scope="col">${label}</th>`)}<th scope="col"><span class="unseen">Actions</span></th></tr>
        </thead>
        <tbody>${webhooks.map((webhook) => html`<${WebhookRow} key=${webhook.id} webhook=${webhook} names=${names} reload=${reload} />`)}</tbody>
      </table>
      <${Deliveries} webhooks=${webhooks} />
    `}
  `;
}
