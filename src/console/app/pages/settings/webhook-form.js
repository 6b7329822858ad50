// The windows that add and change a webhook, and show its secret once.

import { useState } from "../../../vendor/hooks.js";
import { change } from "../../api.js";
import { useLoad } from "../../data.js";
import { words } from "../../format.js";
import { html } from "../../lib.js";
import { Copyable, mayLose } from "../../ui/copyable.js";
import { LeaveButton, mayDrop, useAction, Window } from "../../ui/dialog.js";
import { byField, Field, TextField, useFirstError } from "../../ui/fields.js";
import { findInstances, findIntegrations, namesOf } from "../../ui/find.js";
import { Finder, Picked } from "../../ui/finder.js";
import { Button, say } from "../../ui/parts.js";
import { kindOf, KINDS } from "./webhook-kinds.js";

const CREATE = `mutation CreateWebhook($input: CreateWebhookInput!) {
  createWebhook(input: $input) { secret webhook { id } userErrors { code field message } }
}`;
const UPDATE = `mutation UpdateWebhook($input: UpdateWebhookInput!) {
  updateWebhook(input: $input) { webhook { id } userErrors { code field message } }
}`;
const ROTATE = `mutation RotateSecret($input: RotateWebhookSecretInput!) {
  rotateWebhookSecret(input: $input) { secret userErrors { message } }
}`;

/** The causes of events, those that say only that a run goes on last. */
const CAUSES = [
  "CREATED", "UPDATED", "DEACTIVATED", "REACTIVATED", "REVOKED", "CREDENTIAL_TRIED",
  "SYNC_SUCCEEDED", "SYNC_PARTIAL", "SYNC_FAILED", "SYNC_CANCELLED",
  "USERS_DELETION_STARTED", "USERS_DELETED", "DELETION_STARTED", "DELETED",
  "SYNC_QUEUED", "SYNC_STARTED", "SYNC_WAITING", "SYNC_RESUMED",
];
const ACCOUNT_CHANGES = [["ADDED", "Accounts that joined"], ["REMOVED", "Accounts that left"], ["CHANGED", "Accounts that changed"]];
const FIELDS = ["url", "key", "description", "causes", "scope"];
const UNTYPED = { kind: "STANDARD", url: "", key: "", description: "", isAll: true, causes: [], onlyChanges: true, accountChanges: [], findingChanges: false, isLimited: false, integrations: [], instances: [] };

/** A webhook as it is typed. The names of its instances are found later. The address of a chat is not shown again. */
const typedOf = ({ kind, url, description, causes, onlyChanges, accountChanges, findingChanges, scope }) => ({
  kind,
  url: kind === "STANDARD" ? url : "",
  key: "",
  description,
  isAll: causes === null,
  causes: causes ?? [],
  onlyChanges,
  accountChanges,
  findingChanges,
  isLimited: scope !== null,
  integrations: (scope?.integrationKeys ?? []).map((key) => ({ id: key, name: key })),
  instances: (scope?.instanceIds ?? []).map((id) => ({ id, name: "…" })),
});

/** What is left empty keeps its value, and so is left out. */
const addressOf = ({ kind, url, key }) =>
  kind === "STANDARD" ? { url: url.trim() } : { url: url.trim() || undefined, key: key.trim() || undefined };

const wantedOf = (typed) =>
  typed.kind === "STANDARD"
    ? { causes: typed.isAll ? null : typed.causes, onlyChanges: typed.onlyChanges, accountChanges: typed.accountChanges, findingChanges: typed.findingChanges }
    : {};

const inputOf = (typed) => ({
  ...addressOf(typed),
  description: typed.description.trim(),
  ...wantedOf(typed),
  scope: typed.isLimited
    ? { integrationKeys: typed.integrations.map(({ id }) => id), instanceIds: typed.instances.map(({ id }) => id) }
    : null,
});

const toggled = (values, value, isIn) => (isIn ? [...values, value] : values.filter((other) => other !== value));

const Check = ({ checked, onChange, children }) => html`
  <label class="check"><input type="checkbox" checked=${checked} onChange=${({ target }) => onChange(target.checked)} /> <span>${children}</span></label>
`;

const Radio = ({ name, checked, onChange, children }) => html`
  <label class="check"><input type="radio" name=${name} checked=${checked} onChange=${onChange} /> <span>${children}</span></label>
`;

