// The page of an instance: its state, users and sync history.

import { badge, h, moment, number, redraw, words } from "./dom.js";
import { integrationLink } from "./catalog.js";
import { USER_FIELDS, USER_FIELD_NAMES } from "./user-fields.js";
import { pieces } from "./instances.js";
import { Paged } from "./paged.js";

const USERS = `query Users($id: ID!, $after: String, $search: String) {
  instance(id: $id) { status integration { providedFields } users(first: 50, after: $after, filter: { search: $search }) {
    totalCount totalCountIsExact searchAsOf pageInfo { hasNextPage endCursor }
    nodes { id externalId ${USER_FIELD_NAMES} }
  } }
}`;
const HISTORY = `query History($id: ID!, $after: String) {
  instance(id: $id) { status syncHistory(first: 20, after: $after) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
    nodes { id trigger outcome queuedAt startedAt finishedAt seen added changed removed
      remark
      failure { class message httpStatus missingPermissions } mailDecision { kind reason } }
  } }
}`;
const RUNS = new Set([
  "SYNC_QUEUED",
  "SYNC_STARTED",
  "SYNC_SUCCEEDED",
  "SYNC_PARTIAL",
  "SYNC_FAILED",
  "SYNC_CANCELLED",
  "REVOKED",
  "REACTIVATED",
]);
const USER_CHANGES = new Set([
  "SYNC_SUCCEEDED",
  "SYNC_PARTIAL",
  "USERS_DELETION_STARTED",
  "USERS_DELETED",
  "DELETION_STARTED",
]);
const OUTCOMES = { SUCCEEDED: "good", PARTIAL: "warning", FAILED: "danger", CANCELLED: "quiet" };
/** Credentials that expire within this time are highlighted. */
const SOON_MS = 14 * 24 * 60 * 60 * 1000;
const faint = (text) => h("span", { class: "unknown" }, text);
/** How a value of each kind of field is shown. */
const SHOWN = {
  text: (value) => value,
  flag: (value) => (value ? "Yes" : "No"),
  texts: (value) => (value.length ? value.join(", ") : faint("none known")),
  time: moment,
  word: words,
};
/** The fields with a column of their own; the name heads the row. */
const COLUMNS = USER_FIELDS.filter(({ name }) => name !== "displayName");

/** `provided` are the fields that the application provides. Others are never shown as "no". */
function userRow(user, provided) {
  const cell = ({ key, name, kind }) => {
    if (!provided.includes(key)) return faint("not provided");
    return user[name] === null ? faint("unknown") : SHOWN[kind](user[name]);
  };
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, user.displayName ?? user.email ?? user.externalId),
    COLUMNS.map((field) => h("td", { class: field.kind === "text" ? "long" : null }, cell(field))),
  );
}

function runRow(run) {
  const { failure, mailDecision, outcome, remark } = run;
  // The message of a partial run names all that is missing.
  const missing = (outcome === "FAILED" && failure?.missingPermissions) || [];
  const reason = failure && [
    h("strong", {}, words(failure.class)),
    `: ${failure.message}`,
    missing.length > 0 && ` Missing: ${missing.join(", ")}.`,
  ];
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, moment(run.startedAt ?? run.queuedAt)),
    h("td", {}, words(run.trigger)),
    h("td", {}, run.outcome ? badge(OUTCOMES[run.outcome], words(run.outcome)) : "Under way"),
    h(
      "td",
      {},
      `${number(run.seen)} seen, ${number(run.added)} added, ${number(run.changed)} changed, ${number(run.removed)} removed`,
    ),
    h("td", { class: "long" }, reason, remark && h("p", {}, remark)),
    h(
      "td",
      {},
      mailDecision &&
        (mailDecision.kind ? words(mailDecision.kind) : `None (${words(mailDecision.reason).toLowerCase()})`),
    ),
  );
}

/** When the credential expires, if known. */
function expiry(iso) {
  const left = new Date(iso) - Date.now();
  if (left > SOON_MS) return moment(iso);
  return [badge(left > 0 ? "warning" : "danger", left > 0 ? "Soon" : "Over"), h("small", {}, moment(iso))];
}

