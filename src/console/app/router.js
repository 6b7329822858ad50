// The address of the page. All addresses are paths below the folder at which the console is served.

import { batch, signal } from "../vendor/signals.js";

/** The folder at which the console is served, with a slash at its end. */
export const ROOT = new URL(".", document.baseURI).pathname;

/** The path below the root, without slashes at its ends. */
export const path = signal("");
/** The query of the address. */
export const search = signal(new URLSearchParams());

/** Asks whether the page may be left. Returns false to stay. */
let guard = null;
/** The address that is shown, for when a person goes back and stays. */
let shown = "";

/** `null` removes the guard. */
export function guardPage(asks) {
  guard = asks;
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
  if (!samePage && guard && !(await guard())) return;
  if (!samePage) guard = null;
  if (replace) history.replaceState(null, "", target);
  else if (target.href !== location.href) history.pushState(null, "", target);
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
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
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

async function onPopState() {
  if (guard) {
    const wanted = location.href;
    history.pushState(null, "", shown);
    if (!(await guard())) return;
    guard = null;
    history.replaceState(null, "", wanted);
  }
  read();
}

export function startRouter() {
  read();
  followOldAddress();
  document.addEventListener("click", onClick);
  window.addEventListener("popstate", onPopState);
  window.addEventListener("hashchange", followOldAddress);
  window.addEventListener("beforeunload", (event) => {
    if (guard) event.preventDefault();
  });
}
