// A small window with the credential of an instance alone.

import { useEffect, useState } from "../../vendor/hooks.js";
import { change } from "../api.js";
import { beginConsent } from "../consent.js";
import { useQuery } from "../data.js";
import { dropDraft, keepDraft } from "../draft.js";
import { html } from "../lib.js";
import { INSTANCE, remember } from "../store.js";
import { LeaveButton, open, useAction, Window } from "../ui/dialog.js";
import { byField, ConfigurationFields, credentialFields, FORM_FIELDS, pathsOf, secretsOf, useConfiguration, useFirstError } from "../ui/fields.js";
import { ConsentElsewhere, FailedConsent } from "../ui/consent.js";
import { Copyable } from "../ui/copyable.js";
import { Button, Failure, Loading, say } from "../ui/parts.js";
import { Documentation, PREPARATION, Steps } from "../ui/preparation.js";
import { CONFLICT, toldConflict } from "./conflict.js";
import { useTest } from "./credential.js";

const INSTANCE_TO_RECONNECT = `query InstanceToReconnect($id: ID!) {
  instance(id: $id) { ...Row config { key value isSet } integration { key ${PREPARATION} ${FORM_FIELDS} } }
} ${INSTANCE}`;
const RECONNECT = `mutation Reconnect($input: UpdateInstanceInput!) {
  updateInstance(input: $input) { instance { ...Row } userErrors { code field message } ${CONFLICT} }
} ${INSTANCE}`;

/**
 * Opens the window. Resolves to the instance if it was changed. `isFolded` folds what is no credential. After a consent that
 * did not succeed, `draft` is what was typed before, and `failed` is why.
 */
export const reconnectInstance = (id, { title = "Reconnect", isFolded = false, draft = null, failed = null } = {}) =>
  open(ReconnectInstance, { id, title, isFolded, draft, failed });

function ReconnectInstance({ id, close, ...rest }) {
  const { data, error, reload } = useQuery(INSTANCE_TO_RECONNECT, { id });
  // What was loaded first stays, so that nothing changes under what is typed.
  const [loaded, setLoaded] = useState(null);
  if (data?.instance && !loaded) setLoaded(data.instance);
  if (loaded) return html`<${ReconnectForm} instance=${loaded} close=${close} ...${rest} />`;
  return html`
    <${Window} title=${rest.title} onLeave=${() => close()}>
      ${error ? html`<${Failure} error=${error} reload=${reload} />` : data ? html`<p>This instance has been deleted.</p>` : html`<${Loading} />`}
    </${Window}>
  `;
}

/** How a person gets the credential. */
const WhereToFind = ({ integration, redirectUri }) => html`
  <details>
    <summary>Where to find it in ${integration.name}</summary>
    <div class="part">
      <${Steps} integration=${integration} />
      ${redirectUri && html`<${Copyable} label="Redirect address" text=${redirectUri} />`}
      <${Documentation} integration=${integration} />
    </div>
  </details>
`;

/** The fields. Those that are no credential are behind a line where they are folded. */
function Fields({ configuration, errors, isFolded }) {
  const [credential, others] = credentialFields(configuration);
  const [isOpen, setOpen] = useState(!isFolded);
  const isWrong = others.some(({ key }) => errors[`config.${key}`]);
  useEffect(() => {
    if (isWrong) setOpen(true);
  }, [isWrong]);
  if (!isFolded || !others.length) return html`<${ConfigurationFields} configuration=${configuration} errors=${errors} />`;
  return html`
    ${!credential.length && html`<p>${configuration.integration.name} takes no credential. It is asked again as it is configured.</p>`}
    <${ConfigurationFields} configuration=${configuration} errors=${errors} fields=${credential} />
    <details open=${isOpen} onToggle=${({ target }) => setOpen(target.open)}>
      <summary>Other settings</summary>
      <div class="part"><${ConfigurationFields} configuration=${configuration} errors=${errors} fields=${others} /></div>
    </details>
  `;
}

function ReconnectForm({ instance, title, isFolded, draft, failed, close }) {
  const { id, name, integration } = instance;
  const configuration = useConfiguration(integration, instance.config, draft?.config);
  const [{ errors, rest }, refuse] = useState({ errors: {}, rest: [] });
  const [busy, run, failure] = useAction();
  const [revision, setRevision] = useState(instance.revision);
  const form = useFirstError(errors);
  const test = useTest({ instance, configuration, isOpen: true, onErrors: (found) => refuse({ errors: found, rest: [] }) });
  const { needsConsent, changed, faults } = configuration;
  const leave = () => {
    dropDraft(id);
    close();
  };
  const consent = async () => {
    if (changed.length) keepDraft(id, { config: configuration.changedOpenly, revision: instance.revision });
    return beginConsent(integration.name, { instanceId: id, config: changed });
  };
  const save = async () => {
    refuse({ errors: {}, rest: [] });
    if (Object.keys(faults).length) return refuse({ errors: faults, rest: [] });
    const takesNone = !credentialFields(configuration)[0].length;
    if (!changed.length && !needsConsent && !takesNone) return refuse({ errors: {}, rest: ["Nothing was changed, so there is nothing to check."] });
    const sort = (userErrors) => refuse(byField(userErrors, pathsOf(configuration), secretsOf(configuration)));
    if (needsConsent) return sort(await consent());
    const payload = await change(RECONNECT, { id, expectedRevision: revision, ...(changed.length ? { config: changed } : { status: "LIVE" }) });
    if (payload.conflict) {
      setRevision(payload.conflict.revision);
      return refuse({ errors: {}, rest: [`${toldConflict(payload.conflict)} Save again to apply yours on top.`] });
    }
    if (payload.userErrors.length) return sort(payload.userErrors);
    dropDraft(id);
    remember([payload.instance]);
    say(`“${name}” is connected${instance.status !== "LIVE" && payload.instance.status === "LIVE" ? " again, and is synced now" : " with the new values"}.`);
    close(payload.instance);
  };
  const submit = (event) => {
    event.preventDefault();
    run(save);
  };
  return html`
    <${Window} title=${title} second=${`${name}, ${integration.name}`} unsaved=${changed.length > 0} onLeave=${leave}>
      <form ref=${form} onSubmit=${submit} noValidate>
        ${failed && html`<${FailedConsent} failed=${failed} />`}
        <${ConsentElsewhere} configuration=${configuration} />
        <${Fields} configuration=${configuration} errors=${errors} isFolded=${isFolded && !needsConsent} />
        <${WhereToFind} integration=${integration} redirectUri=${configuration.redirectUri} />
        <p class="error" role="alert">${[failure, test.failure, ...rest].filter(Boolean).join(" ")}</p>
        ${(busy || test.busy) && html`<p class="second" role="status">Asking ${integration.name}…</p>`}
        ${test.verdict}
        <footer>
          <${LeaveButton}>Cancel</${LeaveButton}>
          ${!needsConsent && html`<${Button} busy=${busy || test.busy} onClick=${test.test}>Test…</${Button}>`}
          <${Button} type="submit" look="primary" busy=${busy}>${needsConsent ? `Continue at ${integration.name}` : "Check and save"}</${Button}>
        </footer>
      </form>
    </${Window}>
  `;
}
