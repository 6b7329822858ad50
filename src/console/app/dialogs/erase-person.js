// The window in which an administrator erases a person.

import { useState } from "../../vendor/hooks.js";
import { change } from "../api.js";
import { count, nameOf, plural } from "../format.js";
import { html } from "../lib.js";
import { LeaveButton, open, Understood, useAction, Window } from "../ui/dialog.js";
import { byField, TextField, useFirstError } from "../ui/fields.js";
import { say } from "../ui/parts.js";

const ERASE_PERSON = `mutation ErasePerson($input: ErasePersonInput!) {
  erasePerson(input: $input) { accounts userErrors { code field message } }
}`;
const LONGEST_REASON = 500;

/** Opens the window. Resolves to true if the person was erased. */
export const erasePerson = (person) => open(Erase, { person });

function Erase({ person, close }) {
  const [reason, setReason] = useState("");
  const [isForced, setForced] = useState(false);
  const [isUnderstood, setUnderstood] = useState(false);
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const isCurrent = person.state === "CURRENT";
  const isReady = isUnderstood && (isForced || !isCurrent);
  const submit = (event) => {
    event.preventDefault();
    if (!isReady) return;
    run(async () => {
      const input = { id: person.id, reason: reason.trim(), force: isForced, acknowledgeIrreversible: true };
      const { accounts, userErrors } = await change(ERASE_PERSON, input);
      const { errors: found, rest } = byField(userErrors, ["reason"]);
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return;
      say(`The person has been erased. ${count(accounts, "account")} ${plural(accounts, "is", "are")} nobody's now.`);
      close(true);
    });
  };
  return html`
    <${Window} title="Erase this person?" second=${nameOf(person)} unsaved=${reason !== ""} onLeave=${() => close(false)}>
      <form ref=${form} novalidate onSubmit=${submit}>
        <p>Everything that is known of this person is deleted at once. The accounts stay in figures, and nothing tells any more whose they are.</p>
        <p>Nothing changes in the applications. As long as they list the accounts, a sync stores nothing of this person.</p>
        <${TextField} label="Reason" help="Such as the number of the request. It is kept, so do not name the person." maxlength=${LONGEST_REASON} value=${reason} error=${errors.reason ?? ""} onInput=${setReason} />
        ${isCurrent && html`<label class="check"><input type="checkbox" checked=${isForced} onChange=${({ target }) => setForced(target.checked)} /> <span>Erase the person although a people source lists the person</span></label>`}
        <${Understood} checked=${isUnderstood} onChange=${setUnderstood} />
        <p class="error" role="alert">${error}</p>
        <footer>
          <${LeaveButton}>Cancel</${LeaveButton}>
          <button type="submit" class="danger" disabled=${!isReady} aria-disabled=${busy ? "true" : null}>Erase Person</button>
        </footer>
      </form>
    </${Window}>
  `;
}
