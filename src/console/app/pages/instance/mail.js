// The mails about an instance, and why each was sent or not.

import { askEarly } from "../../api.js";
import { useList, useWatch } from "../../data.js";
import { html } from "../../lib.js";
import { isWaiting, MAIL_STATES, WhyMail } from "../../ui/mail.js";
import { Moment } from "../../ui/moment.js";
import { Empty, Failure, Link, Loading, More } from "../../ui/parts.js";
import { Badge } from "../../ui/state.js";

const MAILS_OF_INSTANCE = `query MailsOfInstance($id: ID!, $after: String) {
  notifications(first: 25, after: $after, filter: { instanceId: $id }) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
    nodes { id subject address state reason createdAt sentAt attempts lastError }
  }
}`;
const MailOfInstance = ({ mail }) => html`
  <tr>
    <th scope="row">${mail.subject}</th>
    <td data-label="To">${mail.address}</td>
    <td data-label="State"><${Badge} tone=${MAIL_STATES[mail.state][1]}>${MAIL_STATES[mail.state][0]}</${Badge}></td>
    <td data-label="Why" class="wide"><${WhyMail} mail=${mail} /></td>
    <td data-label="When"><${Moment} at=${mail.sentAt ?? mail.createdAt} /></td>
  </tr>
`;

/** Asks for what the tab shows in a moment. */
export const askMailEarly = (id) => askEarly(MAILS_OF_INSTANCE, { id });

export function InstanceMail({ instance }) {
  const matters = ({ instance: { id } }) => id === instance.id;
  const list = useList(MAILS_OF_INSTANCE, { id: instance.id }, (data) => data.notifications, matters);
  useWatch(list.nodes?.some(isWaiting) ?? false, list.reload);
  if (!list.nodes) return list.error ? html`<${Failure} error=${list.error} reload=${list.reload} />` : html`<${Loading} lines=${5} />`;
  if (!list.nodes.length)
    return html`
      <${Empty} title="No mail about this instance yet.">
        <p>A mail is sent when the first sync ends, when syncs begin to fail, and when they work again.</p>
        <p>The <${Link} to=${`instances/${encodeURIComponent(instance.id)}?tab=history`}>sync history</${Link}> says for each sync why there was none.</p>
      </${Empty}>
    `;
  return html`
    <table class="cards flow">
      <caption class="unseen">Mails about ${instance.name}, the newest first</caption>
      <thead>
        <tr><th scope="col">Subject</th><th scope="col">To</th><th scope="col">State</th><th scope="col">Why</th><th scope="col">When</th></tr>
      </thead>
      <tbody>${list.nodes.map((mail) => html`<${MailOfInstance} key=${mail.id} mail=${mail} />`)}</tbody>
    </table>
    <${More} list=${list} />
  `;
}
