// The page of one instance: its state, its users, its sync history.

import { badge, h, moment, number, redraw, words } from "./dom.js";
import { pieces } from "./instances.js";

const USERS = `query Users($id: ID!, $after: String, $search: String) {
  instance(id: $id) { users(first: 50, after: $after, filter: { search: $search }) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { id externalId email displayName status isAdmin mfaEnabled licenses lastActiveAt }
  } }
}`;
const HISTORY = `query History($id: ID!, $after: String) {
  instance(id: $id) { syncHistory(first: 20, after: $after) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { id trigger outcome queuedAt startedAt finishedAt seen added changed removed
      failure { class message httpStatus missingPermissions lostCapabilities } mailDecision { kind reason } }
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
const unknown = () => h("span", { class: "unknown" }, "unknown");
const yes = (value) => (value === null ? unknown() : value ? "Yes" : "No");

/** A list that comes in pages: the first at once, further ones by a button. */
class Paged {
  #load;
  #empty;
  #asked = null;
  #cursor = null;
  #count = 0;

  /** `load(after, signal)` gives a connection; `row(node)` a table row. */
  constructor(caption, columns, load, row, empty) {
    this.#load = load;
    this.#empty = empty;
    this.row = row;
    this.status = h("p", { role: "status" });
    this.body = h("tbody");
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#next() }, "More");
    this.table = h(
      "div",
      { class: "scroll", hidden: true },
      h(
        "table",
        {},
        h("caption", { class: "unseen" }, caption),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        this.body,
      ),
    );
    this.element = h("div", {}, this.status, this.table, h("p", {}, this.more));
  }

  /** Loads the first page again; what is shown stays until it is there. */
  reload() {
    this.#cursor = null;
    return this.#next();
  }

  /** Whether a reload would lose pages that somebody asked for. */
  get isLong() {
    return this.#count > 50;
  }

  say(...content) {
    this.status.replaceChildren(...content);
  }

  close() {
    this.#asked?.abort();
  }

  async #next() {
    this.#asked?.abort();
    const asked = (this.#asked = new AbortController());
    const first = this.#cursor === null;
    this.more.disabled = true;
    if (first && this.#count === 0) this.say("Loading…");
    try {
      const { nodes, pageInfo, totalCount } = await this.#load(this.#cursor, asked.signal);
      const rows = nodes.map(this.row);
      if (first) this.body.replaceChildren(...rows);
      else this.body.append(...rows);
      this.#count = this.body.children.length;
      this.#cursor = pageInfo.endCursor;
      this.more.hidden = !pageInfo.hasNextPage;
      this.table.hidden = this.#count === 0;
      this.say(this.#count === 0 ? this.#empty() : `${number(this.#count)} of ${number(totalCount)} shown.`);
    } catch (error) {
      if (asked.signal.aborted) return;
      this.say(
        h("span", { class: "error" }, error.message),
        " ",
        h("button", { type: "button", onclick: () => this.#next() }, "Try again"),
      );
    } finally {
      if (this.#asked === asked) this.more.disabled = false;
    }
  }
}

function userRow(user) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, user.displayName ?? user.email ?? user.externalId),
    h("td", { class: "long" }, user.email ?? unknown()),
    h("td", {}, words(user.status)),
    h("td", {}, yes(user.isAdmin)),
    h("td", {}, yes(user.mfaEnabled)),
    h("td", {}, user.licenses.join(", ")),
    h("td", {}, user.lastActiveAt ? moment(user.lastActiveAt) : unknown()),
  );
}

function runRow(run) {
  const { failure, mailDecision } = run;
  const reason = failure && [
    h("strong", {}, words(failure.class)),
    `: ${failure.message}`,
    failure.missingPermissions.length > 0 && ` Missing: ${failure.missingPermissions.join(", ")}.`,
    failure.lostCapabilities.length > 0 && ` Without: ${failure.lostCapabilities.map(words).join(", ")}.`,
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
    h("td", { class: "long" }, reason),
    h(
      "td",
      {},
      mailDecision &&
        (mailDecision.kind ? words(mailDecision.kind) : `None (${words(mailDecision.reason).toLowerCase()})`),
    ),
  );
}

export function instancePage(session, id) {
  const list = (name, query) => async (after, signal, search) => {
    const { instance } = await session.query(query, { id, after, search }, signal);
    if (!instance) throw new Error("There is no such instance.");
    return instance[name];
  };
  const search = h("input", { id: "search-users", type: "search", autocomplete: "off" });
  const loadUsers = list("users", USERS);
  const users = new Paged(
    "Users",
    ["Name", "E-mail", "Status", "Admin", "MFA", "Licences", "Last active"],
    (after, signal) => loadUsers(after, signal, search.value.trim() || null),
    userRow,
    () => (search.value.trim() ? "No user begins like that." : "No users yet."),
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
  const head = h("div");
  const element = h(
    "div",
    {},
    h("p", {}, h("a", { href: "#/" }, "All instances")),
    head,
    h(
      "section",
      { "aria-labelledby": "users-title" },
      h("h2", { id: "users-title" }, "Users"),
      h("p", {}, h("label", { for: "search-users" }, "Name or e-mail begins with "), search),
      users.element,
    ),
    h(
      "section",
      { "aria-labelledby": "history-title" },
      h("h2", { id: "history-title" }, "Sync history"),
      history.element,
    ),
  );
  users.reload();
  history.reload();

  function update() {
    const instance = session.instances.get(id);
    const progress = session.progress.get(id);
    if (instance) document.title = `${instance.name} – Muster`;
    redraw(head, [instance, progress, session.loaded, session.readOnly, session.actions.busy.has(id)], () => {
      if (!instance)
        return [
          h("h1", {}, "Instance"),
          h("p", {}, session.loaded ? "This instance is not there (any more)." : "Loading…"),
        ];
      const fact = (label, ...value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
      return [
        h("h1", {}, instance.name, " ", h("small", {}, instance.integration.name)),
        pieces.notice(instance, session.actions),
        h(
          "dl",
          { class: "facts" },
          fact("Status", pieces.status(instance)),
          fact("Health", pieces.health(instance)),
          fact("Sync", pieces.sync(instance, progress)),
          fact("Data", pieces.freshness(instance)),
          fact("Users", number(instance.userCount)),
          fact("Last sync", pieces.lastSync(instance)),
          fact("Syncs every", `${number(instance.syncIntervalMinutes)} minutes`),
          fact("Created", moment(instance.createdAt), h("small", {}, `by ${instance.createdBy}`)),
        ),
        h("p", {}, session.actions.syncButton(instance)),
      ];
    });
  }

  function changed(changedId, cause) {
    if (changedId !== id) return;
    if (RUNS.has(cause) && !history.isLong) history.reload();
    if (!USER_CHANGES.has(cause)) return;
    if (users.isLong)
      users.say(
        "The users have changed. ",
        h("button", { type: "button", onclick: () => users.reload() }, "Show them anew"),
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
