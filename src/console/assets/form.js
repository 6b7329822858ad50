// Forms: the configuration fields of an integration, and submitting them.

import { h, words } from "./dom.js";
import { Choice, Field } from "./field.js";

/** The setting that selects the authentication option. */
const AUTHENTICATION = "authentication";

export const NAME = { key: "name", label: "Name of the instance", type: "TEXT", required: true };
export const INTERVAL = {
  key: "syncIntervalMinutes",
  label: "Minutes between syncs",
  help: "From 1 to 43200, which is 30 days; a day is 1440.",
  type: "INTEGER",
  required: true,
  default: "60",
  least: 1,
  most: 43200,
};

/** The GraphQL fields of an integration that a form needs. */
export const FORM_FIELDS = `authenticationOptions { key label kind redirectUri }
  configFields { key label help placeholder pattern default required secret type options onlyWith }`;

/** The configuration fields of an integration. Fields of other authentication options are hidden. */
export class Configuration {
  #integration;
  #choice = null;
  /** Called when another authentication option is chosen. */
  chosen = () => {};

  /** `stored` is the `config` of an existing instance. */
  constructor(integration, stored = []) {
    this.#integration = integration;
    const known = new Map(stored.map((value) => [value.key, value]));
    this.fields = integration.configFields.map((about) => {
      if (about.key !== AUTHENTICATION) return new Field(about, known.get(about.key));
      this.#choice = new Choice(about, this.#options(about), known.get(about.key), () => this.#choose());
      return this.#choice;
    });
    this.elements = this.fields.map(({ element }) => element);
    this.#choose();
  }

  /** True if the chosen option needs a person's consent in the application. */
  get needsConsent() {
    return this.#option?.kind === "OAUTH2_AUTHORIZATION_CODE";
  }

  /** The redirect URI of the chosen option. */
  get redirectUri() {
    return this.#option?.redirectUri ?? null;
  }

  /** The values to send for a new instance. */
  get given() {
    return this.#values(({ value }) => value !== "");
  }

  /** The changed values to send for an existing instance. */
  get changed() {
    return this.#values(({ changed }) => changed);
  }

  get #option() {
    const { authenticationOptions: options } = this.#integration;
    return this.#choice ? options.find(({ key }) => key === this.#choice.value) : options[0];
  }

  #values(wanted) {
    return this.fields
      .filter((field) => field.shown && wanted(field))
      .map(({ about, value }) => ({ key: about.key, value }));
  }

  #options({ options }) {
    const labels = new Map(this.#integration.authenticationOptions.map(({ key, label }) => [key, label]));
    return options.map((key) => ({ key, label: labels.get(key) ?? key }));
  }

  #choose() {
    for (const field of this.fields) {
      const { onlyWith } = field.about;
      field.show(!this.#choice || onlyWith.length === 0 || onlyWith.includes(this.#choice.value));
    }
    this.chosen();
  }
}

/**
 * A form that says beside each field what is wrong with it. `entries` are pairs of a path, as
 * `UserError.field` has it, and a field; `content` is what is shown of them.
 */
export class Form {
  #entries;
  #busy = false;
  #summary = h("p", { class: "error", role: "alert" });
  #status = h("p", { role: "status" });

  constructor(session, entries, content, buttons, submit) {
    this.session = session;
    this.#entries = entries.map(([path, field]) => [path.join("."), field]);
    this.buttons = buttons;
    this.element = h(
      "form",
      {
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          submit();
        },
      },
      content,
      this.#summary,
      this.#status,
      h("p", { class: "buttons" }, buttons),
    );
  }

  say(message) {
    this.#status.textContent = message;
  }

  /** Runs `act`, which returns the user errors, unless a field is already invalid. */
  async run(waiting, act) {
    if (this.#busy) return;
    this.#clear();
    if (!this.#check()) return;
    this.#setBusy(true);
    this.say(waiting);
    try {
      const refusals = await act();
      if (this.#status.textContent === waiting) this.say("");
      if (refusals.length) this.#refuse(refusals);
    } catch (error) {
      if (error.code === "FORBIDDEN") this.session.readOnly = true;
      this.say("");
      this.#summary.textContent = error.message;
    } finally {
      this.#setBusy(false);
    }
  }

  #clear() {
    this.say("");
    this.#summary.textContent = "";
    for (const [, field] of this.#entries) field.say("");
  }

  #check() {
    const faults = this.#entries
      .filter(([, field]) => field.shown)
      .map(([, field]) => [field, field.fault()])
      .filter(([, fault]) => fault);
    for (const [field, fault] of faults) field.say(fault);
    this.#lead(faults.map(([field]) => field));
    return faults.length === 0;
  }

  /** Shows the errors of visible fields next to them, and the others above the buttons. */
  #refuse(refusals) {
    const rest = [];
    const told = new Map();
    for (const { code, field: path, message } of refusals) {
      const field = code === "CREDENTIAL_REJECTED" ? this.#credential(path) : this.#at(path);
      if (field?.shown) told.set(field, [...(told.get(field) ?? []), message]);
      else rest.push(message);
    }
    for (const [field, messages] of told) field.say(messages.join(" "));
    this.#summary.textContent = rest.join(" ");
    this.#lead([...told.keys()]);
  }

  #at(path) {
    return new Map(this.#entries).get((path ?? []).join("."));
  }

  /** A refused credential has no field; if it consists of a single field, that one is meant. */
  #credential(path) {
    const secrets = this.#entries.map(([, field]) => field).filter((field) => field.shown && field.about.secret);
    return this.#at(path) ?? (secrets.length === 1 ? secrets[0] : undefined);
  }

  /** Shows how many fields are invalid, and focuses the first. */
  #lead(fields) {
    if (fields.length === 0) return;
    const count = fields.length === 1 ? "One field needs" : `${fields.length} fields need`;
    this.#summary.textContent = [this.#summary.textContent, `${count} another value.`].filter(Boolean).join(" ");
    this.#entries.find(([, field]) => fields.includes(field))[1].focus();
  }

  /** Does not disable the buttons, because the pressed one would lose the focus. */
  #setBusy(busy) {
    this.#busy = busy;
    for (const button of this.buttons) button.setAttribute("aria-disabled", String(busy));
  }
}

/** The result of a connection test in a few sentences. */
export function tested({ ok, tenant, lostCapabilities, missingPermissions }) {
  return [
    `The connection${tenant ? ` to ${tenant}` : ""} ${ok ? "works" : "does not work"}.`,
    lostCapabilities.length > 0 && `Without: ${lostCapabilities.map(words).join(", ")}.`,
    missingPermissions.length > 0 && `Missing: ${missingPermissions.join(", ")}.`,
  ]
    .filter(Boolean)
    .join(" ");
}
