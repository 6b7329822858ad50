// Deleting the users of an instance, or the instance itself.

import { useEffect, useState } from "../../vendor/hooks.js";
import { done } from "../api.js";
import { useQuery } from "../data.js";
import { count, plural } from "../format.js";
import { html } from "../lib.js";
import { onEvent } from "../live.js";
import { INSTANCE, instance, remember, forgetInstance } from "../store.js";
import { LeaveButton, open, Understood, useAction, Window } from "../ui/dialog.js";
import { Button, say } from "../ui/parts.js";

const DELETE_INSTANCE = `mutation DeleteInstance($input: DeleteInstanceInput!) {
  deleteInstance(input: $input) { instance { ...Row } userErrors { message } }
} ${INSTANCE}`;
const DELETE_ALL_USERS = `mutation DeleteAllUsers($input: DeleteAllUsersInput!) {
  deleteAllUsers(input: $input) { instance { ...Row } userErrors { message } }
} ${INSTANCE}`;
const LOOK_AGAIN = 2_000;
const DELETION = "query Deletion($id: ID!) { instance(id: $id) { id status } }";

/** Runs a mutation, and notes the instance. What was refused is an error. */
async function act(mutation, input) {
  const { instance } = await done(mutation, { ...input, acknowledgeIrreversible: true });
  remember([instance]);
}

/** A window that asks before something that cannot be undone. `act` does it. */
function Irreversible({ title, second, text, yes, act: start, close }) {
  const [isUnderstood, setUnderstood] = useState(false);
  const [busy, run, failure] = useAction();
  const submit = (event) => {
    event.preventDefault();
    if (isUnderstood)
      run(async () => {
        await start();
        close(true);
      });
  };
  return html`
    <${Window} title=${title} second=${second} onLeave=${() => close(false)}>
      <form onSubmit=${submit}>
        ${text.map((sentence) => html`<p>${sentence}</p>`)}
        <${Understood} checked=${isUnderstood} onChange=${setUnderstood} />
        <p class="error" role="alert">${failure}</p>
        <footer>
          <${LeaveButton}>Cancel</${LeaveButton}>
          <button type="submit" class="danger" disabled=${!isUnderstood} aria-disabled=${busy ? "true" : null}>${yes}</button>
        </footer>
      </form>
    </${Window}>
  `;
}

/** Says when the users of an instance have been removed. Returns a function that ends the wait for it. */
function sayWhenRemoved({ id, name }) {
  const end = onEvent(({ instance, cause, usersRemoved }) => {
    if (instance.id !== id || cause !== "USERS_DELETED") return;
    end();
    say(`${count(usersRemoved ?? 0, "user")} of “${name}” ${plural(usersRemoved ?? 0, "has", "have")} been removed.`);
  });
  return end;
}

async function deleteAllUsers(instance) {
  const { id, name, status, userCount } = instance;
  const text = [
    plural(userCount, `The user of “${name}” leaves the register at once.`, `All ${count(userCount, "user")} of “${name}” leave the register at once.`),
    "What the application does not list cannot be restored, such as when each user was first seen.",
    status === "LIVE" ? "The instance stays live, so its next sync imports the users again." : "The instance stays inactive.",
  ];
  const start = async () => {
    const end = sayWhenRemoved(instance);
    try {
      await act(DELETE_ALL_USERS, { instanceId: id });
    } catch (error) {
      end();
      throw error;
    }
  };
  const properties = { title: "Delete All Users", second: name, text, yes: "Delete All Users", act: start };
  if (await open(Irreversible, properties)) say(`The users of “${name}” are no longer reported, and are being removed.`);
}

/** A window that watches a deletion until the instance is gone. */
function Watching({ id, name, users, close }) {
  const { data, reload } = useQuery(DELETION, { id }, ({ instance: row }) => row.id === id);
  useEffect(() => {
    // Without live updates, nothing else says so soon.
    const timer = setInterval(reload, LOOK_AGAIN);
    return () => clearInterval(timer);
  }, []);
  const isGone = data !== undefined && (data.instance === null || data.instance.status === "DELETED");
  useEffect(() => {
    if (!isGone) return;
    forgetInstance(id);
    say(`“${name}” has been deleted${users > 0 ? `, with ${count(users, "user")}` : ""}.`);
    close();
  }, [isGone]);
  return html`
    <${Window} title="Deleting" second=${name} onLeave=${() => close()}>
      <p class="state" role="status">
        <span class="spinner"></span>
        Its credential is destroyed. ${users > 0 ? `${count(users, "user")} ${plural(users, "is", "are")} being removed.` : "It is being removed."}
      </p>
      <p class="second">You may close this window. The deletion goes on by itself.</p>
      <footer><${LeaveButton}>Close</${LeaveButton}></footer>
    </${Window}>
  `;
}

async function deleteInstance(instance, close) {
  const { id, name, userCount } = instance;
  const users = plural(userCount, "its user leaves", `its ${count(userCount, "user")} leave`);
  const text = [
    userCount > 0
      ? `Its credential is destroyed at once, and ${users} the register. Neither can be brought back.`
      : "Its credential is destroyed at once, and cannot be brought back.",
    `Nothing changes in ${instance.integration.name} itself.`,
  ];
  const properties = {
    title: "Delete Instance",
    second: name,
    text,
    yes: "Delete Integration Instance",
    act: () => act(DELETE_INSTANCE, { id }),
  };
  if (!(await open(Irreversible, properties))) return;
  close(true);
  open(Watching, { id, name, users: userCount });
}

/** The part of a window that deletes. `close` closes the window once the instance is being deleted. */
export function Deletions({ instance: known, close }) {
  const row = { ...known, ...instance(known.id).value };
  const { userCount } = row;
  return html`
    <div class="part apart">
      <div class="section-row">
        <div class="grow">
          <h3>Users</h3>
          <p class="second">${userCount === 0 ? "It reports no users." : `It reports ${count(userCount, "user")}. The instance stays.`}</p>
        </div>
        <${Button} look="danger small" disabled=${userCount === 0} onClick=${() => deleteAllUsers(row)}>Delete All Users</${Button}>
      </div>
      <div class="section-row">
        <div class="grow">
          <h3>Instance</h3>
          <p class="second">The instance, its credential and its users are removed for good.</p>
        </div>
        <${Button} look="danger small" onClick=${() => deleteInstance(row, close)}>Delete Instance</${Button}>
      </div>
    </div>
  `;
}
