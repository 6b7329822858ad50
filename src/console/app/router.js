// The address of the page. All addresses are paths below the folder at which the console is served.

import { batch, effect, signal } from "../vendor/signals.js";

/** The folder at which the console is served, with a slash at its end. */
export const ROOT = new URL(".", document.baseURI).pathname;

/** The path below the root, without slashes at its ends. */
export const path = signal("");
/** The query of the address. */
export const search = signal(new URLSearchParams());

/**
 * What is open above the page, the topmost last: windows. `isUnsaved` says whether leaving one asks first. `leave()` leaves
 * it, and resolves to false if somebody stays.
 */
export const above = signal([]);

/** Asks whether the page may be left. Returns false to stay. */
let guard = null;
/**
 * Whether the present entry of the browser's history is a second one of the page. Back then leads to the first one, and
 * so it is noticed although the page itself is not left.
 */
let isSecond = false;
const SECOND = { isSecond: true };
/** Whether a person goes to another site on purpose, with what is typed kept for when they are back. */
let isLeaving = false;
/** The address that is shown, for when a person goes back and stays. */
let shown = "";

/** `null` removes the guard. */
export function guardPage(asks) {
  guard = asks;
}

/** Leaves what is open above the page, and then the page, unless a question keeps somebody. */
export async function mayLeave() {
  for (let top = above.peek().at(-1); top; top = above.peek().at(-1)) {
    if (!(await top.leave())) return false;
  }
  return !guard || guard();
}

/** Goes to a page of another site. */
export function leaveFor(url) {
  isLeaving = true;
  location.assign(url);
}

/** Has Back noticed before the page is left. */
function hold() {
  if (isSecond) return;
  history.pushState(SECOND, "", shown);
  isSecond = true;
}

/** The address of a path such as `integrations/okta`. */
export const address = (to) => ROOT + to;

function read() {
  const below = location.pathname.startsWith(ROOT) ? location.pathname.slice(ROOT.length) : "";
  batch(() => {
    path.value = below.replace(/\/+$/, "");
    search.value = new URLSearchParams(location.search);
  });
  shown = location.href;
}

/** Shows another page. */
export async function go(to, { replace = false } = {}) {
  const target = new URL(address(to), location.href);
  const samePage = target.pathname === location.pathname;
  if (!samePage && !(await mayLeave())) return;
  if (!samePage) guard = null;
  if (replace || target.href !== location.href) {
    if (replace || isSecond) history.replaceState(null, "", target);
    else history.pushState(null, "", target);
    isSecond = false;
  }
  read();
  if (!samePage) window.scrollTo(0, 0);
}

/** Changes the query of the address: `null` removes a name. */
export function setSearch(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : ""));
  read();
}

/** Addresses that earlier versions used: `#/instances/ID`, and `?instance=UUID` in mails. */
function followOldAddress() {
  const named = new URLSearchParams(location.search).get("instance");
  if (named && path.value === "") {
    const isKey = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(named);
    const id = isKey ? btoa(`Instance:${named.replaceAll("-", "").toLowerCase()}`).replace(/=+$/, "") : named;
    return go(`instances/${encodeURIComponent(id)}`, { replace: true });
  }
  const [, kind, id, part] = /^#\/(\w+)(?:\/([^/?]+))?(?:\/(\w+))?/.exec(location.hash) ?? [];
  if (kind === "instances" && id) return go(`instances/${id}${part ? "?edit" : ""}`, { replace: true });
  if (kind === "catalog") return go(id ? `integrations/${id}` : "integrations", { replace: true });
  if (location.hash === "#/") return go(path.value, { replace: true });
}

/** Follows links to pages of the console without loading it again. */
function onClick(event) {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("a[href]");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (!link.pathname.startsWith(ROOT) || link.dataset.leaves !== undefined) return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  go(link.pathname.slice(ROOT.length) + link.search);
}

/** Back leaves what is open above the page, and nothing else. */
async function onPopState({ state }) {
  const wasSecond = isSecond;
  isSecond = Boolean(state?.isSecond);
  const isSamePlace = location.href === shown;
  const top = above.peek().at(-1);
  if (top) {
    hold();
    return top.leave();
  }
  // Nothing is open any more, so it is the page that is left.
  if (wasSecond && isSamePlace) return history.back();
  if (guard && !isSamePlace) {
    // What is shown stays until it may be left.
    hold();
    if (!(await mayLeave())) return;
    guard = null;
    return history.back();
  }
  read();
}

export function startRouter() {
  read();
  isSecond = Boolean(history.state?.isSecond);
  effect(() => {
    if (above.value.length) hold();
  });
  followOldAddress();
  document.addEventListener("click", onClick);
  window.addEventListener("popstate", onPopState);
  window.addEventListener("hashchange", followOldAddress);
  window.addEventListener("beforeunload", (event) => {
    if (!isLeaving && (guard || above.peek().some(({ isUnsaved }) => isUnsaved))) event.preventDefault();
  });
  // The browser may have kept the page.
  window.addEventListener("pageshow", () => (isLeaving = false));
}
