// Windows above the page.

import { createContext } from "../../vendor/preact.js";
import { useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "../../vendor/hooks.js";
import { html } from "../lib.js";
import { above, guardPage } from "../router.js";
import { Icon } from "./icon.js";
import { Button, Said } from "./parts.js";

/** The window that a component belongs to. */
const Own = createContext(null);

/** A window that is open. What `Window` is given stands in it. */
class Opened {
  isUnsaved = false;
  #mayDrop = () => mayDrop();
  #onLeave = () => this.close();
  #asking = null;

  constructor(content, properties, resolve) {
    this.content = content;
    this.properties = properties;
    this.close = (result) => {
      above.value = above.value.filter((other) => other !== this);
      resolve(result);
    };
  }

  set({ isUnsaved, mayDrop, onLeave }) {
    this.isUnsaved = isUnsaved;
    this.#mayDrop = mayDrop;
    this.#onLeave = onLeave;
  }

  /** Leaves it, after a question if something in it would be lost. Resolves to false if somebody stays. */
  leave = () => (this.#asking ??= this.#ask().finally(() => (this.#asking = null)));

  /** Leaves it without a question. */
  drop = () => this.#onLeave();

  async #ask() {
    if (this.isUnsaved && !(await this.#mayDrop())) return false;
    this.drop();
    return !above.value.includes(this);
  }
}

/** Opens a window. `content` is a component with the property `close`. Resolves to what it was closed with. */
export const open = (content, properties = {}) =>
  new Promise((resolve) => (above.value = [...above.value, new Opened(content, properties, resolve)]));

/** The module of a window, once it is loaded. */
export const loaded = (module) =>
  module.catch(() => {
    throw new Error("The window could not be loaded. Try again when the server can be reached.");
  });

/** Closes all windows, for example when somebody signs out. */
export const closeAll = () => above.value.forEach(({ close }) => close());

export const Windows = () =>
  above.value.map(
    (own) => html`<${Own.Provider} key=${own} value=${own}><${own.content} ...${own.properties} close=${own.close} /></${Own.Provider}>`,
  );

/**
 * A window with a title, which gets the focus. The browser keeps the focus inside, and gives it back. Escape, the cross,
 * Back and `LeaveButton` leave the window: they call `onLeave`, which closes it. What is `unsaved` is asked about first, by
 * `mayDrop`. With `escapeDiscards`, Escape asks nothing.
 */
export function Window({ title, second = null, onLeave, unsaved = false, mayDrop: asks = mayDrop, escapeDiscards = false, wide = false, children }) {
  const element = useRef(null);
  const id = useId();
  const own = useContext(Own);
  useLayoutEffect(() => own.set({ isUnsaved: unsaved, mayDrop: asks, onLeave }));
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
  const onEscape = (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (escapeDiscards) own.drop();
    else own.leave();
  };
  // Escape leaves a window also when the browser would not ask a second time.
  const key = (event) => event.key === "Escape" && !event.defaultPrevented && onEscape(event);
  return html`
    <dialog ref=${element} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${onEscape} onKeyDown=${key}>
      <header>
        <div>
          <h2 id=${id} tabindex="-1">${title}</h2>
          ${second && html`<p class="second">${second}</p>`}
        </div>
        <button type="button" class="quiet bare" aria-label="Close" onClick=${own.leave}><${Icon} name="x" /></button>
      </header>
      ${children}
      <${Said} />
    </dialog>
  `;
}

/** A button that leaves its window, as Escape does. */
export function LeaveButton({ look = "", children }) {
  const own = useContext(Own);
  return html`<${Button} look=${look} onClick=${own.leave}>${children}</${Button}>`;
}

function Question({ title, text, yes, look, close }) {
  return html`
    <${Window} title=${title} onLeave=${() => close(false)}>
      ${text && html`<p>${text}</p>`}
      <footer>
        <${LeaveButton}>Cancel</${LeaveButton}>
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

/** Asks before what is typed in a form of the page is lost with the page. */
export function useGuard(isUnsaved, asks = mayDrop) {
  const latest = useRef(null);
  latest.current = asks;
  useEffect(() => {
    if (!isUnsaved) return;
    guardPage(() => latest.current());
    return () => guardPage(null);
  }, [isUnsaved]);
}

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