const Events = ({ typed, set, error }) => html`
  <fieldset class="field">
    <legend>Events</legend>
    <${Radio} name="events" checked=${typed.isAll} onChange=${() => set("isAll")(true)}>All, also those of later versions</${Radio}>
    <${Radio} name="events" checked=${!typed.isAll} onChange=${() => set("isAll")(false)}>Some only</${Radio}>
    ${!typed.isAll &&
    html`<div class="limits">
      ${CAUSES.map((cause) => html`<${Check} key=${cause} checked=${typed.causes.includes(cause)} onChange=${(isIn) => set("causes")(toggled(typed.causes, cause, isIn))}>${words(cause)}</${Check}>`)}
    </div>`}
    <${Check} checked=${typed.onlyChanges} onChange=${set("onlyChanges")}>Only if the status or the health of the instance changes</${Check}>
    <span class="error">${error}</span>
  </fieldset>
  <fieldset class="field">
    <legend>Numbers of accounts, after each sync</legend>
    ${ACCOUNT_CHANGES.map(([kind, label]) => html`<${Check} key=${kind} checked=${typed.accountChanges.includes(kind)} onChange=${(isIn) => set("accountChanges")(toggled(typed.accountChanges, kind, isIn))}>${label}</${Check}>`)}
  </fieldset>
  <fieldset class="field">
    <legend>Numbers of findings, when accounts were looked at</legend>
    <${Check} checked=${typed.findingChanges} onChange=${set("findingChanges")}>Findings that were opened or closed</${Check}>
  </fieldset>
`;

function Limits({ typed, set, error }) {
  const pick = (key) => (one) => {
    if (!typed[key].some(({ id }) => id === one.id)) set(key)([...typed[key], one]);
  };
  const drop = (key) => (one) => set(key)(typed[key].filter(({ id }) => id !== one.id));
  const unnamed = typed.instances.filter(({ name }) => name === "…").map(({ id }) => id);
  const load = (signal) => (unnamed.length ? namesOf(unnamed, signal) : Promise.resolve(new Map()));
  const names = useLoad(load, JSON.stringify(unnamed)).data;
  const instances = typed.instances.map((one) => ({ ...one, name: names?.get(one.id) ?? one.name }));
  return html`
    <fieldset class="field">
      <legend>For</legend>
      <${Radio} name="limits" checked=${!typed.isLimited} onChange=${() => set("isLimited")(false)}>All instances, also later ones</${Radio}>
      <${Radio} name="limits" checked=${typed.isLimited} onChange=${() => set("isLimited")(true)}>Some integrations or instances only</${Radio}>
    </fieldset>
    ${typed.isLimited &&
    html`
      <div class="limits">
        <${Finder} label="Integrations" placeholder="Find an integration…" find=${findIntegrations} onPick=${pick("integrations")} />
        <${Picked} chosen=${typed.integrations} onRemove=${drop("integrations")} />
        <${Finder} label="Instances" placeholder="Find an instance…" find=${findInstances} onPick=${pick("instances")} error=${error} />
        <${Picked} chosen=${instances} onRemove=${drop("instances")} />
      </div>
    `}
  `;
}

const Secret = ({ secret, onCopy }) => html`
  <div class="notice"><p>This is the secret with which messages are signed. It is <strong>not shown again</strong>: copy it to the receiver, which checks the signature of each message with it.</p></div>
  <${Copyable} hasFocus label="Secret" text=${secret} onCopy=${onCopy} />
  <footer><${LeaveButton} look="primary">Done</${LeaveButton}></footer>
`;

const KindField = ({ kind, onChange }) => html`
  <${Field}
    label="Send to"
    help=${kindOf(kind).help ?? "It gets events as JSON, signed by the specification Standard Webhooks."}
    control=${(attributes) => html`
      <select ...${attributes} value=${kind} onChange=${({ target }) => onChange(target.value)}>
        ${Object.entries(KINDS).map(([key, { label }]) => html`<option value=${key}>${label}</option>`)}
      </select>
    `}
  />
`;

/** The address, and the key if this kind has one. Of what is stored, only the beginning is known. */
function AddressFields({ typed, set, errors, stored }) {
  const { address, key, mayBeEmpty } = kindOf(typed.kind);
  const isKept = stored && typed.kind !== "STANDARD";
  const help = isKept ? `${stored}/…, the rest is not shown again. Leave it empty to keep it.` : address;
  const keyHelp = isKept ? "Leave it empty to keep it." : key?.help;
  return html`
    <${TextField} label="Address" optional=${Boolean(isKept || mayBeEmpty)} help=${help} type="url" maxlength="2000" value=${typed.url} error=${errors.url ?? ""} onInput=${set("url")} />
    ${key && html`<${TextField} label=${key.label} optional=${Boolean(isKept || key.optional)} help=${keyHelp} type="password" maxlength="500" value=${typed.key} error=${errors.key ?? ""} onInput=${set("key")} />`}
  `;
}

