// Integrate: the form that connects an application, and the first sync of what was connected.

import { useEffect, useMemo, useState } from "../../vendor/hooks.js";
import { ask, change } from "../api.js";
import { beginConsent } from "../consent.js";
import { useLoad } from "../data.js";
import { dropDraft, keepDraft, keptDraft, takeFailedConsent } from "../draft.js";
import { plural } from "../format.js";
import { html } from "../lib.js";
import { go, guardPage, search, setSearch } from "../router.js";
import { mayChange, mayConnect } from "../session.js";
import { INSTANCE, remember } from "../store.js";
import { mayDrop, useAction, useGuard } from "../ui/dialog.js";
import { byField, ConfigurationFields, FORM_FIELDS, IntervalField, intervalFault, pathsOf, secretsOf, TextField, useConfiguration, useFirstError } from "../ui/fields.js";
import { Button, Empty, Failure, Heading, integrationLink, Link, Loading, Monogram } from "../ui/parts.js";
import { ConsentElsewhere, FailedConsent } from "../ui/consent.js";
import { Copyable } from "../ui/copyable.js";
import { Documentation, Permissions, PREPARATION, Steps } from "../ui/preparation.js";
import { testConnection, Verdict } from "../ui/verdict.js";
import { FirstSync } from "./first-sync.js";

const INTEGRATION_TO_CONNECT = `query IntegrationToConnect($key: String!) {
  integration(key: $key) { key isDelivered ${PREPARATION} ${FORM_FIELDS} }
}`;
const NAMES_TAKEN = `query NamesTaken($name: String!, $kept: String!) {
  like: instances(filter: { search: $name }, first: 100) { totalCount nodes { name } }
  kept: instances(filter: { search: $kept }, first: 100) { nodes { name } }
}`;
const CREATE_INSTANCE = `mutation CreateInstance($input: CreateInstanceInput!) {
  createInstance(input: $input) { instance { ...Row } userErrors { code field message } }
} ${INSTANCE}`;
const USUAL_MINUTES = "60";

/** A name that no instance has. */
function freeName(name, { totalCount, nodes }) {
  const taken = new Set(nodes.map((instance) => instance.name.toLowerCase()));
  if (!taken.has(name.toLowerCase())) return name;
  let number = totalCount > nodes.length ? totalCount : 2;
  while (taken.has(`${name} ${number}`.toLowerCase())) number += 1;
  return `${name} ${number}`;
}

/** The integration, a free name, what was typed before, if that did not succeed meanwhile, and why a consent failed. */
async function loadForm(key, signal) {
  const { integration } = await ask(INTEGRATION_TO_CONNECT, { key }, signal);
  if (!integration) return { integration };
  const draft = keptDraft(key);
  const { like, kept } = await ask(NAMES_TAKEN, { name: integration.name, kept: draft?.name || integration.name }, signal);
  const hasSucceeded = draft?.hasLeft && kept.nodes.some(({ name }) => name.toLowerCase() === draft.name.toLowerCase());
  if (hasSucceeded) dropDraft(key);
  const failed = takeFailedConsent(key) ?? draft?.failed ?? null;
  // Also for when the page is loaded again.
  if (draft && failed) keepDraft(key, { ...draft, failed });
  return { integration, suggested: freeName(integration.name, like), draft: hasSucceeded ? null : draft, failed: hasSucceeded ? null : failed };
}

/** What is in the form. `draft` is what was typed before. */
function useForm(integration, suggested, draft) {
  const stored = useMemo(() => (draft?.config ?? []).map((value) => ({ ...value, isSet: true })), []);
  const configuration = useConfiguration(integration, stored);
  const [typed, setTyped] = useState(draft ? { name: draft.name, minutes: draft.minutes } : {});
  const { name = suggested, minutes = USUAL_MINUTES } = typed;
  const { values, fields, given, changed } = configuration;
  const isTyped = name !== (draft?.name ?? suggested) || minutes !== (draft?.minutes ?? USUAL_MINUTES) || changed.length > 0;
  const config = fields.filter(({ key, secret }) => !secret && values[key]).map(({ key }) => ({ key, value: values[key] }));
  const found = { name: name.trim() ? "" : "The name is required.", syncIntervalMinutes: intervalFault(minutes) };
  const ownFaults = Object.fromEntries(Object.entries(found).filter(([, fault]) => fault));
  return {
    name,
    minutes,
    configuration,
    isTyped,
    kept: { name, minutes, config },
    byPath: { name, syncIntervalMinutes: minutes, ...Object.fromEntries(fields.map(({ key }) => [`config.${key}`, values[key]])) },
    input: { integrationKey: integration.key, name: name.trim(), config: given, syncIntervalMinutes: Number(minutes) },
    faults: { ...configuration.faults, ...ownFaults },
    set: (field) => (value) => setTyped((known) => ({ ...known, [field]: value })),
  };
}

