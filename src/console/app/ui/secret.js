// Texts that are shown once, to be copied.

import { useEffect, useId, useRef, useState } from "../../vendor/hooks.js";
import { html } from "../lib.js";
import { confirm } from "./dialog.js";
import { Button } from "./parts.js";

/** A text in a field of its own, and a button that copies it. `onCopy()` is called when it was copied. */
export function Copyable({ label, text, onCopy = null }) {
  const field = useRef(null);
  const id = useId();
  const [note, setNote] = useState("");
  useEffect(() => field.current.focus(), []);
  const copy = async () => {
    field.current.select();
    try {
      await navigator.clipboard.writeText(text);
      setNote("Copied.");
      onCopy?.();
    } catch {
      setNote("The browser does not allow it. The text is selected: copy it with the keyboard.");
    }
  };
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <div class="copyable">
        <input ref=${field} id=${id} class="code" readonly value=${text} onFocus=${({ target }) => target.select()} onCopy=${() => onCopy?.()} />
        <${Button} icon="copy" onClick=${copy}>Copy</${Button}>
      </div>
      <small role="status">${note}</small>
    </div>
  `;
}

/** Asks before a text is gone that nobody has copied. */
export const mayLose = () => confirm("Close without copying?", "It is not shown again.", "Close", "danger");
