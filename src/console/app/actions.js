// What a person can do about an instance outside its window: sync, cancel, and the remedies of its notice.

import { signal } from "../vendor/signals.js";
import { done } from "./api.js";
import { beginConsent } from "./consent.js";
import { dropDraft, keptDraft, takeFailedConsent } from "./draft.js";
import { html } from "./lib.js";
import { mayChange } from "./session.js";
import { INSTANCE, remember } from "./store.js";
import { confirm, LeaveButton, loaded, open, Window } from "./ui/dialog.js";
import { Button, say } from "./ui/parts.js";
import { testConnection, Verdict } from "./ui/verdict.js";

const SYNC = `mutation SyncInstance($input: SyncInstanceInput!) {
  syncInstance(input: $input) { run { id instance { ...Row } } userErrors { message } }
} ${INSTANCE}`;
const CANCEL = `mutation CancelSync($input: CancelSyncInput!) {
  cancelSync(input: $input) { run { id instance { ...Row } } userErrors { code message } }
} ${INSTANCE}`;
const SET_LIVE = `mutation SetLive($input: UpdateInstanceInput!) {
  updateInstance(input: $input) { instance { ...Row } userErrors { message } }
} ${INSTANCE}`;

/** Opens a window of an instance, whose module is loaded when it is needed. The instance is not busy while it is open. */
const openWindow = (instance, load, show) =>
  doing(instance, async () => {
    const window = await loaded(load());
    // What it returns is not waited for.
    show(window);
  });

/** Opens the window in which an instance is managed. */
export const manageInstance = (instance) =>
  openWindow(instance, () => import("./dialogs/edit-instance.js"), (window) => window.editInstance(instance.id));

const credentialByRemedy = (instance, { label, action }) =>
  openWindow(instance, () => import("./dialogs/reconnect.js"), async (window) => {
    const changed = await window.reconnectInstance(instance.id, { title: label, isFolded: action === "RECONNECT" });
    // Whether the new values help is known after a sync.
    if (changed?.status === "LIVE" && changed.syncState === "IDLE") await syncInstance(changed);
  });

const intervalByRemedy = (instance, { label }) =>
  openWindow(instance, () => import("./dialogs/interval.js"), (window) => window.editInterval(instance, label));

const removalsByRemedy = (instance) =>
  openWindow(instance, () => import("./dialogs/held.js"), async (window) => {
    if (await window.acceptRemovals(instance)) await syncInstance(instance, { acceptRemovals: true });
  });

/** The ids of instances with a request under way. Their buttons do nothing but keep the focus. */
const busy = signal(new Set());

const setBusy = (id, isBusy) => {
  const ids = new Set(busy.peek());
  if (isBusy) ids.add(id);
  else ids.delete(id);
  busy.value = ids;
};

/** Does something about an instance, once at a time. Returns its result; a failure is said, with a button to try again. */
async function doing({ id, name }, act) {
  if (busy.peek().has(id)) return;
  setBusy(id, true);
  try {
    return await act();
  } catch (error) {
    say([name, error.message].filter(Boolean).join(": "), "danger", { label: "Try again", act: () => doing({ id, name }, act) });
  } finally {
    setBusy(id, false);
  }
}

/** Runs a mutation, and notes the instance that it returns. What was refused is an error. */
async function mutate(mutation, input) {
  const payload = await done(mutation, input);
  const row = payload.instance ?? payload.run?.instance;
  if (row) remember([row]);
}

/** Starts a sync. `accepted` are the guards that it may pass. */
const syncInstance = (instance, accepted = {}) =>
  doing(instance, async () => {
    await mutate(SYNC, { id: instance.id, ...accepted });
    say(`The sync of “${instance.name}” has been started.`);
  });

const setLive = (instance) =>
  doing(instance, async () => {
    await mutate(SET_LIVE, { id: instance.id, status: "LIVE" });
    say(`“${instance.name}” is live again. ${instance.integration.isDelivered ? "Deliver the list as it is now." : "A sync has been started."}`);
  });

const consent = (instance) =>
  doing(instance, async () => {
    const refusals = await beginConsent(instance.integration.name, { instanceId: instance.id, config: [] });
    if (refusals.length) throw new Error(refusals.map(({ message }) => message).join(" "));
  });

/** Opens the window again in which a consent was begun, if that did not succeed. */
export function resumeConsent(instance) {
  const [failed, draft] = [takeFailedConsent(instance.id), keptDraft(instance.id)];
  if (failed || draft?.revision === instance.revision)
    openWindow(instance, () => import("./dialogs/reconnect.js"), (window) => window.reconnectInstance(instance.id, { draft, failed }));
  else dropDraft(instance.id);
}

