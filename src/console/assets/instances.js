// The table of all instances, and the parts of an instance that both pages show.

import { badge, h, moment, number, redraw, words } from "./dom.js";

const HEALTH = { PENDING: "quiet", OK: "good", PARTIAL: "warning", FAILING: "danger" };
const FRESHNESS = { NEVER: "quiet", FRESH: "good", STALE: "warning" };
const STATUS = { LIVE: "good", INACTIVE: "warning", DELETING: "quiet" };
const COLUMNS = ["Integration", "Name", "Status", "Health", "Sync", "Data", "Users", "Last sync"];

export function link(instance) {
  return `#/instances/${encodeURIComponent(instance.id)}`;
}

/** How the parts of an instance are shown, in the table and on the instance's page. */
export const pieces = {
  status: ({ status, inactiveReason }) => [
    badge(inactiveReason && inactiveReason !== "USER_DEACTIVATED" ? "danger" : STATUS[status], words(status)),
    inactiveReason && h("small", {}, words(inactiveReason)),
  ],
  health: ({ health, failingSince }) => [
    badge(HEALTH[health], words(health)),
    failingSince && h("small", {}, "since ", moment(failingSince)),
  ],
  sync: ({ syncState, nextSyncAt }, progress) => {
    if (syncState === "RUNNING" && progress) {
      const { seen, expected, waitingFor, waitingUntil } = progress;
      const counts = expected ? `${number(seen)} of ${number(expected)}` : `${number(seen)} so far`;
      return [
        "Running",
        h("progress", { "aria-label": "Users seen", max: expected, value: expected && Math.min(seen, expected) }),
        h("small", {}, counts),
        waitingUntil && h("small", {}, `waits (${words(waitingFor).toLowerCase()}), goes on `, moment(waitingUntil)),
      ];
    }
    return [words(syncState), syncState === "IDLE" && nextSyncAt && h("small", {}, "next ", moment(nextSyncAt))];
  },
  freshness: ({ freshness: { state, asOf } }) => [
    badge(FRESHNESS[state], words(state)),
    asOf && h("small", {}, "as of ", moment(asOf)),
  ],
  lastSync: ({ lastSync }) =>
    lastSync ? [words(lastSync.outcome), h("small", {}, moment(lastSync.finishedAt))] : "None yet",
  notice: (instance, actions) => {
    const { notice } = instance;
    if (!notice) return null;
    return h(
      "div",
      { class: `notice ${notice.severity.toLowerCase()}` },
      h(
        "p",
        {},
        h("strong", {}, notice.title),
        " ",
        notice.detail,
        " ",
        h("small", {}, "since ", moment(notice.since)),
      ),
      notice.remedies.length > 0 &&
        h(
          "ul",
          { class: "remedies" },
          notice.remedies.map((remedy) => h("li", {}, actions.remedy(instance, remedy))),
        ),
    );
  },
};

function matches(instance, search) {
  return `${instance.integration.name} ${instance.name} ${instance.status} ${instance.health}`
    .toLowerCase()
    .includes(search);
}

class Row {
  constructor() {
    this.cells = COLUMNS.map((_, index) =>
      h(index === 1 ? "th" : "td", index === 1 ? { scope: "row" } : index === 6 ? { class: "number" } : {}),
    );
    this.notice = h("td", { colspan: COLUMNS.length });
    this.noticeRow = h("tr", {}, this.notice);
    this.element = h("tbody", {}, h("tr", {}, this.cells), this.noticeRow);
  }

  update(instance, session) {
    const progress = session.progress.get(instance.id);
    const {
      status,
      inactiveReason,
      health,
      failingSince,
      syncState,
      nextSyncAt,
      freshness,
      userCount,
      lastSync,
      notice,
    } = instance;
    const shown = [
      [instance.integration.name, () => instance.integration.name],
      [instance.name, () => h("a", { href: link(instance) }, instance.name)],
      [[status, inactiveReason], () => pieces.status(instance)],
      [[health, failingSince], () => pieces.health(instance)],
      [[syncState, nextSyncAt, progress], () => pieces.sync(instance, progress)],
      [freshness, () => pieces.freshness(instance)],
      [userCount, () => number(userCount)],
      [lastSync, () => pieces.lastSync(instance)],
    ];
    shown.forEach(([facts, draw], index) => redraw(this.cells[index], facts, draw));
    const { actions, readOnly } = session;
    // The remedies use these facts of the instance, so they are part of the key.
    redraw(
      this.notice,
      [notice, readOnly, actions.busy.has(instance.id), instance.name, inactiveReason, lastSync],
      () => pieces.notice(instance, actions),
    );
    this.noticeRow.hidden = !notice;
  }
}

export function instancesPage(session) {
  const rows = new Map();
  const search = h("input", { id: "search-instances", type: "search", oninput: () => update() });
  const summary = h("p", { role: "status" });
  const table = h(
    "table",
    {},
    h("caption", { class: "unseen" }, "Instances"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        COLUMNS.map((name) => h("th", { scope: "col", class: name === "Users" ? "number" : null }, name)),
      ),
    ),
  );
  const wrapper = h("div", { class: "scroll" }, table);
  const element = h(
    "div",
    {},
    h("h1", { tabindex: -1 }, "Instances"),
    h(
      "p",
      { class: "filters" },
      h("span", {}, h("label", { for: "search-instances" }, "Search "), search),
      h("a", { class: "button", href: "#/catalog" }, "Connect an application"),
    ),
    summary,
    wrapper,
  );
  let order = "";

  function update() {
    const wanted = search.value.trim().toLowerCase();
    const all = [...session.instances.values()];
    const found = all
      .filter((instance) => matches(instance, wanted))
      .sort((a, b) => a.integration.name.localeCompare(b.integration.name) || a.name.localeCompare(b.name));
    const kept = new Set(found.map(({ id }) => id));
    for (const [id, row] of rows) {
      if (kept.has(id)) continue;
      row.element.remove();
      rows.delete(id);
    }
    for (const instance of found) {
      if (!rows.has(instance.id)) rows.set(instance.id, new Row());
      rows.get(instance.id).update(instance, session);
    }
    const wantedOrder = found.map(({ id }) => id).join(" ");
    if (order !== wantedOrder) {
      order = wantedOrder;
      table.append(...found.map(({ id }) => rows.get(id).element));
    }
    wrapper.hidden = found.length === 0;
    const troubled = all.filter(({ notice }) => notice).length;
    redraw(summary, [session.loaded, all.length, found.length, troubled], () => {
      if (!session.loaded) return "Loading…";
      if (all.length === 0) return ["No instances yet. ", h("a", { href: "#/catalog" }, "Choose an application")];
      if (found.length === 0) return "No instance matches the search.";
      return `${number(found.length)} of ${number(all.length)} shown; ${troubled === 0 ? "none needs" : `${number(troubled)} need`} attention.`;
    });
  }

  return { element, update };
}
