// The catalog page: all applications that can be connected.

import { badge, h, number, redraw, words } from "./dom.js";

const INTEGRATIONS = `query Catalog($after: String) {
  integrations(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { key name category description instanceCount }
  }
}`;
const COUNTED = new Set(["CREATED", "DELETION_STARTED"]);

export function integrationLink(key) {
  return `#/catalog/${encodeURIComponent(key)}`;
}

/** `human-resources` as `Human resources`. */
export function categoryName(category) {
  return words(category.replaceAll("-", "_"));
}

export function counted(count) {
  return count === 1 ? "1 instance" : `${number(count)} instances`;
}

async function loadAll(session, signal) {
  const found = [];
  let after = null;
  do {
    const { integrations } = await session.query(INTEGRATIONS, { after }, signal);
    found.push(...integrations.nodes);
    after = integrations.pageInfo.hasNextPage ? integrations.pageInfo.endCursor : null;
  } while (after !== null);
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

function entry({ key, name, category, description, instanceCount }) {
  return h(
    "li",
    {},
    h("h2", {}, h("a", { href: integrationLink(key) }, name)),
    h("p", {}, description),
    h(
      "p",
      {},
      h("small", {}, categoryName(category)),
      " ",
      badge(instanceCount > 0 ? "good" : "quiet", instanceCount > 0 ? counted(instanceCount) : "Not connected"),
    ),
  );
}

/** The search is kept in the address, so that the browser's back button restores it. */
export function catalogPage(session, wanted) {
  const asked = new AbortController();
  const search = h("input", {
    id: "search-catalog",
    type: "search",
    autocomplete: "off",
    value: wanted.get("search"),
    oninput: () => narrow(),
  });
  const category = h("select", { id: "category", onchange: () => narrow() }, h("option", { value: "" }, "All"));
  const summary = h("p", { role: "status" }, "Loading…");
  const list = h("ul", { class: "catalog" });
  const element = h(
    "div",
    {},
    h("h1", { tabindex: -1 }, "Catalog"),
    h(
      "p",
      { class: "filters" },
      h("span", {}, h("label", { for: "search-catalog" }, "Search "), search),
      h("span", {}, h("label", { for: "category" }, "Category "), category),
    ),
    summary,
    list,
  );
  let all = null;

  async function load() {
    summary.textContent = "Loading…";
    try {
      all = await loadAll(session, asked.signal);
    } catch (error) {
      if (asked.signal.aborted) return;
      const again = h("button", { type: "button", onclick: () => load() }, "Try again");
      return summary.replaceChildren(h("span", { class: "error" }, error.message), " ", again);
    }
    offerCategories();
    show();
  }

  function offerCategories() {
    const chosen = category.options.length > 1 ? category.value : (wanted.get("category") ?? "");
    const names = [...new Set(all.map((integration) => integration.category))].sort();
    category.replaceChildren(
      h("option", { value: "" }, "All"),
      ...names.map((name) => h("option", { value: name }, categoryName(name))),
    );
    category.value = names.includes(chosen) ? chosen : "";
  }

  function narrow() {
    const query = new URLSearchParams();
    if (search.value.trim()) query.set("search", search.value.trim());
    if (category.value) query.set("category", category.value);
    history.replaceState(null, "", `#/catalog${query.size ? `?${query}` : ""}`);
    show();
  }

  function clear() {
    search.value = "";
    category.value = "";
    narrow();
    search.focus();
  }

  function show() {
    if (!all) return;
    const text = search.value.trim().toLowerCase();
    const found = all.filter(
      (integration) =>
        (!category.value || integration.category === category.value) &&
        `${integration.name} ${integration.key} ${integration.description}`.toLowerCase().includes(text),
    );
    redraw(list, found, () => found.map(entry));
    summary.replaceChildren(
      ...(found.length > 0
        ? [`${number(found.length)} of ${number(all.length)} applications shown.`]
        : [
            all.length === 0 ? "The catalog is empty." : "No application matches. ",
            ...(all.length === 0 ? [] : [h("button", { type: "button", onclick: clear }, "Show all")]),
          ]),
    );
  }

  function changed(_, cause) {
    if (!COUNTED.has(cause) || !all) return;
    loadAll(session, asked.signal).then(
      (found) => {
        all = found;
        show();
      },
      () => {},
    );
  }

  document.title = "Catalog – Muster";
  load();
  return { element, update: () => {}, changed, close: () => asked.abort() };
}
