// The window in which an instance is changed, reconnected and deleted.

import { useEffect, useState } from "../../vendor/hooks.js";
import { change } from "../api.js";
import { beginConsent } from "../consent.js";
import { useQuery } from "../data.js";
import { dropDraft, keepDraft } from "../draft.js";
import { every } from "../format.js";
import { html } from "../lib.js";
import { INSTANCE, remember } from "../store.js";
import { LeaveButton, open, useAction, Window } from "../ui/dialog.js";
import { byField, Field, FORM_FIELDS, IntervalField, intervalFault, pathsOf, secretsOf, TextField, useConfiguration, useFirstError } from "../ui/fields.js";
import { Button, Failure, Loading, say } from "../ui/parts.js";
import { Conflict, CONFLICT, useLastChange } from "./conflict.js";
import { Credential } from "./credential.js";
import { Deletions } from "./delete-instance.js";

const INSTANCE_TO_EDIT = `query InstanceToEdit($id: ID!) {
  instance(id: $id) {
    ...Row config { key value isSet }
    integration { key name documentationUrl requiredPermissions ${FORM_FIELDS} }
  }
} ${INSTANCE}`;
const UPDATE_INSTANCE = `mutation UpdateInstance($input: UpdateInstanceInput!) {
  updateInstance(input: $input) { instance { ...Row } userErrors { code field message } ${CONFLICT} }
} ${INSTANCE}`;
const SAME = "Nothing was changed, so nothing was saved.";

/** Opens the window of an instance. */
export const editInstance = (id) => open(EditInstance, { id });

const isDeleted = (instance) => !instance || ["DELETING", "DELETED"].includes(instance.status);

function EditInstance({ id, close }) {
  const { data, error, reload } = useQuery(INSTANCE_TO_EDIT, { id }, ({ instance }) => instance.id === id);
  if (data && !isDeleted(data.instance)) return html`<${EditForm} newest=${data.instance} reload=${reload} close=${close} />`;
  return html`
    <${Window} title="Edit Instance" onLeave=${() => close()}>
      ${data
        ? html`<p>${data.instance?.status === "DELETING" ? `“${data.instance.name}” is being deleted.` : "This instance has been deleted."}</p>`
        : error
          ? html`<${Failure} error=${error} reload=${reload} />`
          : html`<${Loading} />`}
      <footer><${LeaveButton}>Close</${LeaveButton}></footer>
    </${Window}>
  `;
}

/** What follows from the status that is chosen, in a sentence. */
function consequence(before, status, hasCredential) {
  const isRevoked = before.status === "INACTIVE" && before.inactiveReason !== "USER_DEACTIVATED";
  if (before.integration.isDelivered)
    return status === "LIVE" ? "It takes the lists that are delivered." : "It takes no lists. Its users stay in the register as they are, and go stale.";
  if (status === "INACTIVE" && before.status === "LIVE")
    return "Syncs stop. Its users stay in the register as they are, and go stale.";
  if (status === "LIVE" && isRevoked) return "The credential is checked first. If it works, a sync starts at once.";
  if (status === "LIVE" && before.status === "INACTIVE") return "A sync starts at once, and then on its schedule.";
  if (isRevoked)
    return hasCredential
      ? "If the new credential works, the instance is live again."
      : "The server switched it off, because the application refuses the credential.";
  return status === "LIVE" ? "It is synced on its schedule." : "It is not synced. Its users stay as they were.";
}

/** What a person typed, and the input of `updateInstance` that makes of `before` what was typed. */
function useDraft(before) {
  const [typed, setTyped] = useState(/** @type {Record<string, any>} */ ({}));
  const configuration = useConfiguration(before.integration, before.config);
  const { name = before.name, status = before.status, minutes = String(before.syncIntervalMinutes) } = typed;
  const input = {};
  if (name.trim() !== before.name) input.name = name.trim();
  if (status !== before.status) input.status = status;
  if (Number(minutes) !== before.syncIntervalMinutes) input.syncIntervalMinutes = Number(minutes);
  if (configuration.changed.length) input.config = configuration.changed;
  const found = { name: name.trim() ? "" : "The name is required.", syncIntervalMinutes: intervalFault(minutes) };
  const faults = { ...(input.config ? configuration.faults : {}), ...Object.fromEntries(Object.entries(found).filter(([, fault]) => fault)) };
  return {
    name,
    status,
    minutes,
    configuration,
    input,
    faults,
    isChanged: Object.keys(input).length > 0,
    set: (key) => (value) => setTyped((known) => ({ ...known, [key]: value })),
  };
}

