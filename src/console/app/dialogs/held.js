// The question before a sync may remove the users whom the removal guard kept.

import { useList } from "../data.js";
import { count, nameOf, number, plural } from "../format.js";
import { html } from "../lib.js";
import { LeaveButton, open, Window } from "../ui/dialog.js";
import { Failure, Loading, More } from "../ui/parts.js";

const HELD_REMOVALS = `query HeldRemovals($id: ID!, $after: String) {
  instance(id: $id) { id lastSync { id wouldRemove(first: 50, after: $after) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor } nodes { id externalId displayName email }
  } } }
}`;
const NONE_HELD = { nodes: [], totalCount: 0, totalCountIsExact: true, pageInfo: { hasNextPage: false, endCursor: null } };

const Leaver = ({ user }) => html`
  <li><span class="grow">${nameOf(user)}</span>${user.displayName && user.email && html`<span class="second">${user.email}</span>`}</li>
`;

/** The number and the names of those who would be removed. */
function Leavers({ list }) {
  if (!list.nodes) return list.error ? html`<${Failure} error=${list.error} reload=${list.reload} />` : html`<${Loading} />`;
  if (!list.nodes.length) return html`<p>Another sync has ended since. Who is removed is known when the next one has read the list.</p>`;
  return html`
    <div class="scroll tall" role="region" aria-label="Users who would be removed" tabindex="0">
      <ul class="list">${list.nodes.map((user) => html`<${Leaver} key=${user.id} user=${user} />`)}</ul>
    </div>
    ${list.total > list.nodes.length && html`<${More} list=${list} />`}
  `;
}

function HeldRemovals({ instance, close }) {
  const { id, name, userCount, integration } = instance;
  const list = useList(HELD_REMOVALS, { id }, (data) => data.instance?.lastSync?.wouldRemove ?? NONE_HELD, (event) => event.instance.id === id);
  const held = list.total > 0 && `${count(list.total, "user")}${list.exact ? "" : " or more"}`;
  return html`
    <${Window} title="Accept the removals?" second=${name} onLeave=${() => close(false)}>
      ${held && html`<p><strong>${held}</strong> of ${number(userCount)} ${plural(list.total, "is", "are")} no longer listed by ${integration.name}, and would be removed:</p>`}
      <${Leavers} list=${list} />
      <p class="second">If these people did not leave, check what the credential may see in ${integration.name}.</p>
      <footer>
        <${LeaveButton}>Cancel</${LeaveButton}>
        <button type="button" class="danger" disabled=${!list.nodes?.length} onClick=${() => close(true)}>Accept the removals</button>
      </footer>
    </${Window}>
  `;
}

/** Asks. Resolves to true if the removals are accepted. */
export const acceptRemovals = (instance) => open(HeldRemovals, { instance });
