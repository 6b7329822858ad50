// Forms: the fields of an integration's configuration, and sending what was filled in.

import { h, words } from "./dom.js";
import { Choice, Field } from "./field.js";

/** The setting that says which alternative of authentication is used. */
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

/** What a form needs to know of an integration. */
export const FORM_FIELDS = `authenticationOptions { key label kind redirectUri }
  configFields { key label help placeholder pattern default required secret type options onlyWith }`;

/** The fields of an integration's configuration; those of alternatives that are not chosen are not shown. */
export class Configuration {
  #integration;
  #choice = null;
  /** Called when another alternative is chosen. */
  chosen = () => {};

  /** `stored` is the instance's `config`; without one the values are those of a new instance. */
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

  /** Whether a person must consent in the application, with the alternative that is chosen. */
  get needsConsent() {
    return this.#option?.kind === "OAUTH2_AUTHORIZATION_CODE";
  }

  /** Where the application sends that person back to. */
  get redirectUri() {
    return this.#option?.redirectUri ?? null;
  }

  /** The values to send for a new instance. */
  get given() {
    return this.#values(({ value }) => value !== "");
  }

  /** The values to send for an instance that has some already. */
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

  /** Runs `act`, which gives the refusals, unless a field is at fault already. */
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

  /** What belongs to a field that is shown stands beside it, the rest above the buttons. */
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

  /** A credential is refused as a whole; where it is a single field, that is the one at fault. */
  #credential(path) {
    const secrets = this.#entries.map(([, field]) => field).filter((field) => field.shown && field.about.secret);
    return this.#at(path) ?? (secrets.length === 1 ? secrets[0] : undefined);
  }

  /** Says how many fields are at fault, and leads to the first. */
  #lead(fields) {
    if (fields.length === 0) return;
    const count = fields.length === 1 ? "One field needs" : `${fields.length} fields need`;
    this.#summary.textContent = [this.#summary.textContent, `${count} another value.`].filter(Boolean).join(" ");
    this.#entries.find(([, field]) => fields.includes(field))[1].focus();
  }

  /** The buttons are not disabled, since the one that was pressed would lose the focus. */
  #setBusy(busy) {
    this.#busy = busy;
    for (const button of this.buttons) button.setAttribute("aria-disabled", String(busy));
  }
}

/** What a connection test found, in a sentence or three. */
export function tested({ ok, tenant, lostCapabilities, missingPermissions }) {
  return [
    `The connection${tenant ? ` to ${tenant}` : ""} ${ok ? "works" : "does not work"}.`,
    lostCapabilities.length > 0 && `Without: ${lostCapabilities.map(words).join(", ")}.`,
    missingPermissions.length > 0 && `Missing: ${missingPermissions.join(", ")}.`,
  ]
    .filter(Boolean)
    .join(" ");
}
