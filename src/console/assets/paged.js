// Tables that are loaded page by page.

import { h, number } from "./dom.js";

/** A paged table: the first page is loaded at once, further ones with a button. */
export class Paged {
  #load;
  #empty;
  #asked = null;
  #cursor = null;
  #count = 0;

  /** `load(after, signal)` returns a connection; `row(node)` returns a table row. */
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

  /** Loads the first page again. The current rows stay visible until it is loaded. */
  reload() {
    this.#cursor = null;
    return this.#next();
  }

  /** True if a reload would drop additional pages that were loaded. */
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
      const { nodes, pageInfo, totalCount, totalCountIsExact, searchAsOf } = await this.#load(this.#cursor, asked.signal);
      const rows = nodes.map(this.row);
      if (first) this.body.replaceChildren(...rows);
      else this.body.append(...rows);
      this.#count = this.body.children.length;
      this.#cursor = pageInfo.endCursor;
      this.more.hidden = !pageInfo.hasNextPage;
      this.table.hidden = this.#count === 0;
      // A search that looks at many rows in vain goes on.
      if (this.#count === 0 && pageInfo.hasNextPage) return await this.#next();
      const total = `${number(totalCount)}${totalCountIsExact ? "" : "+"}`;
      const shown = this.#count === 0 ? this.#empty() : `${number(this.#count)} of ${total} shown.`;
      this.say(shown, searchAsOf ? " A search does not find the newest users yet." : "");
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
