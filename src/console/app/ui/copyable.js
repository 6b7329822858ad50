// Texts to be copied.

import { useEffect, useId, useRef, useState } from "../../vendor/hooks.js";
import { html } from "../lib.js";
import { confirm } from "./dialog.js";
import { Button } from "./parts.js";

/** A text in a field of its own, and a button that copies it. `onCopy()` is called when it was copied. */
export function Copyable({ label, text, help = null, hasFocus = false, onCopy = null }) {
  const field = useRef(null);
  const id = useId();
  const [note, setNote] = useState("");
  useEffect(() => {
    if (hasFocus) field.current.focus();
  }, []);
  const copy = async () => {
    field.current.select();
    // Without HTTPS, only the selected text can be copied.
    const isDone = await navigator.clipboard?.writeText(text).then(() => true, () => false) || document.execCommand("copy");
    setNote(isDone ? "Copied." : "The browser does not allow it. The text is selected: copy it with the keyboard.");
    if (isDone) onCopy?.();
  };
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <span class="copyable">
        <input id=${id} ref=${field} readonly value=${text} aria-describedby="${id}-help" onFocus=${({ target }) => target.select()} onCopy=${() => onCopy?.()} />
        <${Button} icon=${note === "Copied." ? "check" : "copy"} onClick=${copy}>Copy</${Button}>
      </span>
      <small id="${id}-help">${help}</small>
      <small role="status">${note}</small>
    </div>
  `;
}

/** Asks before a text is gone that nobody has copied. */
export const mayLose = () => confirm("Close without copying?", "It is not shown again.", "Close", "danger");
