// The windows in which a member accepts a finding for a time, or takes that back.

import { useState } from "../../vendor/hooks.js";
import { change, done } from "../api.js";
import { html } from "../lib.js";
import { confirm, LeaveButton, open, useAction, Window } from "../ui/dialog.js";
import { byField, TextField, useFirstError } from "../ui/fields.js";
import { Button, say } from "../ui/parts.js";

const EXCEPT = `mutation ExceptFinding($input: ExceptFindingInput!) {
  exceptFinding(input: $input) { finding { id state } userErrors { code field message } }
}`;
const REVOKE = `mutation RevokeException($input: RevokeExceptionInput!) {
  revokeException(input: $input) { finding { id state } userErrors { message } }
}`;
const LONGEST_REASON = 500;
const DAY = 86_400_000;
const USUAL_DAYS = 90;
const LONGEST_DAYS = 365;

/** The day so many days from now, as a field of dates has it. */
const inDays = (days) => new Date(Date.now() + days * DAY).toISOString().slice(0, 10);

/** Opens the window. `of` says what was found, and of whom. Resolves to true if the finding was accepted. */
export const accept = (finding, of) => open(Accept, { finding, of });

/** Asks. Resolves to true if the finding is not accepted any more. */
export async function takeBack(finding, of) {
  if (!(await confirm("Take back the exception?", `The finding is open again. ${of}.`, "Take back"))) return false;
  await done(REVOKE, { findingId: finding.id });
  say("The finding is open again.");
  return true;
}

function Accept({ finding, of, close }) {
  const [before] = useState(() => ({ reason: "", until: inDays(USUAL_DAYS) }));
  const [typed, setTyped] = useState(before);
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const set = (name) => (value) => setTyped((known) => ({ ...known, [name]: value }));
  const submit = (event) => {
    event.preventDefault();
    if (!typed.until) return setErrors({ until: "Choose the day on which the exception ends." });
    run(async () => {
      const input = { findingId: finding.id, reason: typed.reason.trim(), until: `${typed.until}T00:00:00Z` };
      const { userErrors } = await change(EXCEPT, input);
      const { errors: found, rest } = byField(userErrors, ["reason", "until"]);
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return;
      say("The finding is accepted. It is still counted.");
      close(true);
    });
  };
  return html`
    <${Window} title="Accept the finding" second=${of} unsaved=${JSON.stringify(typed) !== JSON.stringify(before)} onLeave=${() => close(false)}>
      <form ref=${form} novalidate onSubmit=${submit}>
        <${TextField} label="Reason" help="Why it is acceptable. It is shown beside the finding." maxlength=${LONGEST_REASON} value=${typed.reason} error=${errors.reason ?? ""} onInput=${set("reason")} />
        <${TextField} label="Until" type="date" min=${inDays(1)} max=${inDays(LONGEST_DAYS - 1)} help="At the begin of this day (UTC), the finding is open again; also if it gets worse before." value=${typed.until} error=${errors.until ?? ""} onInput=${set("until")} />
        <p class="error" role="alert">${error}</p>
        <footer>
          <${LeaveButton}>Cancel</${LeaveButton}>
          <${Button} look="primary" type="submit" busy=${busy}>Accept</${Button}>
        </footer>
      </form>
    </${Window}>
  `;
}
