// The window that creates an API token, and then shows its text once.

import { useState } from "../../../vendor/hooks.js";
import { change } from "../../api.js";
import { html } from "../../lib.js";
import { me } from "../../session.js";
import { Copyable, mayLose } from "../../ui/copyable.js";
import { LeaveButton, mayDrop, useAction, Window } from "../../ui/dialog.js";
import { byField, Field, TextField, useFirstError } from "../../ui/fields.js";
import { findInstances, findIntegrations } from "../../ui/find.js";
import { Finder, Picked } from "../../ui/finder.js";
import { Button } from "../../ui/parts.js";
import { RoleField } from "../../ui/roles.js";

const CREATE_TOKEN = `mutation CreateToken($input: CreateApiTokenInput!) {
  createApiToken(input: $input) { token apiToken { name } userErrors { code field message } }
}`;

const DAY_MS = 86_400_000;
const NEVER = "never";
const UNTIL = "until";
/** How long a token may be valid, in days. */
const LIFETIMES = [
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "A year"],
  [NEVER, "It never expires"],
  [UNTIL, "Until a day of your choice…"],
];
const FIELDS = ["name", "email", "role", "expiresAt", "scope", "personal"];
const UNTYPED = { name: "", email: "", role: "VIEWER", lifetime: "365", until: "", isLimited: false, integrations: [], instances: [], personal: false };

function expiryOf({ lifetime, until }) {
  if (lifetime === NEVER) return null;
  if (lifetime === UNTIL) return new Date(`${until}T23:59:59`).toISOString();
  return new Date(Date.now() + Number(lifetime) * DAY_MS).toISOString();
}

/** What the browser finds wrong. */
function faultsOf(typed) {
  const faults = {};
  if (typed.name.trim() === "") faults.name = "A name is required.";
  if (typed.lifetime === UNTIL && !(new Date(`${typed.until}T23:59:59`) > new Date())) faults.expiresAt = "Choose a day in the future.";
  if (typed.isLimited && typed.integrations.length + typed.instances.length === 0) faults.scope = "Choose at least one integration or instance.";
  return faults;
}

const inputOf = (typed) => ({
  name: typed.name.trim(),
  email: typed.email.trim() || null,
  role: typed.role,
  expiresAt: expiryOf(typed),
  personal: typed.personal,
  scope: typed.isLimited
    ? { integrationKeys: typed.integrations.map(({ id }) => id), instanceIds: typed.instances.map(({ id }) => id) }
    : null,
});

const Expires = ({ typed, set, error }) => html`
  <${Field}
    label="Expires"
    error=${typed.lifetime === UNTIL ? "" : error}
    help=${typed.lifetime === NEVER ? "A token that never expires works until somebody revokes it. Prefer a date." : null}
    control=${(attributes) => html`
      <select ...${attributes} value=${typed.lifetime} onChange=${({ target }) => set("lifetime")(target.value)}>
        ${LIFETIMES.map(([key, label]) => html`<option value=${key}>${label}</option>`)}
      </select>
    `}
  />
  ${typed.lifetime === UNTIL && html`<${TextField} label="Last day" type="date" value=${typed.until} error=${error} onInput=${set("until")} />`}
`;

function Limits({ typed, set, error }) {
  const pick = (key) => (one) => {
    if (!typed[key].some(({ id }) => id === one.id)) set(key)([...typed[key], one]);
  };
  const drop = (key) => (one) => set(key)(typed[key].filter(({ id }) => id !== one.id));
  const choice = (isLimited, label) => html`
    <label class="check"><input type="radio" name="limits" checked=${typed.isLimited === isLimited} onChange=${() => set("isLimited")(isLimited)} /> ${label}</label>
  `;
  return html`
    <fieldset class="field">
      <legend>For</legend>
      ${choice(false, "All instances, also later ones")} ${choice(true, "Some integrations or instances only")}
    </fieldset>
    ${typed.isLimited &&
    html`
      <div class="limits">
        <${Finder} label="Integrations" placeholder="Find an integration…" find=${findIntegrations} onPick=${pick("integrations")} />
        <${Picked} chosen=${typed.integrations} onRemove=${drop("integrations")} />
        <${Finder} label="Instances" placeholder="Find an instance…" find=${findInstances} onPick=${pick("instances")} error=${error} />
        <${Picked} chosen=${typed.instances} onRemove=${drop("instances")} />
      </div>
    `}
  `;
}

const Made = ({ text, name, onCopy }) => html`
  <div class="notice"><p>This is the text of “${name}”. It is <strong>not shown again</strong>: copy it to where it is used. Whoever has it can do what the token may do.</p></div>
  <${Copyable} hasFocus label="Token" text=${text} onCopy=${onCopy} />
  <p class="second">Programs send it in a header: <code>Authorization: Bearer …</code></p>
  <footer><${LeaveButton} look="primary">Done</${LeaveButton}></footer>
`;

function TokenForm({ typed, set, create }) {
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const submit = (event) => {
    event.preventDefault();
    const faults = faultsOf(typed);
    setErrors(faults);
    if (Object.keys(faults).length) return;
    run(async () => {
      const userErrors = await create();
      const shortened = userErrors.map((one) => ({ ...one, field: one.field?.slice(0, 1) }));
      const { errors: found, rest } = byField(shortened, FIELDS);
      setErrors(found);
      setError(rest.join(" "));
    });
  };
  return html`
    <form ref=${form} novalidate onSubmit=${submit}>
      <${TextField} label="Name" help="What uses it, such as “Nightly export”. Histories show it." maxlength="100" value=${typed.name} error=${errors.name ?? ""} onInput=${set("name")} />
      <${RoleField} value=${typed.role} error=${errors.role ?? ""} onInput=${set("role")} />
      <${Expires} typed=${typed} set=${set} error=${errors.expiresAt ?? ""} />
      <${Limits} typed=${typed} set=${set} error=${errors.scope ?? ""} />
      <${TextField} label="E-mail address" help="Gets mail about the instances that are created with the token." optional type="email" value=${typed.email} error=${errors.email ?? ""} onInput=${set("email")} />
      ${me.value.member &&
      html`<label class="check"><input type="checkbox" checked=${typed.personal} onChange=${({ target }) => set("personal")(target.checked)} /> <span>It is mine: it ends when I am no longer a member</span></label>`}
      <p class="error" role="alert">${error}</p>
      <footer>
        <${LeaveButton}>Cancel</${LeaveButton}>
        <${Button} look="primary" type="submit" busy=${busy}>Create token</${Button}>
      </footer>
    </form>
  `;
}

/** Closes with true if a token was created. */
export function CreateToken({ close }) {
  const [typed, setTyped] = useState(UNTYPED);
  const [made, setMade] = useState(null);
  const [copied, setCopied] = useState(false);
  const set = (key) => (value) => setTyped((before) => ({ ...before, [key]: value }));
  const isEdited = JSON.stringify(typed) !== JSON.stringify(UNTYPED);
  const create = async () => {
    const { token, userErrors } = await change(CREATE_TOKEN, inputOf(typed));
    if (token) setMade(token);
    return userErrors;
  };
  return html`
    <${Window}
      title=${made ? "The token is created" : "Create an API token"}
      unsaved=${made ? !copied : isEdited}
      mayDrop=${made ? mayLose : mayDrop}
      onLeave=${() => close(Boolean(made))}
    >
      ${made
        ? html`<${Made} text=${made} name=${typed.name.trim()} onCopy=${() => setCopied(true)} />`
        : html`<${TokenForm} typed=${typed} set=${set} create=${create} />`}
    </${Window}>
  `;
}
