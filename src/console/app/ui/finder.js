// A field that finds things by name, one of which a person picks.

import { useEffect, useId, useRef, useState } from "../../vendor/hooks.js";
import { html } from "../lib.js";
import { Icon } from "./icon.js";

const TYPING = 200;

/** What was found, once nothing was typed for a moment: `{ text, rows }`; null before that. */
function useFound(find, text, isOpen) {
  const [found, setFound] = useState(null);
  const latest = useRef(null);
  latest.current = find;
  useEffect(() => {
    if (!isOpen) return setFound(null);
    const asked = new AbortController();
    const timer = setTimeout(async () => {
      const rows = await latest.current(text.trim(), asked.signal).catch(() => null);
      if (!asked.signal.aborted) setFound(rows && { text, rows });
    }, found ? TYPING : 0);
    return () => {
      clearTimeout(timer);
      asked.abort();
    };
  }, [text, isOpen]);
  return isOpen ? found : null;
}

const Found = ({ id, label, rows, active, onPick }) => html`
  <ul class="found" id="${id}-list" role="listbox" aria-label=${label} hidden=${!rows}>
    ${rows?.map(
      (one, index) => html`
        <li
          key=${one.id}
          id="${id}-${index}"
          role="option"
          aria-selected=${index === active ? "true" : "false"}
          onMouseDown=${(event) => event.preventDefault()}
          onClick=${() => onPick(one)}
        >${one.name}${one.second && html` <span class="second">${one.second}</span>`}</li>
      `,
    )}
    ${rows?.length === 0 && html`<li class="second" role="option" aria-disabled="true" aria-selected="false">Nothing has that name.</li>`}
  </ul>
`;

/**
 * `find(text, signal)` resolves to `[{ id, name, second }]`; `onPick(one)` is called with what was picked. The list is
 * open while the field has the focus; the arrow keys move in it, Enter picks, Escape closes it.
 */
export function Finder({ label, placeholder = "Search…", find, onPick, error = "" }) {
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const [isOpen, setOpen] = useState(false);
  const found = useFound(find, text, isOpen);
  const rows = found?.rows;
  const id = useId();
  useEffect(() => setActive(0), [rows]);
  const pick = (one) => {
    setText("");
    setOpen(false);
    onPick(one);
  };
  const key = (event) => {
    const moves = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (moves && !isOpen) setOpen(true);
    else if (moves && rows?.length) setActive((active + moves + rows.length) % rows.length);
    else if (event.key === "Enter" && rows?.[active]) {
      // The rows may still be those of what was typed before.
      if (found.text === text) pick(rows[active]);
    }
    else if (event.key === "Escape" && isOpen) setOpen(false);
    else return;
    event.preventDefault();
  };
  return html`
    <div class="field finder">
      <label for=${id}>${label}</label>
      <span class="search">
        <${Icon} name="search" />
        <input
          id=${id}
          type="search"
          role="combobox"
          autocomplete="off"
          spellcheck="false"
          placeholder=${placeholder}
          aria-expanded=${rows ? "true" : "false"}
          aria-controls="${id}-list"
          aria-activedescendant=${rows?.length ? `${id}-${active}` : null}
          aria-describedby="${id}-error"
          aria-invalid=${error ? "true" : null}
          value=${text}
          onInput=${({ target }) => (setText(target.value), setOpen(true))}
          onFocus=${() => setOpen(true)}
          onBlur=${() => setOpen(false)}
          onKeyDown=${key}
        />
      </span>
      <${Found} id=${id} label=${label} rows=${rows} active=${active} onPick=${pick} />
      <span class="error" id="${id}-error">${error}</span>
    </div>
  `;
}

/** What was picked, each with a button that removes it. */
export const Picked = ({ chosen, onRemove }) => html`
  ${chosen.length > 0 &&
  html`<ul class="picked">
    ${chosen.map(
      (one) => html`
        <li key=${one.id} class="chip">
          ${one.name}
          <button type="button" class="quiet bare" aria-label="Remove ${one.name}" onClick=${() => onRemove(one)}><${Icon} name="x" size=${12} /></button>
        </li>
      `,
    )}
  </ul>`}
`;
