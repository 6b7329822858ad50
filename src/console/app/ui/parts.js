// Small parts of pages.

import { useEffect, useId, useRef, useState } from "../../vendor/hooks.js";
import { signal } from "../../vendor/signals.js";
import { authorization, call, isPassing } from "../api.js";
import { useLoad } from "../data.js";
import { number } from "../format.js";
import { html } from "../lib.js";
import { address } from "../router.js";
import { token } from "../token.js";
import { Icon } from "./icon.js";

/** A link to a page of the console. */
export const Link = ({ to, children, ...rest }) => html`<a href=${address(to)} ...${rest}>${children}</a>`;

export const instanceLink = (id) => `instances/${encodeURIComponent(id)}`;
export const personLink = (id) => `people/${encodeURIComponent(id)}`;
export const integrationLink = (key) => `integrations/${encodeURIComponent(key)}`;

/** The heading of a page, which gets the focus when the page is shown. `actions` stand at its right. */
export function Heading({ title, crumbs = null, second = null, actions = null, before = null }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${title} – Muster`;
  }, [title]);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
  }, []);
  return html`
    <header class="heading">
      ${crumbs && html`<nav class="crumbs" aria-label="Breadcrumbs">${crumbs}</nav>`}
      <div class="heading-row">
        ${before}
        <div class="heading-text">
          <h1 ref=${heading} tabindex="-1">${title}</h1>
          ${second && html`<p class="second">${second}</p>`}
        </div>
        ${actions && html`<div class="actions">${actions}</div>`}
      </div>
    </header>
  `;
}

/**
 * A button. While `busy`, it does nothing but keep the focus. `look` is `primary`, `danger` or `quiet`.
 */
export function Button({ look = "", busy = false, icon = null, children, onClick, type = "button", ...rest }) {
  const press = (event) => {
    if (busy) event.preventDefault();
    else onClick?.(event);
  };
  return html`
    <button type=${type} class=${look} aria-disabled=${busy ? "true" : null} onClick=${press} ...${rest}>
      ${icon && html`<${Icon} name=${icon} />`}${children}
    </button>
  `;
}

/** What is said after an action, at the bottom of the page and to screen readers. */
export const said = signal(null);
let silence = null;
/** `tone` is `ok` or `danger`. Errors stay until they are closed. `remedy` is a button: `{ label, act }`. */
export function say(text, tone = "ok", remedy = null) {
  clearTimeout(silence);
  said.value = { text, tone, remedy };
  if (tone === "ok") silence = setTimeout(() => (said.value = null), 8_000);
}

/** What is at `to` as a file that is called `name`. A link carries the session; a token is sent by hand. */
export function Download({ to, name }) {
  const [busy, setBusy] = useState(false);
  // Over plain http, the server knows by the address of this page that no other one has made the link.
  if (!token.value) return html`<a class="button" href=${address(to)} download referrerpolicy="same-origin"><${Icon} name="download" />Export CSV</a>`;
  const save = async () => {
    setBusy(true);
    try {
      const file = URL.createObjectURL(await (await call(to, { headers: authorization() })).blob());
      Object.assign(document.createElement("a"), { href: file, download: `${name}.csv` }).click();
      URL.revokeObjectURL(file);
    } catch (error) {
      say(error.message, "danger");
    } finally {
      setBusy(false);
    }
  };
  return html`<${Button} icon="download" busy=${busy} onClick=${save}>Export CSV</${Button}>`;
}

const follow = ({ act }) => {
  said.value = null;
  act();
};

export const Said = () => html`
  <div class="said" role="status" aria-live="polite">
    ${said.value &&
    html`<p class=${said.value.tone}>
      ${said.value.text}
      ${said.value.remedy && html`<button type="button" class="small" onClick=${() => follow(said.value.remedy)}>${said.value.remedy.label}</button>`}
      <button type="button" class="quiet bare" aria-label="Close this message" onClick=${() => (said.value = null)}><${Icon} name="x" /></button>
    </p>`}
  </div>
`;

/** What is shown in place of an empty list. */
export const Empty = ({ title, children }) => html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;

/** Why something could not be loaded. It heals by itself where that can pass. */
export const Failure = ({ error, reload }) => html`
  <div class="notice danger" role="alert">
    <p><strong>This could not be loaded.</strong> ${error.message} ${isPassing(error) && "It is tried again by itself."}</p>
    <p><button type="button" onClick=${reload}>Try again</button></p>
  </div>
`;

/** Grey lines in place of what is being loaded. */
export const Loading = ({ lines = 3 }) => html`
  <div class="loading" role="status"><span class="unseen">Loading…</span>${Array.from({ length: lines }, () => html`<span class="line"></span>`)}</div>
`;

/** That a list is not loaded yet, or why it could not be. */
export const Pending = ({ list: { nodes, error, reload }, lines = 3 }) => html`
  ${error && html`<${Failure} error=${error} reload=${reload} />`}
  ${!nodes && !error && html`<${Loading} lines=${lines} />`}
`;

/** A field to search in a list. `onSearch(text)` is called when nothing was typed for a moment. */
export function Search({ label, placeholder = "Search…", value, onSearch }) {
  const [text, setText] = useState(value);
  const timer = useRef(null);
  const id = useId();
  useEffect(() => {
    // What is being typed stays, with a space at its end.
    setText((typed) => (timer.current !== null || typed.trim() === value ? typed : value));
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = ({ target }) => {
    setText(target.value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      timer.current = null;
      onSearch(target.value.trim());
    }, 200);
  };
  return html`
    <span class="search">
      <label class="unseen" for=${id}>${label}</label>
      <${Icon} name="search" />
      <input id=${id} type="search" placeholder=${placeholder} autocomplete="off" spellcheck="false" value=${text} onInput=${type} />
    </span>
  `;
}

/** How many rows are shown, and a button for more. */
export const More = ({ list, shown = list.nodes?.length ?? 0 }) => html`
  <p class="more">
    <span class="second" role="status">${number(shown)} of ${number(list.total ?? 0)}${list.exact ? "" : "+"} shown</span>
    ${list.hasMore && html`<${Button} onClick=${list.more} busy=${list.busy}>Show more</${Button}>`}
  </p>
`;

/** Links that look like tabs. `items` are `[name, label, to]`. */
export const Tabs = ({ label, items, current }) => html`
  <nav class="tabs" aria-label=${label}>
    ${items.map(([name, text, to]) => html`<${Link} to=${to} aria-current=${name === current ? "page" : null}>${text}</${Link}>`)}
  </nav>
`;

/** The first letters of an application in its colour. */
export function Monogram({ name, size = "" }) {
  const letters = (name.match(/[\p{L}\p{N}]+/gu) ?? []).slice(0, 2).map((word) => [...word][0]).join("").toUpperCase();
  const tint = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 8, 7);
  return html`<span class="monogram tint-${tint} ${size}" aria-hidden="true">${letters}</span>`;
}

/** A part of a page that is loaded when it is needed: `load` gives the component; the rest is for that. */
export function Part({ load, ...rest }) {
  const content = useLoad(() => load().then((shown) => ({ shown })), "content");
  if (content.data) return html`<${content.data.shown} ...${rest} />`;
  return content.error ? html`<${Failure} error=${new Error("The page could not be loaded.")} reload=${content.reload} />` : html`<${Loading} lines=${6} />`;
}
