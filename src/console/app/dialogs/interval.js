// A small window with the interval of an instance alone.

import { useState } from "../../vendor/hooks.js";
import { change } from "../api.js";
import { every } from "../format.js";
import { html } from "../lib.js";
import { INSTANCE, remember } from "../store.js";
import { mayDrop, open, useAction, Window } from "../ui/dialog.js";
import { IntervalField, intervalFault } from "../ui/fields.js";
import { Button, say } from "../ui/parts.js";

const SET_INTERVAL = `mutation SetInterval($input: UpdateInstanceInput!) {
  updateInstance(input: $input) { instance { ...Row } userErrors { message } }
} ${INSTANCE}`;

/** Opens the window. */
export const editInterval = (instance, title) => open(IntervalWindow, { instance, title });

function IntervalWindow({ instance, title, close }) {
  const before = String(instance.syncIntervalMinutes);
  const [minutes, setMinutes] = useState(before);
  const [busy, run, failure, setFailure] = useAction();
  const [fault, setFault] = useState("");
  const leave = async () => {
    if (minutes === before || (await mayDrop())) close();
  };
  const save = async () => {
    const { instance: updated, userErrors } = await change(SET_INTERVAL, { id: instance.id, syncIntervalMinutes: Number(minutes) });
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
    <${Window} title=${title} second=${instance.name} leave=${leave}>
      <form onSubmit=${submit} noValidate>
        <${IntervalField} minutes=${minutes} error=${fault} onInput=${setMinutes} />
        <p class="error" role="alert">${failure}</p>
        <footer>
          <button type="button" onClick=${leave}>Cancel</button>
          <${Button} type="submit" look="primary" busy=${busy}>Save</${Button}>
        </footer>
      </form>
    </${Window}>
  `;
}
