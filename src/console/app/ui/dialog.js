// Windows above the page.

import { useEffect, useId, useRef, useState } from "../../vendor/hooks.js";
import { signal } from "../../vendor/signals.js";
import { html } from "../lib.js";
import { Icon } from "./icon.js";
import { Said } from "./parts.js";

/** The windows that are open, the topmost last: components that get `close`. */
const windows = signal([]);

/** Opens a window. `content` is a component with the property `close`. Resolves to what it was closed with. */
export function open(content, properties = {}) {
  return new Promise((resolve) => {
    const entry = { content, properties };
    entry.close = (result) => {
      windows.value = windows.value.filter((other) => other !== entry);
      resolve(result);
    };
    windows.value = [...windows.value, entry];
  });
}

/** Closes all windows, for example when somebody signs out. */
export const closeAll = () => windows.value.forEach(({ close }) => close());

export const Windows = () =>
  windows.value.map((entry, index) => html`<${entry.content} key=${index} ...${entry.properties} close=${entry.close} />`);

/**
 * A window with a title, which gets the focus. Escape and the cross call `leave`, which may ask before it closes. The
 * browser keeps the focus inside, and gives it back.
 */
export function Window({ title, second = null, leave, wide = false, children }) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    const opener = /** @type {HTMLElement} */ (document.activeElement);
    const dialog = element.current;
    dialog.showModal();
    dialog.querySelector("h2").focus();
    return () => {
      // Nothing outside can have the focus while the window is open.
      dialog.close();
      if (opener?.isConnected) opener.focus({ preventScroll: true });
      else /** @type {HTMLElement} */ (document.querySelector("main h1"))?.focus({ preventScroll: true });
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    leave();
  };
  // Escape closes a window also when the browser would not ask a second time.
  const key = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    event.stopPropagation();
    leave();
  };
  return html`
    <dialog ref=${element} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${cancel} onKeyDown=${key}>
      <header>
        <div>
          <h2 id=${id} tabindex="-1">${title}</h2>
          ${second && html`<p class="second">${second}</p>`}
        </div>
        <button type="button" class="quiet bare" aria-label="Close" onClick=${() => leave()}><${Icon} name="x" /></button>
      </header>
      ${children}
      <${Said} />
    </dialog>
  `;
}

function Question({ title, text, yes, look, close }) {
  return html`
    <${Window} title=${title} leave=${() => close(false)}>
      ${text && html`<p>${text}</p>`}
      <footer>
        <button type="button" onClick=${() => close(false)}>Cancel</button>
        <button type="button" class=${look} onClick=${() => close(true)}>${yes}</button>
      </footer>
    </${Window}>
  `;
}

/** Asks a question. Resolves to true if the answer is yes. */
export const confirm = (title, text, yes, look = "primary") => open(Question, { title, text, yes, look });

/** Asks whether unsaved edits are dropped. */
export const mayDrop = () =>
  confirm("Discard your changes?", "What you typed here has not been saved.", "Discard", "danger");

/** The toggle that a person sets before something that cannot be undone. */
export function Understood({ checked, onChange }) {
  const id = useId();
  return html`
    <p class="check">
      <input id=${id} type="checkbox" role="switch" checked=${checked} onChange=${({ target }) => onChange(target.checked)} />
      <label for=${id}>I understand that this action cannot be undone</label>
    </p>
  `;
}

/**
 * Runs an action once at a time. Returns `[busy, run, error, setError]`.
 * @returns {[boolean, (act: () => any) => Promise<any>, string, (error: string) => void]}
 */
export function useAction() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const run = async (act) => {
    if (busy) return;
    setBusy(true);
    setError("");
    try {
      return await act();
    } catch (failure) {
      setError(failure.message);
    } finally {
      setBusy(false);
    }
  };
  return [busy, run, error, setError];
}
