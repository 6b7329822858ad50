// What a member can do to an instance: the remedies of its notice, and a sync at any time.

import { h, words } from "./dom.js";

const MUTATIONS = {
  testConnection: `mutation Test($input: TestConnectionInput!) {
    testConnection(input: $input) { ok tenant lostCapabilities missingPermissions userErrors { message } }
  }`,
  syncInstance: "mutation Sync($input: SyncInstanceInput!) { syncInstance(input: $input) { userErrors { message } } }",
  updateInstance:
    "mutation Update($input: UpdateInstanceInput!) { updateInstance(input: $input) { userErrors { message } } }",
};
const FIELDS = `query Fields($id: ID!) {
  instance(id: $id) { config { key value } syncIntervalMinutes integration { configFields { key label help secret } } }
}`;

export class Actions {
  #session;
  /** The instances with an answer outstanding; their buttons are disabled. */
  busy = new Set();

  constructor(session) {
    this.#session = session;
  }

  /** A button for a remedy that the server can carry out, plain text for one that needs a person elsewhere. */
  remedy(instance, { label, mutation }) {
    if (!mutation) return h("span", {}, label);
    if (this.#session.readOnly || !(mutation in MUTATIONS)) return h("span", {}, `${label} (an administrator can)`);
    const start = {
      syncInstance: () => this.sync(instance),
      updateInstance: () => this.update(instance, label),
      testConnection: () => this.#run(instance, "testConnection", { instanceId: instance.id }),
    }[mutation];
    return this.#button(instance, label, start);
  }

  /** A button that starts a sync, when one can be started. */
  syncButton(instance) {
    if (this.#session.readOnly || instance.status !== "LIVE" || instance.syncState !== "IDLE") return null;
    return this.#button(instance, "Sync now", () => this.sync(instance));
  }

  sync(instance) {
    const held = instance.lastSync?.failure?.class === "REMOVAL_GUARD";
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
          h("label", { for: "accept" }, "These users are really gone: accept that they are removed"),
        ),
      ],
      () => this.#run(instance, "syncInstance", { id: instance.id, acceptRemovals: accept.checked }),
    );
  }

  /** Asks for the settings to change; an instance that is not live is set live with them. */
  async update(instance, title) {
    const inactive = instance.status === "INACTIVE";
    const input = inactive ? { id: instance.id, status: "LIVE" } : { id: instance.id };
    if (instance.inactiveReason === "USER_DEACTIVATED") return this.#run(instance, "updateInstance", input);
    let found;
    try {
      ({ instance: found } = await this.#session.query(FIELDS, { id: instance.id }));
    } catch (error) {
      return this.#session.showError(error.message);
    }
    if (!found) return this.#session.showError("There is no such instance.");
    const stored = new Map(found.config.map(({ key, value }) => [key, value ?? ""]));
    const settings = found.integration.configFields.map(({ key, label, help, secret }) => ({
      key,
      ...field(label, help, { type: secret ? "password" : "text", value: secret ? "" : stored.get(key) }),
    }));
    const interval = field("Minutes between syncs", null, { type: "number", min: 1, value: found.syncIntervalMinutes });
    this.#ask(
      title,
      inactive ? "Check and set to Live" : "Change",
      [
        h(
          "p",
          {},
          `“${instance.name}”: a secret that is left empty stays as it is. The server checks a credential first.`,
        ),
        settings.map(({ element }) => element),
        !inactive && interval.element,
      ],
      () => {
        const config = settings
          .filter(({ changed }) => changed())
          .map(({ key, input }) => ({ key, value: input.value }));
        if (config.length) input.config = config;
        if (!inactive && interval.changed()) input.syncIntervalMinutes = interval.input.valueAsNumber;
        return this.#run(instance, "updateInstance", input);
      },
    );
  }

  #button(instance, label, start) {
    return h("button", { type: "button", disabled: this.busy.has(instance.id), onclick: start }, label);
  }

  async #run(instance, mutation, input) {
    const session = this.#session;
    session.showError("");
    session.showDone("");
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

  #ask(title, confirm, content, act) {
    document.querySelector("dialog")?.remove();
    const close = () => dialog.remove();
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
  }
}

let fields = 0;

/** A labelled input that knows whether somebody changed it. */
function field(label, help, attributes) {
  const id = `field-${++fields}`;
  const input = h("input", { id, autocomplete: "off", spellcheck: "false", ...attributes });
  const before = input.value;
  const element = h("p", {}, h("label", { for: id }, label), input, help && h("small", {}, help));
  return { input, element, changed: () => input.value !== before };
}

function tested({ ok, tenant, lostCapabilities, missingPermissions }) {
  return [
    `the connection${tenant ? ` to ${tenant}` : ""} ${ok ? "works" : "does not work"}.`,
    lostCapabilities.length > 0 && `Without: ${lostCapabilities.map(words).join(", ")}.`,
    missingPermissions.length > 0 && `Missing: ${missingPermissions.join(", ")}.`,
  ]
    .filter(Boolean)
    .join(" ");
}
