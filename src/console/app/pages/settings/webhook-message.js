// The window that shows one message to a webhook, and sends it again.

import { done } from "../../api.js";
import { count } from "../../format.js";
import { html } from "../../lib.js";
import { LeaveButton, useAction, Window } from "../../ui/dialog.js";
import { Moment } from "../../ui/moment.js";
import { Button, say } from "../../ui/parts.js";

const RETRY = `mutation RetryDelivery($input: RetryWebhookDeliveryInput!) {
  retryWebhookDelivery(input: $input) { userErrors { message } }
}`;

const RETRY_SINCE = `mutation RetryFailedSince($input: RetryFailedDeliveriesInput!) {
  retryFailedDeliveries(input: $input) { count userErrors { message } }
}`;

/** JSON with line breaks; as it is, if it is none. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Closes with true if messages are sent again. */
export function ShownMessage({ delivery, close }) {
  const [busy, run, error] = useAction();
  const { id, messageId, webhookId, createdAt, type, state, httpStatus, lastError, lastTriedAt, answer, body } = delivery;
  const mayRetry = ["DELIVERED", "FAILED"].includes(state) && type !== "webhook.test";
  const retry = () =>
    run(async () => {
      await done(RETRY, { id });
      say("The message will be sent again.");
      close(true);
    });
  const retrySince = () =>
    run(async () => {
      const { count: queued } = await done(RETRY_SINCE, { webhookId, since: createdAt });
      say(`${count(queued, "message")} will be sent again.`);
      close(true);
    });
  return html`
    <${Window} title=${type} second=${messageId} wide onLeave=${() => close(false)}>
      ${lastError && html`<div class="notice danger"><p>${lastError}</p></div>`}
      ${lastTriedAt && html`<p class="second">Last tried <${Moment} at=${lastTriedAt} />${httpStatus ? `, answered with status ${httpStatus}` : ", without an answer"}</p>`}
      <h3>What is sent</h3>
      <pre tabindex="0">${pretty(body)}</pre>
      ${answer && html`<h3>The beginning of the answer</h3><pre tabindex="0">${answer}</pre>`}
      <p class="error" role="alert">${error}</p>
      <footer>
        <${LeaveButton}>Close</${LeaveButton}>
        ${mayRetry && state === "FAILED" && html`<${Button} busy=${busy} onClick=${retrySince}>Send all again that failed since then</${Button}>`}
        ${mayRetry && html`<${Button} look="primary" busy=${busy} onClick=${retry}>Send again</${Button}>`}
      </footer>
    </${Window}>
  `;
}