const Tested = ({ instance, result, close }) => html`
  <${Window} title="Test of the connection" second=${instance.name} onLeave=${() => close()}>
    <${Verdict} result=${result} />
    <footer>
      <button type="button" onClick=${() => close(true)}>Edit Instance</button>
      <${LeaveButton} look="primary">Close</${LeaveButton}>
    </footer>
  </${Window}>
`;

const testByRemedy = async (instance) => {
  const result = await doing(instance, () => testConnection({ instanceId: instance.id, config: [] }));
  if (result && (await open(Tested, { instance, result }))) await manageInstance(instance);
};

const acceptGrowth = async (instance) => {
  const text = `${instance.lastSync?.failure?.message ?? "Very many users would be added."} The next sync may add any number of users.`;
  if (await confirm(`Accept the growth of “${instance.name}”?`, text, "Accept and sync")) await syncInstance(instance, { acceptGrowth: true });
};

/** What each `Remedy.action` does. What has none is done by a person in the application. */
const ACTIONS = {
  SET_LIVE: setLive,
  RECONNECT: credentialByRemedy,
  CONSENT: consent,
  SYNC: (instance) => syncInstance(instance),
  ACCEPT_REMOVALS: removalsByRemedy,
  ACCEPT_GROWTH: acceptGrowth,
  TEST: testByRemedy,
  EDIT_CONFIGURATION: credentialByRemedy,
  EDIT_INTERVAL: intervalByRemedy,
};

/** The remedies of an instance's notice: buttons that act, and texts of what a person does in the application. */
export function Remedies({ instance, limit = Infinity }) {
  const remedies = instance.notice?.remedies ?? [];
  const shown = mayChange.value ? remedies : remedies.map(({ label }) => ({ label }));
  const first = shown.findIndex(({ action }) => ACTIONS[action]);
  return html`
    <ul class="remedies">
      ${shown.slice(0, limit).map(
        (remedy, index) => html`
          <li key=${remedy.label}>
            ${ACTIONS[remedy.action]
              ? html`<${Button} look=${index === first ? "primary small" : "small"} busy=${busy.value.has(instance.id)} onClick=${() => ACTIONS[remedy.action](instance, remedy)}>${remedy.label}</${Button}>`
              : html`<span class="second">${remedy.label}</span>`}
          </li>
        `,
      )}
    </ul>
  `;
}

/** Asks whether a running sync is to be cancelled, and cancels it. */
async function cancelSync(instance) {
  const text = "A cancelled run removes nobody. The instance is synced again on its schedule.";
  if (!(await confirm(`Cancel the sync of “${instance.name}”?`, text, "Cancel the sync", "danger"))) return;
  await doing(instance, async () => {
    await mutate(CANCEL, { instanceId: instance.id });
    say(`The sync of “${instance.name}” was cancelled.`);
  });
}

/** Opens the window in which a list is delivered. */
export const deliver = (instance) => openWindow(instance, () => import("./dialogs/deliver.js"), (window) => window.deliverList(instance));

/** "Deliver a list…", for an instance that nobody can be asked for. */
export function DeliverButton({ instance, look = "primary" }) {
  if (!mayChange.value || !instance.integration.isDelivered || instance.status !== "LIVE") return null;
  return html`<${Button} look=${look} busy=${busy.value.has(instance.id)} onClick=${() => deliver(instance)}>Deliver a list…</${Button}>`;
}

/** "Sync now" where a sync can be started, "Cancel…" while one is queued or running: one button, so that it keeps the focus. */
export function SyncButton({ instance, look = "" }) {
  const isIdle = instance.syncState === "IDLE";
  if (!mayChange.value || (isIdle && (instance.status !== "LIVE" || instance.integration.isDelivered))) return null;
  const act = () => (isIdle ? syncInstance(instance) : cancelSync(instance));
  return html`
    <${Button} icon=${isIdle ? "refresh-cw" : "x"} look=${look} busy=${busy.value.has(instance.id)} onClick=${act}>${isIdle ? "Sync now" : "Cancel…"}</${Button}>
  `;
}

/** "Cancel…", while a sync is queued or running. */
export const CancelButton = ({ instance, look }) => (instance.syncState === "IDLE" ? null : html`<${SyncButton} instance=${instance} look=${look} />`);
