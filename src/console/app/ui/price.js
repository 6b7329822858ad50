// The fields that prices and contracts have in common.

import { useState } from "../../vendor/hooks.js";
import { html } from "../lib.js";
import { Field, TextField } from "./fields.js";

const PERIODS = { 1: "Every month", 12: "Every year", 36: "Every 3 years" };
const OTHER = "other";
/** A whole number of a field; what is none is refused by the server as -1. */
export const wholeNumber = (text) => (/^\d{1,9}$/.test(text.trim()) ? Number(text) : -1);

/** A currency by its three letters. */
export const CurrencyField = ({ value, error, onInput }) => html`
  <${TextField} label="Currency" help="Three letters, such as EUR." maxlength="3" autocapitalize="characters" spellcheck="false" value=${value} error=${error} onInput=${(text) => onInput(text.toUpperCase())} />
`;

/** For how many months a price is. `months` is a text. */
export function PeriodField({ months, error, onInput }) {
  const [isOther, setOther] = useState(!Object.hasOwn(PERIODS, months));
  const choose = ({ target }) => {
    setOther(target.value === OTHER);
    if (target.value !== OTHER) onInput(target.value);
  };
  return html`
    <${Field}
      label="Billed"
      error=${isOther ? "" : error}
      control=${(attributes) => html`
        <select ...${attributes} value=${isOther ? OTHER : months} onChange=${choose}>
          ${Object.entries(PERIODS).map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}
          <option value=${OTHER}>Another period…</option>
        </select>
      `}
    />
    ${isOther && html`<${TextField} label="Months" type="number" min="1" max="120" value=${months} error=${error} onInput=${onInput} />`}
  `;
}
