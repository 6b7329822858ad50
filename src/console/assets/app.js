// The console: sign-in, the live state of all instances, and routing.

import { ApiError, Live, request } from "./api.js";
import { Actions } from "./actions.js";
import { catalogPage } from "./catalog.js";
import { h, redraw } from "./dom.js";
import { instancePage } from "./instance.js";
import { instancesPage } from "./instances.js";
import { integrationPage } from "./integration.js";
import { reconnectPage } from "./reconnect.js";
import { begin, end, showGate, takeLink } from "./sign-in.js";

const TOKEN = "muster.token";

const INSTANCE = `fragment State on Instance {
  id name status inactiveReason syncState health failingSince userCount nextSyncAt createdBy createdAt syncIntervalMinutes
  credentialExpiresAt
  integration { key name }
  freshness { state asOf staleSince }
  notice { severity title detail since remedies { label mutation } }
  lastSync { id outcome finishedAt failure { class message } }
}`;
const CHANGES = `subscription Changes($after: String) {
  instanceStateChanged(after: $after) { cursor cause instance { ...State } }
} ${INSTANCE}`;
const PROGRESS = "subscription Progress { syncProgress { instanceId seen expected pages waitingFor waitingUntil } }";
const WELCOME = "query Welcome { me { name role } instances(first: 1) { totalCount } }";

const at = (id) => document.getElementById(id);

/** The state that all pages share. Each sign-in creates a new session. */
class Session {
  instances = new Map();
  progress = new Map();
  /** True once the list of instances is known. */
  loaded = false;
  /** True if the role only reads, so that the buttons are hidden. */
  readOnly = false;
  #cursor = null;
  #live;

  constructor(token) {
    this.token = token;
    this.actions = new Actions(this);
    this.#live = new Live(
      token,
      () => this.#subscriptions(),
      (connection) => showConnection(connection, this.#live),
    );
  }

  /** Runs a query. An invalid token or session leads back to the page to sign in; other errors are thrown only. */
  async query(query, variables, signal) {
    try {
      return await request(this.token, query, variables, signal);
    } catch (error) {
      if (error.code === "UNAUTHENTICATED") signOut(error.message);
      throw error;
    }
  }

  showError(message) {
    at("error").textContent = message;
  }

  showDone(message) {
    at("done").textContent = message;
  }

  refresh() {
    scheduleUpdate();
  }

  /** Shows another page with a message above it. */
  go(address, message) {
    nextMessage = message;
    location.hash = address;
  }

  end() {
    this.#live.stop();
  }

  #subscriptions() {
    const resumed = this.#cursor !== null;
    let first = true;
    return [
      {
        query: CHANGES,
        variables: { after: this.#cursor },
        failed: () => (this.#cursor = null),
        next: ({ instanceStateChanged: event }) => {
          // A snapshot instead of a replay: the cursor is older than the event log, so start again.
          if (first && resumed && event.cause === "SNAPSHOT") this.instances.clear();
          first = false;
          this.#apply(event);
        },
      },
      {
        query: PROGRESS,
        variables: {},
        next: ({ syncProgress: progress }) => {
          if (this.instances.get(progress.instanceId)?.syncState !== "RUNNING") return;
          this.progress.set(progress.instanceId, progress);
          scheduleUpdate();
        },
      },
    ];
  }

  #apply({ cursor, cause, instance }) {
    this.#cursor = cursor;
    this.loaded = true;
    if (instance.status === "DELETED") this.instances.delete(instance.id);
    else this.instances.set(instance.id, instance);
    if (instance.syncState !== "RUNNING") this.progress.delete(instance.id);
    if (cause !== "SNAPSHOT") shownPage?.changed?.(instance.id, cause);
    scheduleUpdate();
  }
}

let session = null;
let shownPage = null;
let updating = false;
/** The message to show on the next page. */
let nextMessage = "";

/** Draws at most once per animation frame. */
function scheduleUpdate() {
  if (updating) return;
  updating = true;
  requestAnimationFrame(() => {
    updating = false;
    shownPage?.update();
  });
}

function showConnection({ state, message, retryAt }, live) {
  const line = at("connection");
  line.className = state;
  redraw(line, [state, message, retryAt], () => {
    switch (state) {
      case "connecting":
        return "Connecting…";
      case "live":
        return "Live";
      case "refused":
        return "Signed out";
      case "lost":
        return [
          "Connection lost; what you see may be out of date. ",
          h("button", { type: "button", onclick: () => live.connect(), title: message || null }, "Try now"),
        ];
    }
  });
  if (state === "refused") signOut(message);
}