/** Keeps what is typed for when the page is left, and asks before it is discarded. What was kept before is asked about by a button. */
function useKept(key, { isTyped, kept }) {
  const guard = async () => {
    const isLeft = await mayDrop();
    if (isLeft) dropDraft(key);
    return isLeft;
  };
  const text = JSON.stringify(kept);
  useEffect(() => {
    if (isTyped) keepDraft(key, { ...kept, hasLeft: false });
  }, [isTyped, text]);
  useGuard(isTyped, guard);
}

/** What the buttons do. */
function useConnecting(integration, form) {
  const { key, name } = integration;
  const { configuration, input, faults } = form;
  const [refusal, setRefusal] = useState({ errors: {}, rest: [], of: {} });
  const [tested, setTested] = useState(null);
  const [doing, setDoing] = useState("");
  const [busy, run, failure] = useAction();
  const sort = (userErrors, more = []) => {
    const found = byField(userErrors, [...more, ...pathsOf(configuration)], secretsOf(configuration));
    setRefusal({ ...found, of: form.byPath });
    return found;
  };
  const isFaulty = (found) => {
    setRefusal({ errors: found, rest: [], of: form.byPath });
    return Object.keys(found).length > 0;
  };
  // What was typed since, and fields of a way to authenticate that is not chosen, are not wrong any more.
  const isShown = (/** @type {[string, string]} */ [path]) => path in form.byPath && form.byPath[path] === refusal.of[path];
  const errors = Object.fromEntries(Object.entries(refusal.errors).filter(isShown));
  const rest = JSON.stringify(form.byPath) === JSON.stringify(refusal.of) ? refusal.rest : [];
  const consent = async () => {
    keepDraft(key, { ...form.kept, hasLeft: true });
    const refusals = await beginConsent(name, input).catch((error) => [{ message: error.message }]);
    if (!refusals.length) return;
    keepDraft(key, { ...form.kept, hasLeft: false });
    sort(refusals, ["name", "syncIntervalMinutes"]);
  };
  const create = async () => {
    const { instance, userErrors } = await change(CREATE_INSTANCE, input);
    if (userErrors.length) return sort(userErrors, ["name", "syncIntervalMinutes"]);
    dropDraft(key);
    guardPage(null);
    remember([instance]);
    setSearch({ instance: instance.id });
  };
  const submit = (event) => {
    event.preventDefault();
    if (busy || isFaulty(faults)) return;
    setDoing(configuration.needsConsent ? `Going to ${name}…` : `Asking ${name} whether it accepts this…`);
    setTested(null);
    run(configuration.needsConsent ? consent : create);
  };
  const given = JSON.stringify(input.config);
  const test = () => {
    if (isFaulty(configuration.faults)) return;
    setDoing(`Asking ${name}…`);
    run(async () => {
      setTested(null);
      const result = await testConnection({ integrationKey: key, config: input.config });
      setTested({ of: given, result, reasons: sort(result.userErrors).rest });
      // What no field shows, the verdict does.
      setRefusal((found) => ({ ...found, rest: [] }));
    });
  };
  // What was tested may no longer be what is typed.
  return { refusal, errors, rest, failure, busy, doing, submit, test, tested: tested?.of === given ? tested : null };
}

/** That the form is filled with what was typed before. */
function Returned({ integration: { name, configFields }, draft, failed, startOver }) {
  const secrets = configFields.some(({ secret }) => secret) ? " Secrets are not kept; enter them again." : "";
  const filled = draft && html`What you typed is filled in again.${secrets}`;
  const again = draft && html`<p><${Button} look="small" onClick=${startOver}>Start over</${Button}></p>`;
  if (failed) return html`<${FailedConsent} failed=${failed}>${filled && html`<p>${filled}</p>`}${again}</${FailedConsent}>`;
  return html`
    <div class="notice ${draft.hasLeft ? "warning" : "plain"}" role="status">
      <p><strong>${draft.hasLeft ? `You came back from ${name}, and it is not connected yet.` : "You were here before."}</strong> ${filled}</p>
      ${again}
    </div>
  `;
}

function HelpBeside({ integration, redirectUri }) {
  const { name, requiredPermissions } = integration;
  return html`
    <section class="card stack" aria-label="Help">
      <h2>In ${name}</h2>
      <${Steps} integration=${integration} />
      ${redirectUri && html`<${Copyable} label="Redirect address" text=${redirectUri} help="Register it in ${name}, exactly like this." />`}
      ${requiredPermissions.length > 0 && html`<h3>Permissions that the credential needs</h3><${Permissions} permissions=${requiredPermissions} />`}
      <${Documentation} integration=${integration} />
    </section>
  `;
}

