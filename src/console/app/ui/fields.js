// Fields of forms: their label, help and error, and the configuration of an integration.

import { useEffect, useId, useMemo, useRef, useState } from "../../vendor/hooks.js";
import { every } from "../format.js";
import { html } from "../lib.js";

/** The setting that selects how to authenticate. */
const AUTHENTICATION = "authentication";
const INPUTS = { URL: "url", EMAIL: "email", SECRET: "password" };
const LONG = new Set(["SECRET_TEXT", "SECRET_JSON"]);
const KEPT = "Stored. Leave it empty to keep it.";
const DAY = 1440;
const PRESETS = [5, 15, 60, 360, DAY, 7 * DAY];
const LEAST = 1;
const MOST = 30 * DAY;

/** The GraphQL fields of an integration that its configuration needs. */
export const FORM_FIELDS = `authenticationOptions { key label kind redirectUri }
  configFields { key label help placeholder pattern default required secret type options onlyWith }`;

/** Patterns are written for the server. If the browser cannot parse one, only the server checks it. */
function fits(pattern, value) {
  try {
    return new RegExp(`^(?:${pattern})$`, "u").test(value);
  } catch {
    return true;
  }
}

function isObject(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** The fault of a value that the browser can find; empty if there is none. `about` is a `ConfigField`. */
export function fault(about, value, isKept = false) {
  const { label, type, required, pattern, placeholder } = about;
  if (value === "") return required && !isKept ? `${label} is required.` : "";
  if (type === "INTEGER" && !/^-?\d+$/.test(value)) return `${label} must be a whole number.`;
  if (type === "URL" && !URL.canParse(value)) return `${label} must be a whole address, such as https://example.com.`;
  if (type === "EMAIL" && !/^\S+@\S+$/.test(value)) return `${label} must be an e-mail address.`;
  if (type === "SECRET_JSON" && !isObject(value)) return `${label} must be a JSON object, from { to }.`;
  if (pattern && !fits(pattern, value))
    return `${label} does not have the expected form${placeholder ? `, such as ${placeholder}` : ""}.`;
  return "";
}

/** A label, a control, an error and a help text. `control(attributes)` draws the control. */
export function Field({ label, help = null, error = "", optional = false, control }) {
  const id = useId();
  const attributes = { id, "aria-describedby": `${id}-error ${id}-help`, "aria-invalid": error ? "true" : null };
  return html`
    <div class="field">
      <label for=${id}>${label}${optional && html` <small>optional</small>`}</label>
      ${control(attributes)}
      <span class="error" id="${id}-error">${error}</span>
      <small id="${id}-help">${help}</small>
    </div>
  `;
}

/** A field of text. */
export const TextField = ({ label, help, error, optional, value, onInput, ...rest }) => html`
  <${Field}
    label=${label}
    help=${help}
    error=${error}
    optional=${optional}
    control=${(attributes) =>
      html`<input ...${attributes} autocomplete="off" ...${rest} value=${value} onInput=${({ target }) => onInput(target.value)} />`}
  />
`;

/** The time between syncs: presets, or a number of minutes. `minutes` is a text. */
export function IntervalField({ minutes, error, onInput }) {
  const isPreset = PRESETS.includes(Number(minutes));
  const [isOther, setOther] = useState(!isPreset);
  const choose = ({ target }) => {
    setOther(target.value === "other");
    if (target.value !== "other") onInput(target.value);
  };
  return html`
    <${Field}
      label="Sync interval"
      error=${isOther ? "" : error}
      control=${(attributes) => html`
        <select ...${attributes} value=${isOther ? "other" : minutes} onChange=${choose}>
          ${PRESETS.map((preset) => html`<option value=${String(preset)}>${every(preset)}</option>`)}
          <option value="other">Another interval…</option>
        </select>
      `}
    />
    ${isOther &&
    html`<${TextField} label="Minutes between syncs" help="From 1 to 43200, which is 30 days; a day is 1440." type="number" min=${LEAST} max=${MOST} step="1" value=${minutes} error=${error} onInput=${onInput} />`}
  `;
}

/** The fault of a number of minutes; empty if there is none. */
export function intervalFault(minutes) {
  const value = Number(minutes);
  const isGood = /^\d+$/.test(minutes) && value >= LEAST && value <= MOST;
  return isGood ? "" : `The minutes between syncs must be a whole number from ${LEAST} to ${MOST}.`;
}

/**
 * The configuration of an integration, as it is typed. `stored` is the `config` of an existing instance. A secret that is
 * stored is kept while its field is empty. `draft` are the values that were typed before.
 */
export function useConfiguration(integration, stored = [], draft = []) {
  const known = useMemo(() => new Map(stored.map((value) => [value.key, value])), [stored]);
  const first = (about) => {
    if (about.secret) return "";
    const before = known.get(about.key)?.value;
    if (about.key !== AUTHENTICATION) return before ?? about.default ?? "";
    return [before, about.default, about.options[0]].find((key) => about.options.includes(key)) ?? "";
  };
  const before = useMemo(() => Object.fromEntries(integration.configFields.map((about) => [about.key, first(about)])), [integration, known]);
  // Only what a person typed is kept, so that the other fields follow what is stored.
  const [typed, setTyped] = useState(() => Object.fromEntries(draft.map(({ key, value }) => [key, value])));
  const values = { ...before, ...typed };
  const [removed, setRemoved] = useState(() => new Set());

  const choice = integration.configFields.find(({ key }) => key === AUTHENTICATION);
  const chosen = values[AUTHENTICATION];
  const { authenticationOptions: options } = integration;
  const option = choice ? options.find(({ key }) => key === chosen) : options[0];
  const fields = integration.configFields.filter(
    ({ onlyWith }) => !choice || onlyWith.length === 0 || onlyWith.includes(chosen),
  );
  const isKept = (about) => about.secret && known.get(about.key)?.isSet === true && !removed.has(about.key);
  const isChanged = (about) => {
    if (removed.has(about.key)) return true;
    if (about.secret) return values[about.key] !== "";
    // What is not stored yet counts as changed only where a person differs from the default.
    return values[about.key] !== before[about.key];
  };
  const given = (wanted) => fields.filter(wanted).map(({ key }) => ({ key, value: (values[key] ?? "").trim() }));
  return {
    integration,
    fields,
    values,
    isKept,
    removed,
    set: (key, value) => setTyped((known) => ({ ...known, [key]: value })),
    remove: (key, isRemoved) => setRemoved((keys) => new Set([...[...keys].filter((other) => other !== key), ...(isRemoved ? [key] : [])])),
    /** True if the chosen option needs a person's consent in the application. */
    needsConsent: option?.kind === "OAUTH2_AUTHORIZATION_CODE",
    redirectUri: option?.redirectUri ?? null,
    /** The values for a new instance. */
    get given() {
      return given(({ key }) => (values[key] ?? "").trim() !== "");
    },
    /** The changed values for an existing instance. */
    get changed() {
      return given(isChanged);
    },
    /** Those of them that are no secrets. */
    get changedOpenly() {
      return given((about) => !about.secret && isChanged(about));
    },
    /** What the browser finds wrong, by the path of the field. */
    get faults() {
      const found = fields.map((about) => [`config.${about.key}`, fault(about, (values[about.key] ?? "").trim(), isKept(about))]);
      return Object.fromEntries(found.filter(([, message]) => message));
    },
  };
}

function Choice({ about, options, value, error, onInput }) {
  const id = useId();
  return html`
    <fieldset class="field" aria-describedby="${id}-error">
      <legend>${about.label}</legend>
      ${options.map(
        ({ key, label }) => html`
          <p class="check">
            <input type="radio" id="${id}-${key}" name=${id} value=${key} checked=${key === value} onChange=${() => onInput(key)} />
            <label for="${id}-${key}">${label}</label>
          </p>
        `,
      )}
      <span class="error" id="${id}-error">${error}</span>
    </fieldset>
  `;
}

function ConfigField({ about, configuration, error }) {
  const { values, set, isKept, removed, remove } = configuration;
  const id = useId();
  const value = values[about.key] ?? "";
  const input = ({ target }) => set(about.key, target.value);
  const kept = isKept(about);
  const control = (attributes) => {
    const common = { ...attributes, "aria-required": about.required && !kept ? "true" : null };
    if (about.type === "ENUM") {
      return html`
        <select ...${common} value=${value} onChange=${input}>
          ${(!about.required || value === "") && html`<option value="">${about.required ? "Choose…" : "Not set"}</option>`}
          ${about.options.map((option) => html`<option value=${option}>${option}</option>`)}
        </select>
      `;
    }
    const text = {
      ...common,
      autocomplete: about.secret ? "new-password" : "off",
      autocapitalize: "none",
      spellcheck: "false",
      placeholder: about.placeholder,
      value,
      onInput: input,
    };
    if (LONG.has(about.type)) return html`<textarea rows="6" ...${text}></textarea>`;
    const type = about.type === "INTEGER" ? "number" : about.secret ? "password" : (INPUTS[about.type] ?? "text");
    return html`<input type=${type} ...${text} />`;
  };
  const canRemove = about.secret && !about.required && (kept || removed.has(about.key));
  return html`
    <${Field} label=${about.label} help=${[about.help, kept && KEPT].filter(Boolean).join(" ")} error=${error} optional=${!about.required} control=${control} />
    ${canRemove &&
    html`<p class="check">
      <input id=${id} type="checkbox" checked=${removed.has(about.key)} onChange=${({ target }) => remove(about.key, target.checked)} />
      <label for=${id}>Remove the stored value</label>
    </p>`}
  `;
}

/** The fields of a configuration, all by default. `errors` are messages by path, such as `config.token`. */
export function ConfigurationFields({ configuration, errors, fields = configuration.fields }) {
  const labels = new Map(configuration.integration.authenticationOptions.map(({ key, label }) => [key, label]));
  return fields.map((about) => {
    const error = errors[`config.${about.key}`] ?? "";
    if (about.key !== AUTHENTICATION) return html`<${ConfigField} key=${about.key} about=${about} configuration=${configuration} error=${error} />`;
    const options = about.options.map((key) => ({ key, label: labels.get(key) ?? key }));
    return html`<${Choice} key=${about.key} about=${about} options=${options} value=${configuration.values[about.key]} error=${error} onInput=${(value) => configuration.set(about.key, value)} />`;
  });
}

/** The fields of a credential, and the other ones. How to authenticate belongs to the credential. */
export function credentialFields({ fields }) {
  const isCredential = ({ key, secret }) => secret || key === AUTHENTICATION;
  return [fields.filter(isCredential), fields.filter((about) => !isCredential(about))];
}

/**
 * Sorts `userErrors` to fields: `{ errors, rest }`. `paths` are those of the fields that are shown.
 * @returns {{ errors: Record<string, string>, rest: string[] }}
 */
export function byField(userErrors, paths, secrets = []) {
  const errors = {};
  const rest = [];
  for (const { code, field, message } of userErrors) {
    const path = (field ?? []).join(".");
    // A refused credential has no field; if it consists of a single one, that one is meant.
    const own = paths.includes(path) ? path : code === "CREDENTIAL_REJECTED" && secrets.length === 1 ? secrets[0] : null;
    if (own) errors[own] = [errors[own], message].filter(Boolean).join(" ");
    else rest.push(message);
  }
  return { errors, rest };
}

/** The paths of a configuration's fields, and of its secrets. */
export const pathsOf = (configuration) => configuration.fields.map(({ key }) => `config.${key}`);
export const secretsOf = (configuration) => configuration.fields.filter(({ secret }) => secret).map(({ key }) => `config.${key}`);

/** Focuses the first field of a form with an error, once it is drawn. Returns a ref for the form. */
export function useFirstError(errors) {
  const form = useRef(null);
  useEffect(() => {
    if (Object.keys(errors).length) form.current?.querySelector('[aria-invalid="true"]')?.focus();
  }, [errors]);
  return form;
}
