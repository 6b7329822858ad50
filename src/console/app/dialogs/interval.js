// A small window with the interval of an instance alone.

import { useState } from "../../vendor/hooks.js";
import { change } from "../api.js";
import { every } from "../format.js";
import { html } from "../lib.js";
import { INSTANCE, remember } from "../store.js";
import { LeaveButton, open, useAction, Window } from "../ui/dialog.js";
import { IntervalField, intervalFault } from "../ui/fields.js";
import { Button, say } from "../ui/parts.js";
import { CONFLICT, toldConflict } from "./conflict.js";

const SET_INTERVAL = `mutation SetInterval($input: UpdateInstanceInput!) {
  updateInstance(input: $input) { instance { ...Row } userErrors { message } ${CONFLICT} }
} ${INSTANCE}`;

/** Opens the window. */
export const editInterval = (instance, title) => open(IntervalWindow, { instance, title });

function IntervalWindow({ instance, title, close }) {
  const before = String(instance.syncIntervalMinutes);
  const [minutes, setMinutes] = useState(before);
  const [busy, run, failure, setFailure] = useAction();
  const [fault, setFault] = useState("");
  const [revision, setRevision] = useState(instance.revision);
  const save = async () => {
    const input = { id: instance.id, syncIntervalMinutes: Number(minutes), expectedRevision: revision };
    const { instance: updated, userErrors, conflict } = await change(SET_INTERVAL, input);
    if (conflict) {
      setRevision(conflict.revision);
      return setFailure(`${toldConflict(conflict)} Save again to set this interval all the same.`);
    }
    if (userErrors.length) return setFailure(userErrors.map(({ message }) => message).join(" "));
    remember([updated]);
    say(`“${instance.name}” is synced ${every(updated.syncIntervalMinutes).toLowerCase()} now.`);
    close(true);
  };
  const submit = (event) => {
    event.preventDefault();
    const found = intervalFault(minutes);
    setFault(found);
    if (!found) run(save);
  };
  return html`
    <${Window} title=${title} second=${instance.name} unsaved=${minutes !== before} onLeave=${() => close()}>
      <form onSubmit=${submit} noValidate>
        <${IntervalField} minutes=${minutes} error=${fault} onInput=${setMinutes} />
        <p class="error" role="alert">${failure}</p>
        <footer>
          <${LeaveButton}>Cancel</${LeaveButton}>
          <${Button} type="submit" look="primary" busy=${busy}>Save</${Button}>
        </footer>
      </form>
    </${Window}>
  `;
}