/** What the buttons of the window do. `refusal` is what the server said of the last attempt. */
function useUpdate({ before, draft, reload, setBase, noteChange, close }) {
  const [refusal, setRefusal] = useState({ errors: {}, rest: [], isConflict: false, note: "" });
  const [busy, run, failure] = useAction();
  const { id, integration } = before;
  const refuse = (found) => setRefusal({ errors: {}, rest: [], isConflict: false, note: "", ...found });
  const sort = (userErrors) => {
    const { configuration } = draft;
    refuse(byField(userErrors, ["name", "status", "syncIntervalMinutes", ...pathsOf(configuration)], secretsOf(configuration)));
  };
  const send = async (input, revision) => {
    const { instance, userErrors, conflict } = await change(UPDATE_INSTANCE, { id, expectedRevision: revision, ...input });
    if (conflict) {
      noteChange(conflict);
      await reload();
      refuse({ isConflict: true });
    } else if (userErrors.length) sort(userErrors);
    else remember([instance]);
    return userErrors.length ? null : instance;
  };
  const consent = async ({ config = [], ...rest }, revision) => {
    const known = Object.keys(rest).length ? await send(rest, revision) : before;
    if (!known) return;
    // What was saved is no change of somebody else, if the consent is refused.
    if (known !== before) setBase({ ...before, ...known, integration });
    if (config.length) keepDraft(id, { config: draft.configuration.changedOpenly, revision: known.revision });
    const refusals = await beginConsent(integration.name, { instanceId: id, config }).catch((error) => [{ message: error.message }]);
    if (refusals.length) sort(refusals);
  };
  const save = (revision, { withConsent = false } = {}) =>
    run(async () => {
      const { input, faults, isChanged, configuration } = draft;
      if (Object.keys(faults).length) return refuse({ errors: faults });
      if (withConsent || (input.config && configuration.needsConsent)) return consent(input, revision);
      if (!isChanged) return refuse({ note: SAME });
      const updated = await send(input, revision);
      if (!updated) return;
      dropDraft(id);
      say(outcome(input, updated));
      close(true);
    });
  return { refusal, busy, failure, save, showErrors: (errors) => refuse({ errors }) };
}

/** What was done, and what follows. */
function outcome(input, { name, status, syncIntervalMinutes }) {
  const follows = {
    INACTIVE: "It is inactive now, and is not synced.",
    LIVE: `It is live now. A sync starts at once, then ${every(syncIntervalMinutes).toLowerCase()}.`,
  };
  return [`“${name}” was updated.`, input.status && follows[status]].filter(Boolean).join(" ");
}

function EditForm({ newest, reload, close }) {
  const [base, setBase] = useState(newest);
  // Without a change by a member, the server may still have switched it off.
  const before = base.revision === newest.revision ? { ...base, status: newest.status, inactiveReason: newest.inactiveReason } : base;
  const draft = useDraft(before);
  const { isChanged, configuration, input } = draft;
  const [last, noteChange] = useLastChange(base.id);
  const update = useUpdate({ before, draft, reload, setBase, noteChange, close });
  const { refusal: { errors, rest, isConflict, note }, busy } = update;
  const form = useFirstError(errors);
  const [followed, setFollowed] = useState(null);
  useEffect(() => {
    if (newest.revision <= base.revision || isChanged || isConflict) return;
    // Nothing was typed that could be lost.
    setFollowed(base);
    setBase(newest);
  }, [newest.revision, isChanged]);
  const leave = () => {
    dropDraft(base.id);
    close();
  };
  const rebase = (revision) => {
    setFollowed(null);
    setBase(newest);
    update.save(revision);
  };
  const submit = (event) => {
    event.preventDefault();
    update.save(base.revision);
  };
  // What is being saved here is nobody else's change.
  const told = busy ? base : newest;
  return html`
    <${Window} title="Edit Instance" second=${`${base.name}, ${base.integration.name}`} unsaved=${isChanged} onLeave=${leave}>
      <form ref=${form} onSubmit=${submit} noValidate>
        <${Conflict} base=${base} newest=${told} last=${last} followed=${followed} input=${input} busy=${busy} onApply=${() => rebase(newest.revision)} onClose=${() => setFollowed(null)} />
        <${TextField} label="Name" maxlength="200" value=${draft.name} error=${errors.name ?? ""} onInput=${draft.set("name")} />
        <${Field}
          label="Status"
          error=${errors.status ?? ""}
          help=${consequence(before, draft.status, Boolean(input.config))}
          control=${(attributes) => html`
            <select ...${attributes} value=${draft.status} onChange=${({ target }) => draft.set("status")(target.value)}>
              <option value="LIVE">Live</option>
              <option value="INACTIVE">Inactive</option>
            </select>
          `}
        />
        <${IntervalField} minutes=${draft.minutes} error=${errors.syncIntervalMinutes ?? ""} onInput=${draft.set("minutes")} />
        ${!before.integration.isDelivered && html`<${Credential} instance=${before} configuration=${configuration} errors=${errors} busy=${busy} onErrors=${update.showErrors} onConsent=${() => update.save(base.revision, { withConsent: true })} />`}
        <p class="error" role="alert">${[update.failure, ...rest].filter(Boolean).join(" ")}</p>
        <p class="second" role="status">${busy ? "Saving…" : note}</p>
        <footer>
          <${LeaveButton}>Cancel</${LeaveButton}>
          <${Button} type="submit" look="primary" busy=${busy}>Update Instance</${Button}>
        </footer>
      </form>
      <${Deletions} instance=${newest} close=${close} />
    </${Window}>
  `;
}