const needed = (errors) => {
  const wrong = Object.keys(errors).length;
  if (!wrong) return "";
  return plural(wrong, "One field needs another value.", `${wrong} fields need another value.`);
};

function ConnectForm({ integration, suggested, draft, failed, startOver }) {
  const { key, name } = integration;
  const form = useForm(integration, suggested, draft);
  useKept(key, form);
  const { refusal, errors, rest, failure, busy, doing, submit, test, tested } = useConnecting(integration, form);
  const element = useFirstError(refusal.errors);
  const { configuration } = form;
  const { needsConsent } = configuration;
  const problems = [failure, ...rest, needed(errors)].filter(Boolean);
  const hint = integration.isDelivered
    ? "Nobody is asked for these users: you deliver a list next. The interval is how often you will deliver one."
    : needsConsent
    ? `${name} asks you to consent, and brings you back here. Register the redirect address there first.`
    : configuration.fields.some(({ secret }) => secret)
      ? "The credential is checked before anything is stored. It is stored encrypted, and never shown again."
      : "The connection is checked before anything is stored.";
  return html`
    ${(draft || failed) && html`<${Returned} integration=${integration} draft=${draft} failed=${failed} startOver=${startOver} />`}
    <${ConsentElsewhere} configuration=${configuration} />
    <div class="columns connect">
      <form class="card stack" ref=${element} onSubmit=${submit} noValidate>
        <${TextField} label="Name" help="What this instance is called in Muster." maxlength="200" value=${form.name} error=${errors.name ?? ""} onInput=${form.set("name")} />
        <${ConfigurationFields} configuration=${configuration} errors=${errors} />
        <${IntervalField} minutes=${form.minutes} error=${errors.syncIntervalMinutes ?? ""} onInput=${form.set("minutes")} />
        <p class="second">${hint}</p>
        ${tested && html`<${Verdict} result=${tested.result} reasons=${tested.reasons} />`}
        <p class="error" role="alert">${problems.join(" ")}</p>
        <p class="second" role="status">${busy && doing}</p>
        <p class="buttons">
          <${Button} type="submit" look="primary" busy=${busy}>Integrate</${Button}>
          ${!needsConsent && !integration.isDelivered && html`<${Button} busy=${busy} onClick=${test}>Test…</${Button}>`}
          <${Button} look="quiet" onClick=${() => go(integrationLink(key))}>Cancel</${Button}>
        </p>
      </form>
      <${HelpBeside} integration=${integration} redirectUri=${configuration.redirectUri} />
    </div>
  `;
}

const crumbsTo = (key, name) => html`<${Link} to="integrations">Integrations</${Link}> <span aria-hidden="true">›</span> <${Link} to=${integrationLink(key)}>${name}</${Link}>`;

export function ConnectPage({ part: key }) {
  const { data, error, reload } = useLoad((signal) => loadForm(key, signal), key);
  const created = search.value.get("instance");
  // Reloads, which follow from polling, must not put back what was typed before.
  const [first, setFirst] = useState(null);
  useEffect(() => {
    if (data?.integration) setFirst((before) => before ?? data);
  }, [data]);
  const integration = first?.integration;
  if (data && !data.integration) {
    return html`
      <${Heading} title="Integrate" crumbs=${html`<${Link} to="integrations">Integrations</${Link}>`} />
      <${Empty} title="There is no such integration"><p><${Link} to="integrations?show=all">Show all integrations</${Link}></p></${Empty}>
    `;
  }
  if (!integration) {
    return html`<${Heading} title="Integrate" />${error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${6} />`}`;
  }
  const { name } = integration;
  const startOver = () => {
    dropDraft(key);
    setFirst({ ...first, draft: null, failed: null });
  };
  if (created) return html`<${FirstSync} key=${created} id=${created} crumbs=${crumbsTo(key, name)} name=${name} />`;
  return html`
    <${Heading} key="form" title="Integrate ${name}" crumbs=${crumbsTo(key, name)} before=${html`<${Monogram} name=${name} size="large" />`} />
    ${mayConnect(key)
      ? html`<${ConnectForm} integration=${integration} suggested=${data?.suggested ?? first.suggested} draft=${first.draft} failed=${first.failed} startOver=${startOver} key=${first.draft ? "kept" : "new"} />`
      : html`<${Empty} title=${mayChange.value ? "This token is limited to some instances" : "Your role can only read"}><p>An administrator or operator can connect ${name}.</p></${Empty}>`}
  `;
}
