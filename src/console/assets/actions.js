// The actions on an instance: the remedies of its notice, sync, and deletion.

import { h, number } from "./dom.js";
import { tested } from "./form.js";
import { link } from "./instances.js";

const MUTATIONS = {
  testConnection: `mutation Test($input: TestConnectionInput!) {
    testConnection(input: $input) { ok tenant lostCapabilities missingPermissions userErrors { message } }
  }`,
  syncInstance: "mutation Sync($input: SyncInstanceInput!) { syncInstance(input: $input) { userErrors { message } } }",
  updateInstance:
    "mutation Update($input: UpdateInstanceInput!) { updateInstance(input: $input) { userErrors { message } } }",
  deleteInstance:
    "mutation Delete($input: DeleteInstanceInput!) { deleteInstance(input: $input) { userErrors { message } } }",
};
/** What lets a run pass a guard that held the last one. */
const GUARDS = {
  REMOVAL_GUARD: { argument: "acceptRemovals", label: "These users are really gone: accept that they are removed" },
  GROWTH_GUARD: { argument: "acceptGrowth", label: "All these users belong to it: accept that they are added" },
};
/** Mutations that need a form. */
const FORMS = new Set(["updateInstance", "beginAuthorization"]);

export function reconnectLink(instance) {
  return `${link(instance)}/reconnect`;
}

export class Actions {
  #session;
  /** The ids of instances with a pending request. Their buttons do nothing but keep the focus. */
  busy = new Set();

  constructor(session) {
    this.#session = session;
  }

  /** A button or link for a remedy that is a mutation, and plain text for one outside Muster. */
  remedy(instance, { label, mutation }) {
    if (!mutation) return h("span", {}, label);
    if (this.#session.readOnly) return h("span", {}, `${label} (an administrator can)`);
    if (mutation === "updateInstance" && instance.inactiveReason === "USER_DEACTIVATED") {
      const live = { id: instance.id, status: "LIVE" };
      return this.#button(instance, label, () => this.#run(instance, "updateInstance", live));
    }
    if (FORMS.has(mutation)) return h("a", { href: reconnectLink(instance) }, label);
    const start = {
      syncInstance: () => this.sync(instance),
      testConnection: () => this.#run(instance, "testConnection", { instanceId: instance.id }),
    }[mutation];
    return start ? this.#button(instance, label, start) : h("span", {}, label);
  }

  /** A button that starts a sync, or null if none can be started. */
  syncButton(instance) {
    if (this.#session.readOnly || instance.status !== "LIVE" || instance.syncState !== "IDLE") return null;
    return this.#button(instance, "Sync now", () => this.sync(instance));
  }

  sync(instance) {
    const held = GUARDS[instance.lastSync?.failure?.class];
    if (!held) return this.#run(instance, "syncInstance", { id: instance.id });
    const accept = h("input", { type: "checkbox", id: "accept", required: true });
    return this.#ask(
      `Sync “${instance.name}”`,
      "Sync",
      [
        h("p", {}, instance.lastSync.failure.message),
        h(
          "p",
          { class: "check" },
          accept,
          h("label", { for: "accept" }, held.label),
        ),
      ],
      () => this.#run(instance, "syncInstance", { id: instance.id, [held.argument]: accept.checked }),
    );
  }

  /** A link to the form with the instance's configuration. */
  reconnectLink(instance) {
    if (this.#session.readOnly || !exists(instance)) return null;
    return h("a", { class: "button", href: reconnectLink(instance) }, "Reconnect");
  }

  deleteButton(instance) {
    if (this.#session.readOnly || !exists(instance)) return null;
    return this.#button(instance, "Delete", () => this.#delete(instance), "quiet danger");
  }

  #delete(instance) {
    const { id, name, userCount } = instance;
    const typed = h("input", { id: "typed-name", autocomplete: "off", spellcheck: "false", oninput: () => check() });
    const users = userCount === 1 ? "Its user leaves" : `Its ${number(userCount)} users leave`;
    const dialog = this.#ask(
      `Delete “${name}”`,
      "Delete it for good",
      [
        h("p", {}, `${users} the register and its credential is destroyed at once. Neither can be brought back.`),
        h("p", {}, h("label", { for: "typed-name" }, `Type its name to go on: ${name}`), typed),
      ],
      () => this.#run(instance, "deleteInstance", { id, acknowledgeIrreversible: true }),
    );
    const confirm = dialog.querySelector("button[type=submit]");
    const check = () => (confirm.disabled = typed.value.trim() !== name);
    confirm.classList.add("danger");
    check();
  }

  #button(instance, label, start, look = null) {
    const busy = this.busy.has(instance.id);
    return h("button", { type: "button", class: look, "aria-disabled": busy, onclick: () => busy || start() }, label);
  }

  async #run(instance, mutation, input) {
    const session = this.#session;
    session.showError("");
    session.showDone("");
    if (this.busy.has(instance.id)) return;
    this.busy.add(instance.id);
    session.refresh();
    try {
      const { [mutation]: payload } = await session.query(MUTATIONS[mutation], { input });
      if (mutation === "testConnection") session.showDone(`${instance.name}: ${tested(payload)}`);
      if (payload.userErrors.length)
        session.showError(`${instance.name}: ${payload.userErrors.map((e) => e.message).join(" ")}`);
    } catch (error) {
      if (error.code === "FORBIDDEN") session.readOnly = true;
      session.showError(`${instance.name}: ${error.message}`);
    } finally {
      this.busy.delete(instance.id);
      session.refresh();
    }
  }

  /** Shows a confirmation dialog. The browser returns the focus when it closes. */
  #ask(title, confirm, content, act) {
    document.querySelector("dialog")?.remove();
    const close = () => {
      dialog.close();
      dialog.remove();
    };
    const dialog = h(
      "dialog",
      { "aria-labelledby": "dialog-title", onclose: close },
      h(
        "form",
        {
          onsubmit: (event) => {
            event.preventDefault();
            act();
            close();
          },
        },
        h("h2", { id: "dialog-title" }, title),
        content,
        h(
          "p",
          { class: "buttons" },
          h("button", { type: "submit" }, confirm),
          h("button", { type: "button", class: "quiet", onclick: close }, "Cancel"),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }
}

/** True if the instance is neither deleted nor being deleted. */
function exists({ status }) {
  return status === "LIVE" || status === "INACTIVE";
}