function drawFacts(instance, progress) {
  const fact = (label, ...value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
  return [
    fact("Status", pieces.status(instance)),
    fact("Health", pieces.health(instance)),
    fact("Sync", pieces.sync(instance, progress)),
    fact("Data", pieces.freshness(instance)),
    fact("Users", number(instance.userCount)),
    fact("Last sync", pieces.lastSync(instance)),
    fact("Syncs every", `${number(instance.syncIntervalMinutes)} minutes`),
    instance.credentialExpiresAt && fact("Credential ends", expiry(instance.credentialExpiresAt)),
    fact("Created", moment(instance.createdAt), h("small", {}, `by ${instance.createdBy}`)),
  ];
}

export function instancePage(session, id) {
  /** The instance as last shown, so that its name is still shown after it was deleted. */
  let last = null;
  let gone = false;
  let provided = [];
  const list = (name, query) => async (after, signal, search) => {
    const { instance } = await session.query(query, { id, after, search }, signal);
    if (!instance || instance.status === "DELETED") {
      gone = true;
      update();
      throw new Error("There is no such instance (any more).");
    }
    provided = instance.integration?.providedFields ?? provided;
    return instance[name];
  };
  const search = h("input", { id: "search-users", type: "search", autocomplete: "off" });
  const loadUsers = list("users", USERS);
  const users = new Paged(
    "Users",
    ["Name", ...COLUMNS.map(({ heading }) => heading)],
    (after, signal) => loadUsers(after, signal, search.value.trim() || null),
    (user) => userRow(user, provided),
    () => (search.value.trim() ? "Nobody is found by that." : "No users yet."),
  );
  const history = new Paged(
    "Sync history",
    ["When", "Trigger", "Outcome", "Counts", "Reason", "Mail"],
    list("syncHistory", HISTORY),
    runRow,
    () => "No sync yet.",
  );

  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => users.reload(), 250);
  });
  const title = h("h1", { tabindex: -1 }, "Instance");
  const notice = h("div");
  const facts = h("dl", { class: "facts" });
  const buttons = h("p", { class: "buttons" });
  const lists = h(
    "div",
    {},
    h(
      "section",
      { "aria-labelledby": "users-title" },
      h("h2", { id: "users-title" }, "Users"),
      h("p", {}, h("label", { for: "search-users" }, "Words of the name or e-mail begin with "), search),
      users.element,
    ),
    h(
      "section",
      { "aria-labelledby": "history-title" },
      h("h2", { id: "history-title" }, "Sync history"),
      history.element,
    ),
  );
  const element = h(
    "div",
    {},
    h("p", {}, h("a", { href: "#/" }, "All instances")),
    title,
    notice,
    facts,
    buttons,
    lists,
  );
  document.title = "Instance – Muster";
  users.reload();
  history.reload();

  function update() {
    const instance = session.instances.get(id);
    const progress = session.progress.get(id);
    // The instance has been deleted.
    if (last && !instance) gone = true;
    if (instance) {
      last = instance;
      gone = false;
      document.title = `${instance.name} – Muster`;
    }
    lists.hidden = gone;
    if (last) {
      const { key, name } = last.integration;
      redraw(title, [last.name, name], () => [
        last.name,
        " ",
        h("small", {}, h("a", { href: integrationLink(key) }, name)),
      ]);
    }
    const { actions, readOnly } = session;
    const busy = actions.busy.has(id);
    // Buttons are drawn separately from the progress: a click needs a button that is not replaced.
    redraw(notice, [instance, gone, readOnly, busy], () => {
      if (gone) return h("p", {}, last ? "It has been deleted." : "There is no such instance (any more).");
      return instance ? pieces.notice(instance, actions) : h("p", {}, "Loading…");
    });
    redraw(facts, [instance, progress], () => instance && drawFacts(instance, progress));
    redraw(
      buttons,
      [instance, readOnly, busy],
      () => instance && [actions.syncButton(instance), actions.reconnectLink(instance), actions.deleteButton(instance)],
    );
  }

  function changed(changedId, cause) {
    if (changedId !== id) return;
    if (RUNS.has(cause) && !history.isLong) history.reload();
    if (!USER_CHANGES.has(cause)) return;
    if (users.isLong)
      users.say(
        "The users have changed. ",
        h("button", { type: "button", onclick: () => users.reload() }, "Reload"),
      );
    else users.reload();
  }

  function close() {
    clearTimeout(typing);
    users.close();
    history.close();
  }

  return { element, update, changed, close };
}
