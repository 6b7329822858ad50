// The question before a sync may remove the users whom the removal guard kept.

import { html } from "../lib.js";
import { open, Window } from "../ui/dialog.js";

function HeldRemovals({ instance, close }) {
  const reason = instance.lastSync?.failure?.message ?? "A sync would remove many users.";
  return html`
    <${Window} title="Accept the removals?" second=${instance.name} leave=${() => close(false)}>
      <p>${reason}</p>
      <p>If these people really left, the next sync may remove them from the register. If not, check what the credential may see in ${instance.integration.name}.</p>
      <footer>
        <button type="button" onClick=${() => close(false)}>Cancel</button>
        <button type="button" class="danger" onClick=${() => close(true)}>Accept and sync</button>
      </footer>
    </${Window}>
  `;
}

/** Asks. Resolves to true if the removals are accepted. */
export const acceptRemovals = (instance) => open(HeldRemovals, { instance });
