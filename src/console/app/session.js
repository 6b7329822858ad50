// Who is signed in.

import { batch, computed, effect, signal } from "../vendor/signals.js";
import { answered, ApiError, ask, call, early, hidePeople, onRefusal } from "./api.js";
import { go, guardPage } from "./router.js";
import { token } from "./token.js";

/** The position in the log of events. */
export const CURSOR = "query Cursor { eventCursor }";
const LINK = /^#\/(set-up|set-password|enter)\/([\w-]+)$/;
const RETRY = 3_000;
/** Noted while somebody is signed in, for `start.js`. */
const SIGNED_IN = "muster.signed-in";
const NOT_KEPT =
  "Your browser did not keep the session. Open the console at the address in the setting MUSTER_PUBLIC_URL.";

/** Who is signed in: undefined until that is known, null if nobody is. */
export const me = signal(undefined);
/** The page for those who are not signed in: `sign-in`, `set-up` or `set-password`, and what is to be said there. */
export const gate = signal({ page: "sign-in", message: "" });
/** The position in the log before any page asked for anything; null if it is not known. */
export const startCursor = signal(null);
/** Why it is not known who is signed in. */
export const away = signal("");

/** Whether buttons that change something are shown. */
export const mayChange = computed(() => ["ADMIN", "OPERATOR"].includes(me.value?.role));
/** Whether names, events and mails are shown, and not figures alone. */
export const mayRead = computed(() => me.value?.role !== "REPORTS");
effect(() => hidePeople(!mayRead.value));
/** Whether only some instances are seen. What is about the whole installation is refused then. */
const isLimited = computed(() => Boolean(me.value?.scope));
/** Whether the recipients of all mail are shown and changed. */
export const mayManageMail = computed(() => mayChange.value && !isLimited.value);
/** Whether people are shown, who may have accounts in any instance. */
export const maySeePeople = computed(() => mayRead.value && !isLimited.value);
/** Whether it is decided whose accounts are. */
export const mayDecide = computed(() => mayChange.value && !isLimited.value);
/** Whether members, tokens, the audit log and how people are recognised are shown and changed. */
export const mayManage = computed(() => me.value?.role === "ADMIN" && !isLimited.value);
/** Whether the settings of reports are shown. Who manages may change them. */
export const maySeeReportSettings = computed(() => !isLimited.value);
/** Whether instances of an integration may be created; without a key, whether those of any may. */
export function mayConnect(key = null) {
  const keys = me.value?.scope?.integrationKeys;
  if (!mayChange.value || !keys) return mayChange.value;
  return key === null ? keys.length > 0 : keys.includes(key);
}

let link = null;

function showGate(page, message = "") {
  early.clear();
  guardPage(null);
  localStorage.removeItem(SIGNED_IN);
  batch(() => {
    token.value = null;
    me.value = null;
    gate.value = { page, message };
  });
}

/** Who is signed in, as `start.js` has asked; then as it is asked here. Null if it found that nobody is. */
async function whoAsks() {
  const started = await window.started;
  window.started = null;
  if (started === "nobody") return null;
  return started ? answered(started, token.value) : ask(window.startQuery);
}

/** Asks who is signed in, until the server answers. */
export async function enter(otherwise = "") {
  // A refusal forgets both.
  const wasKnown = Boolean(token.value || me.value);
  for (;;) {
    try {
      const found = await whoAsks();
      if (!found) return showGate("sign-in", otherwise);
      if (!token.value) localStorage.setItem(SIGNED_IN, "yes");
      batch(() => {
        away.value = "";
        startCursor.value = found.eventCursor;
        me.value = found.me;
      });
      return;
    } catch (error) {
      if (error.code === "UNAUTHENTICATED") {
        away.value = "";
        const message = wasKnown ? error.message : otherwise;
        return showGate("sign-in", message);
      }
      away.value = error.message;
      await new Promise((later) => setTimeout(later, RETRY));
    }
  }
}

/** Signs in with a password. */
export async function signIn(email, password) {
  await begin("session", { email, password });
}

/** Follows the one-time link with what was entered. */
export async function followLink(entered) {
  await begin("session/link", { link, ...entered });
  link = null;
}

async function begin(to, entered) {
  await call(to, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(entered),
  });
  token.value = null;
  await enter(NOT_KEPT);
}

/** Uses an API token. */
export async function useToken(text) {
  // What no header can carry is no token.
  if (!/^[\x21-\x7e]+$/.test(text)) throw new ApiError("This token is not accepted. It may be mistyped, or revoked.");
  token.value = text;
  await enter();
}

/** Ends the session at the server, too. At the identity provider, the person is asked on a page of its own. */
export async function signOut() {
  const answer = token.value ? null : await call("session", { method: "DELETE" });
  const { signOutPage = null } = (answer?.status === 200 && (await answer.json().catch(() => null))) || {};
  showGate("sign-in");
  if (signOutPage) location.assign(signOutPage);
  else go("");
}

/** The identity provider's label, or null if there is none. */
export async function provider() {
  const answer = await call("auth/oidc").then((response) => response.json()).catch(() => null);
  return answer?.label ?? null;
}

/** Follows the one-time link of the address, if there is one. It is removed from the address, and so from the history. */
async function takeLink() {
  const [, page, found] = LINK.exec(location.hash) ?? [];
  if (!page) return false;
  history.replaceState(null, "", location.pathname);
  link = found;
  if (page !== "enter") {
    showGate(page);
  } else {
    await followLink({}).catch((error) => enter(error.message));
  }
  return true;
}

export async function startSession() {
  onRefusal((message) => {
    if (me.value) showGate("sign-in", message);
  });
  window.addEventListener("hashchange", takeLink);
  if (!(await takeLink())) await enter();
}
