// Signing in with a password or a one-time link, and signing out. The browser keeps the session in a cookie.

const LINK = /^#\/(set-up|set-password|enter)\/([\w-]+)$/;
const at = (id) => document.getElementById(id);

/** The one-time link of the address: `{ page, link }`. It is removed from the address, and so from the history. */
export function takeLink() {
  const [, page, link] = LINK.exec(location.hash) ?? [];
  if (!page) return null;
  history.replaceState(null, "", `${location.pathname}#/`);
  return { page, link };
}

/** Begins a session. Throws an error with a message for a person. */
export async function begin(entered) {
  const address = new URL(entered.link ? "session/link" : "session", document.baseURI);
  await call(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(entered) });
}

/** Offers the identity provider, if there is one. The person returns to the page at which they are now. */
async function offerProvider() {
  const response = await fetch(new URL("auth/oidc", document.baseURI)).catch(() => null);
  const { label } = (await response?.json().catch(() => null)) ?? {};
  if (!label) return;
  at("provider").textContent = label;
  at("provider").href = `auth/oidc/start?return=${encodeURIComponent(`/${location.hash}`)}`;
  at("with-provider").hidden = !at("follow").hidden;
}

/** Ends the session. */
export async function end() {
  await call(new URL("session", document.baseURI), { method: "DELETE" });
}

async function call(address, options) {
  const response = await fetch(address, { ...options, credentials: "same-origin" }).catch(() => null);
  if (!response) throw new Error("The server cannot be reached.");
  if (response.ok) return;
  const answer = await response.json().catch(() => null);
  throw new Error(answer?.errors?.[0]?.message ?? `The server answered with status ${response.status}.`);
}

/** Shows the form of a page: `sign-in`, `set-up` or `set-password`. */
export function showGate(page, message = "") {
  const titles = { "set-up": "Become the first administrator", "set-password": "Choose a password" };
  const follows = page in titles;
  at("gate-title").textContent = titles[page] ?? "Sign in";
  at("gate-error").textContent = message;
  at("sign-in").hidden = at("with-token").hidden = follows;
  at("follow").hidden = !follows;
  at("who").hidden = page !== "set-up";
  at("new-name").required = at("new-email").required = page === "set-up";
  for (const field of ["password", "new-password", "token"]) at(field).value = "";
  at("with-provider").hidden = true;
  if (!follows) offerProvider();
  at("gate").hidden = false;
  at(page === "set-up" ? "new-name" : follows ? "new-password" : "email").focus();
}
