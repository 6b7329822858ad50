// A form field: its control, help text and error message.

import { h } from "./dom.js";

const INPUTS = { URL: "url", EMAIL: "email", SECRET: "password" };
const LONG = new Set(["SECRET_TEXT", "SECRET_JSON"]);
const KEPT = "Stored. Leave it empty to keep it.";

let count = 0;

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

/**
 * `about` is a `ConfigField` of the API. `stored` is the value of the instance, `{ value, isSet }`.
 * A secret that is set is kept if its field is left empty.
 */
export class Field {
  /** False for a field of an authentication option that is not chosen. */
  shown = true;
  #id = `field-${++count}`;
  #error;
  #remove = null;

  constructor(about, stored = null) {
    this.about = about;
    this.kept = about.secret && stored?.isSet === true;
    this.before = about.secret ? "" : (stored?.value ?? about.default ?? "");
    this.#error = h("span", { class: "error", id: `${this.#id}-error` });
    this.control = this.#control();
    this.control.addEventListener("input", () => this.say(""));
    const help = [about.help, this.kept && KEPT].filter(Boolean).join(" ");
    if (this.kept && !about.required) this.#remove = h("input", { type: "checkbox", id: `${this.#id}-remove` });
    this.element = h(
      "div",
      { class: "field" },
      h("label", { for: this.#id }, about.label, !about.required && h("small", {}, " optional")),
      this.control,
      this.#error,
      help && h("small", { id: `${this.#id}-help` }, help),
      this.#remove &&
        h("p", { class: "check" }, this.#remove, h("label", { for: this.#remove.id }, "Remove the stored value")),
    );
  }

  get value() {
    return this.control.value.trim();
  }

  /** True if the value differs from the stored one. */
  get changed() {
    if (this.#remove?.checked) return true;
    return this.about.secret ? this.value !== "" : this.value !== this.before;
  }

  /** The error that the browser can detect; empty if there is none. */
  fault() {
    const { label, type, required, pattern, placeholder } = this.about;
    const { value, control } = this;
    if (control.validity.badInput) return `${label} must be a whole number.`;
    if (value === "") return required && !this.kept ? `${label} is required.` : "";
    if (type === "INTEGER" && !/^-?\d+$/.test(value)) return `${label} must be a whole number.`;
    if (type === "URL" && !URL.canParse(value)) return `${label} must be a whole address, such as https://example.com.`;
    if (control.validity.typeMismatch) return `${label} must be an e-mail address.`;
    if (type === "SECRET_JSON" && !isObject(value)) return `${label} must be a JSON object, from { to }.`;
    if (pattern && !fits(pattern, value))
      return `${label} does not have the expected form${placeholder ? `, such as ${placeholder}` : ""}.`;
    return "";
  }

  say(message) {
    this.#error.textContent = message;
    if (message) this.control.setAttribute("aria-invalid", "true");
    else this.control.removeAttribute("aria-invalid");
  }

  focus() {
    this.control.focus();
  }

  show(shown) {
    this.shown = shown;
    this.element.hidden = !shown;
  }

  #control() {
    const { about } = this;
    const common = {
      id: this.#id,
      "aria-describedby": `${this.#id}-error ${this.#id}-help`,
      "aria-required": about.required && !this.kept ? "true" : null,
    };
    if (about.type === "ENUM") return this.#select(common);
    const text = {
      ...common,
      autocomplete: about.secret ? "new-password" : "off",
      autocapitalize: "none",
      spellcheck: "false",
      placeholder: about.placeholder,
    };
    if (LONG.has(about.type)) return h("textarea", { ...text, rows: 6 });
    const { least, most } = about;
    if (about.type === "INTEGER")
      return h("input", { ...text, type: "number", step: 1, min: least, max: most, value: this.before });
    return h("input", {
      ...text,
      type: about.secret ? "password" : (INPUTS[about.type] ?? "text"),
      value: this.before,
    });
  }

  #select(common) {
    const { options, required } = this.about;
    const none = (!required || this.before === "") && h("option", { value: "" }, required ? "Choose…" : "Not set");
    const select = h(
      "select",
      common,
      none,
      options.map((option) => h("option", { value: option }, option)),
    );
    select.value = this.before;
    return select;
  }
}

/** The choice between several authentication options. It shows no help, which would only repeat their labels. */
export class Choice {
  shown = true;
  #radios;
  #error;

  /** `options` are `{ key, label }`; `changed` is called when another one is chosen. */
  constructor(about, options, stored, changed) {
    this.about = about;
    const keys = options.map(({ key }) => key);
    this.before = stored?.value ?? "";
    const first = [this.before, about.default, keys[0]].find((key) => keys.includes(key));
    const name = `choice-${++count}`;
    this.#error = h("span", { class: "error", id: `${name}-error` });
    this.#radios = options.map(({ key }) =>
      h("input", {
        type: "radio",
        id: `${name}-${key}`,
        name,
        value: key,
        checked: key === first,
        onchange: () => {
          this.say("");
          changed();
        },
      }),
    );
    this.element = h(
      "fieldset",
      { class: "field", "aria-describedby": `${name}-error` },
      h("legend", {}, about.label),
      options.map(({ label }, index) =>
        h("p", { class: "check" }, this.#radios[index], h("label", { for: this.#radios[index].id }, label)),
      ),
      this.#error,
    );
  }

  get value() {
    return this.#radios.find((radio) => radio.checked)?.value ?? "";
  }

  get changed() {
    return this.value !== this.before;
  }

  fault() {
    return this.value ? "" : `${this.about.label} is required.`;
  }

  say(message) {
    this.#error.textContent = message;
  }

  focus() {
    (this.#radios.find((radio) => radio.checked) ?? this.#radios[0]).focus();
  }

  show(shown) {
    this.shown = shown;
    this.element.hidden = !shown;
  }
}