function WebhookForm({ typed, set, stored, save }) {
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const chooseKind = (kind) => {
    set("kind")(kind);
    // They are about the kind before.
    setErrors({});
  };
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      const shortened = (await save()).map((one) => ({ ...one, field: one.field?.slice(0, 1) }));
      const { errors: found, rest } = byField(shortened, FIELDS);
      setErrors(found);
      setError(rest.join(" "));
    });
  };
  return html`
    <form ref=${form} novalidate onSubmit=${submit}>
      ${!stored && html`<${KindField} kind=${typed.kind} onChange=${chooseKind} />`}
      <${AddressFields} typed=${typed} set=${set} errors=${errors} stored=${stored} />
      <${TextField} label="Description" optional maxlength="200" value=${typed.description} error=${errors.description ?? ""} onInput=${set("description")} />
      ${typed.kind === "STANDARD" && html`<${Events} typed=${typed} set=${set} error=${errors.causes ?? ""} />`}
      <${Limits} typed=${typed} set=${set} error=${errors.scope ?? ""} />
      <p class="error" role="alert">${error}</p>
      <footer>
        <${LeaveButton}>Cancel</${LeaveButton}>
        <${Button} look="primary" type="submit" busy=${busy}>${stored ? "Save" : "Add the webhook"}</${Button}>
      </footer>
    </form>
  `;
}

/** Adds a webhook, or changes one. Closes with true if it did. */
export function EditWebhook({ webhook = null, close }) {
  const [before] = useState(webhook ? typedOf(webhook) : UNTYPED);
  const [typed, setTyped] = useState(before);
  const [secret, setSecret] = useState(null);
  const [copied, setCopied] = useState(false);
  const set = (key) => (value) => setTyped((now) => ({ ...now, [key]: value }));
  const isEdited = JSON.stringify(typed) !== JSON.stringify(before);
  const save = async () => {
    const input = webhook
      ? { id: webhook.id, expectedRevision: webhook.revision, ...inputOf(typed) }
      : { kind: typed.kind, ...inputOf(typed) };
    const { secret: made, userErrors } = await change(webhook ? UPDATE : CREATE, input);
    if (made) setSecret(made);
    else if (userErrors.length === 0) {
      if (!webhook) say("It is added. Send a test, to see whether messages arrive.");
      close(true);
    }
    return userErrors;
  };
  return html`
    <${Window}
      title=${secret ? "The webhook is added" : webhook ? "Edit webhook" : "Add a webhook"}
      unsaved=${secret ? !copied : isEdited}
      mayDrop=${secret ? mayLose : mayDrop}
      onLeave=${() => close(Boolean(secret))}
    >
      ${secret
        ? html`<${Secret} secret=${secret} onCopy=${() => setCopied(true)} />`
        : html`<${WebhookForm} typed=${typed} set=${set} stored=${webhook?.url ?? null} save=${save} />`}
    </${Window}>
  `;
}

/** Gives a webhook another secret. Closes with true if it did. */
export function NewSecret({ webhook, close }) {
  const [secret, setSecret] = useState(null);
  const [copied, setCopied] = useState(false);
  const [busy, run, error] = useAction();
  const rotate = () =>
    run(async () => {
      const { secret: made, userErrors } = await change(ROTATE, { id: webhook.id });
      if (userErrors.length) throw new Error(userErrors.map(({ message }) => message).join(" "));
      setSecret(made);
    });
  return html`
    <${Window}
      title="New secret"
      second=${webhook.description || webhook.url}
      unsaved=${Boolean(secret) && !copied}
      mayDrop=${mayLose}
      onLeave=${() => close(Boolean(secret))}
    >
      ${secret
        ? html`<${Secret} secret=${secret} onCopy=${() => setCopied(true)} />`
        : html`
            <p>For 24 hours, messages are signed with the new and the old secret. Give the new one to the receiver in this time. If the old one has leaked, make a new secret twice.</p>
            <p class="error" role="alert">${error}</p>
            <footer>
              <${LeaveButton}>Cancel</${LeaveButton}>
              <${Button} look="primary" busy=${busy} onClick=${rotate}>Make a new secret</${Button}>
            </footer>
          `}
    </${Window}>
  `;
}