/** The page for an address; by default the instances. */
function pageFor(address) {
  const [path, query] = address.split("?");
  const [, kind, id, part] = path.split("/").map(decode);
  if (kind === "catalog") return id ? integrationPage(session, id) : catalogPage(session, new URLSearchParams(query));
  if (kind === "instances" && id) return part === "reconnect" ? reconnectPage(session, id) : instancePage(session, id);
  return instancesPage(session);
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function route() {
  if (follow() || !session) return;
  session.showError("");
  session.showDone(nextMessage);
  nextMessage = "";
  document.querySelector("dialog")?.remove();
  shownPage?.close?.();
  document.title = "Muster";
  shownPage = pageFor(location.hash);
  at("page").replaceChildren(shownPage.element);
  shownPage.update();
  const inCatalog = location.hash.startsWith("#/catalog");
  for (const [name, current] of Object.entries({ "to-instances": !inCatalog, "to-catalog": inCatalog })) {
    if (current) at(name).setAttribute("aria-current", "page");
    else at(name).removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
  shownPage.element.querySelector("h1").focus({ preventScroll: true });
}

function start(token, me) {
  if (token) sessionStorage.setItem(TOKEN, token);
  at("gate").hidden = true;
  at("sign-out").hidden = at("places").hidden = false;
  session?.end();
  session = new Session(token);
  session.readOnly = !["ADMIN", "OPERATOR"].includes(me.role);
  at("sign-out").title = `Signed in as ${me.name}`;
  route();
}

/** Shows the page to sign in, or that of a one-time link. */
function showSignedOut(page, message) {
  sessionStorage.removeItem(TOKEN);
  session?.end();
  session = null;
  shownPage?.close?.();
  shownPage = null;
  at("page").replaceChildren();
  at("error").textContent = "";
  at("done").textContent = "";
  at("connection").replaceChildren();
  document.querySelector("dialog")?.remove();
  document.title = "Muster";
  at("sign-out").hidden = at("places").hidden = true;
  showGate(page, message);
}

function signOut(message = "") {
  showSignedOut("sign-in", message);
}

/** Ends the session at the server, too. */
async function leave() {
  try {
    if (!session.token) await end();
    signOut();
  } catch (error) {
    session.showError(error.message);
  }
}

/**
 * Starts with a token, or with the session of the browser. A cheap query checks it first, because a WebSocket cannot
 * report clearly what is wrong with it.
 */
async function enter(token, message = "") {
  try {
    const { me, instances } = await request(token, WELCOME);
    start(token, me);
    session.loaded = instances.totalCount === 0;
    scheduleUpdate();
  } catch (error) {
    const refused = error.code === "UNAUTHENTICATED" && !token;
    signOut(refused ? message : error instanceof ApiError ? error.message : "The token cannot be used.");
  }
}

const NOT_KEPT = "Your browser did not keep the session. Open the console at the address in the setting MUSTER_PUBLIC_URL.";

/** The one-time link that is being followed. */
let followed = null;

/** Follows the one-time link of the address, if there is one. */
function follow() {
  const taken = takeLink();
  if (!taken) return false;
  followed = taken;
  if (taken.page === "enter") signInWith({ link: taken.link });
  else showSignedOut(taken.page);
  return true;
}

async function signInWith(entered) {
  const buttons = at("gate").querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  try {
    await begin(entered);
    followed = null;
    await enter(null, NOT_KEPT);
  } catch (error) {
    if (followed?.page === "enter") await enter(null, error.message);
    else at("gate-error").textContent = error.message;
  } finally {
    buttons.forEach((button) => (button.disabled = false));
  }
}

/** Handles a form of the page to sign in. */
function onSubmit(form, action) {
  at(form).addEventListener("submit", (event) => {
    event.preventDefault();
    at("gate-error").textContent = "";
    action();
  });
}

onSubmit("sign-in", () => signInWith({ email: at("email").value, password: at("password").value }));
onSubmit("follow", () => {
  const entered = { name: at("new-name").value, email: at("new-email").value, password: at("new-password").value };
  signInWith({ link: followed.link, ...entered });
});
onSubmit("token-form", () => enter(at("token").value.trim()));
at("sign-out").addEventListener("click", leave);
window.addEventListener("hashchange", route);
// The router would treat its address as a page.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  at("main").focus();
});

/** Opens the instance of a link in a mail, which has its UUID in the query. */
function followMailLink() {
  const named = new URLSearchParams(location.search).get("instance");
  if (!named) return;
  const isKey = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(named);
  const id = isKey ? btoa(`Instance:${named.replaceAll("-", "").toLowerCase()}`).replace(/=+$/, "") : named;
  history.replaceState(null, "", `${location.pathname}#/instances/${encodeURIComponent(id)}`);
}

followMailLink();
if (!follow()) enter(sessionStorage.getItem(TOKEN));
