// A field with a list of short texts, such as addresses: each is typed, or several are pasted, and becomes a chip.

import { useEffect, useId, useRef } from "../../vendor/hooks.js";
import { html } from "../lib.js";
import { Icon } from "./icon.js";

/** The list with further texts. Those that are there already, which may differ in case, are left out. */
export function joined(chips, texts) {
  const all = [...chips];
  for (const text of texts) {
    if (!all.some((chip) => chip.text.toLowerCase() === text.toLowerCase())) all.push({ text, error: "" });
  }
  return all;
}

/** Sorts the errors of the server to the texts of `field`: `{ chips, rest }`. */
export function marked(texts, userErrors, field) {
  const chips = texts.map((text) => ({ text, error: "" }));
  const rest = [];
  for (const one of userErrors) {
    const chip = one.field?.[0] === field ? chips[Number(one.field[1] ?? NaN)] : null;
    if (chip) chip.error = one.message;
    else rest.push(one);
  }
  return { chips, rest };
}

function Chip({ chip: { text, error }, remove }) {
  return html`
    <li class="chip ${error ? "wrong" : ""}" title=${error || null}>
      <span>${text}${error && html`<span class="unseen">, ${error}</span>`}</span>
      <button type="button" class="quiet" aria-label="Remove ${text}" onClick=${remove}><${Icon} name="x" size=${14} /></button>
    </li>
  `;
}

/**
 * The field. `chips` are `{ text, error }`; `typed` is what is not a chip yet. `split(text)` makes texts of what was typed or
 * pasted; `isList(text)` says whether what is pasted becomes chips at once.
 */
export function Chips({ label, note, chips, setChips, typed, setTyped, split, isList, error = "", inputmode = "text", hasFocus = false }) {
  const id = useId();
  const input = useRef(null);
  useEffect(() => {
    if (hasFocus) input.current.focus();
  }, []);
  const take = (text) => {
    setChips(joined(chips, split(text)));
    setTyped("");
  };
  const key = (event) => {
    if (!["Enter", ",", ";"].includes(event.key) || event.isComposing) return;
    // Enter in the empty field saves.
    if (event.key === "Enter" && !typed.trim()) return;
    event.preventDefault();
    take(typed);
  };
  const paste = (event) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!isList(text.trim())) return;
    event.preventDefault();
    take(`${typed}\n${text}`);
  };
  const remove = (text) => {
    setChips(chips.filter((chip) => chip.text !== text));
    input.current.focus();
  };
  const reasons = [error, ...chips.filter((chip) => chip.error).map((chip) => `${chip.text}: ${chip.error}`)].filter(Boolean);
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <div class="chips">
        <ul aria-label=${label} class="chip-list">${chips.map((chip) => html`<${Chip} key=${chip.text} chip=${chip} remove=${() => remove(chip.text)} />`)}</ul>
        <input
          id=${id}
          ref=${input}
          type="text"
          inputmode=${inputmode}
          autocomplete="off"
          autocapitalize="none"
          spellcheck="false"
          placeholder="Type and press enter"
          aria-describedby="${id}-error ${id}-note"
          aria-invalid=${reasons.length ? "true" : null}
          value=${typed}
          onInput=${({ target }) => setTyped(target.value)}
          onKeyDown=${key}
          onPaste=${paste}
        />
      </div>
      <span class="error" id="${id}-error" role="alert">${reasons.map((reason) => html`<span class="error-line" key=${reason}>${reason}</span>`)}</span>
      <small id="${id}-note">${note}</small>
    </div>
  `;
}
