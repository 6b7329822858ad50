// The credential and configuration of an instance inside a window: folded away until wanted, and tested on demand.

import { useEffect, useId, useState } from "../../vendor/hooks.js";
import { html } from "../lib.js";
import { ConsentElsewhere } from "../ui/consent.js";
import { useAction } from "../ui/dialog.js";
import { ConfigurationFields, byField, pathsOf, secretsOf } from "../ui/fields.js";
import { Button } from "../ui/parts.js";
import { Documentation } from "../ui/preparation.js";
import { testConnection, Verdict } from "../ui/verdict.js";

/**
 * The test of a configuration. While its fields are open, they show what is wrong with them. Returns
 * `{ busy, failure, verdict, test }`.
 */
export function useTest({ instance, configuration, isOpen, onErrors }) {
  const [tested, setTested] = useState(null);
  const [busy, run, failure] = useAction();
  const { changed } = configuration;
  const typed = JSON.stringify(changed);
  const test = () =>
    run(async () => {
      setTested(null);
      const result = await testConnection({ instanceId: instance.id, config: changed });
      const { errors, rest } = byField(result.userErrors, pathsOf(configuration), secretsOf(configuration));
      onErrors(isOpen ? errors : {});
      setTested({ of: typed, result, reasons: isOpen ? rest : undefined });
    });
  // What was tested is no longer what is typed.
  const isShown = tested?.of === typed;
  return { busy, failure, test, verdict: isShown && html`<${Verdict} result=${tested.result} reasons=${tested.reasons} />` };
}

/** Where the credential comes from, for a person. */
function Preparation({ integration }) {
  const { name, requiredPermissions } = integration;
  return html`
    ${requiredPermissions.length > 0 &&
    html`<p class="second">In ${name}, it needs ${requiredPermissions.map((permission, index) => html`${index > 0 && ", "}<code>${permission}</code>`)}.</p>`}
    <${Documentation} integration=${integration} />
  `;
}

/** The part of a window about the credential. `onConsent` begins the consent where the integration needs it. */
export function Credential({ instance, configuration, errors, busy, onErrors, onConsent }) {
  const { integration } = instance;
  const isRefused = instance.status === "INACTIVE" && instance.inactiveReason !== "USER_DEACTIVATED";
  const [isOpen, setOpen] = useState(isRefused);
  const { needsConsent } = configuration;
  const test = useTest({ instance, configuration, isOpen, onErrors });
  const id = useId();
  const hasError = Object.keys(errors).some((path) => path.startsWith("config."));
  useEffect(() => {
    if (hasError) setOpen(true);
  }, [hasError]);
  const about = configuration.changed.length
    ? "Changed here, and not saved yet."
    : needsConsent
      ? `A person gave consent at ${integration.name}.`
      : "It is stored encrypted, and is never shown again.";
  return html`
    <div class="part apart" role="group" aria-labelledby=${id}>
      <div class="section-row">
        <div class="grow">
          <h3 id=${id}>Credential</h3>
          <p class="second">${about}</p>
        </div>
        <div class="buttons">
          <${Button} aria-expanded=${isOpen ? "true" : "false"} look="small" onClick=${() => setOpen(!isOpen)}>Reconnect…</${Button}>
          <${Button} look="small" busy=${test.busy || busy} onClick=${test.test}>Test…</${Button}>
        </div>
      </div>
      ${isOpen &&
      html`
        <${Preparation} integration=${integration} />
        <${ConsentElsewhere} configuration=${configuration} />
        <${ConfigurationFields} configuration=${configuration} errors=${errors} />
        ${needsConsent &&
        html`<p><${Button} icon="external-link" busy=${busy} onClick=${onConsent}>Consent at ${integration.name}</${Button}></p>`}
      `}
      <p class="error" role="alert">${test.failure}</p>
      ${test.busy && html`<p class="second" role="status">Asking ${integration.name}…</p>`}
      ${test.verdict}
    </div>
  `;
}
