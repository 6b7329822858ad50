// The page for changing an instance: its credential and configuration, name and interval.

import { h } from "./dom.js";
import { Field } from "./field.js";
import { Configuration, FORM_FIELDS, Form, INTERVAL, NAME } from "./form.js";
import { link } from "./instances.js";
import { beginAuthorization, consentHint, preparation, test } from "./integration.js";

const INSTANCE = `query Reconnect($id: ID!) {
  instance(id: $id) {
    id name status inactiveReason syncIntervalMinutes config { key value isSet }
    integration { name setup documentationUrl requiredPermissions ${FORM_FIELDS} }
  }
}`;
const UPDATE = `mutation Update($input: UpdateInstanceInput!) {
  updateInstance(input: $input) { instance { id } userErrors { code field message } }
}`;

const KEPT = "Fields that you do not change keep their values. A credential is checked before it is stored.";

/** True if the server set it inactive, so that a working credential sets it live again. */
function isRevoked({ status, inactiveReason }) {
  return status === "INACTIVE" && inactiveReason !== "USER_DEACTIVATED";
}

async function update(session, instance, input, done) {
  const { updateInstance: updated } = await session.query(UPDATE, { input: { id: instance.id, ...input } });
  if (updated.instance) session.go(link(instance), done);
  return updated.userErrors;
}

function credentialForm(session, instance) {
  const { integration } = instance;
  const revoked = isRevoked(instance);
  const configuration = new Configuration(integration, instance.config);
  const saving = h("button", { type: "submit" });
  const testing = h("button", { type: "button", class: "quiet" }, "Test connection");
  const checking = h("button", { type: "button", class: "quiet", hidden: true }, "Check and set to Live");
  const hint = h("p", { class: "hint" });
  const form = new Form(
    session,
    configuration.fields.map((field) => [["config", field.about.key], field]),
    [configuration.elements, hint],
    [saving, testing, checking],
    () => (configuration.needsConsent ? consent() : save()),
  );
  const consent = () =>
    form.run(`Preparing to go to ${integration.name}…`, () =>
      beginAuthorization(session, form, integration.name, { instanceId: instance.id, config: configuration.changed }),
    );
  const save = () =>
    form.run(`Asking ${integration.name} whether it accepts this…`, () => {
      const config = configuration.changed;
      if (revoked) {
        const live = config.length ? { config, status: "LIVE" } : { status: "LIVE" };
        return update(session, instance, live, "It is live again; a sync has been started.");
      }
      if (config.length) return update(session, instance, { config }, "Saved.");
      form.say("Nothing was changed, so nothing was saved.");
      return [];
    });
  testing.addEventListener("click", () =>
    form.run(`Asking ${integration.name}…`, () =>
      test(session, form, { instanceId: instance.id, config: configuration.changed }),
    ),
  );
  checking.addEventListener("click", save);
  configuration.chosen = () => {
    const { needsConsent } = configuration;
    saving.textContent = needsConsent
      ? `Continue at ${integration.name}`
      : revoked
        ? "Check and set to Live"
        : "Check and save";
    testing.hidden = needsConsent;
    checking.hidden = !needsConsent || !revoked;
    hint.replaceChildren(...(needsConsent ? consentHint(integration.name, configuration.redirectUri) : [KEPT]));
  };
  configuration.chosen();
  return form.element;
}

function settingsForm(session, instance) {
  const name = new Field(NAME, { value: instance.name, isSet: true });
  const interval = new Field(INTERVAL, { value: String(instance.syncIntervalMinutes), isSet: true });
  const form = new Form(
    session,
    [
      [["name"], name],
      [["syncIntervalMinutes"], interval],
    ],
    [name.element, interval.element],
    [h("button", { type: "submit" }, "Save")],
    () =>
      form.run("Saving…", () => {
        const input = {};
        if (name.changed) input.name = name.value;
        if (interval.changed) input.syncIntervalMinutes = Number(interval.value);
        if (Object.keys(input).length) return update(session, instance, input, "Saved.");
        form.say("Nothing was changed, so nothing was saved.");
        return [];
      }),
  );
  return form.element;
}

export function reconnectPage(session, id) {
  const asked = new AbortController();
  const title = h("h1", { tabindex: -1 }, "Reconnect");
  const status = h("p", { role: "status" }, "Loading…");
  const content = h("div");
  const back = h("a", { href: link({ id }) }, "Back to the instance");
  const element = h("div", {}, h("p", {}, back), title, status, content);

  async function load() {
    status.textContent = "Loading…";
    let instance;
    try {
      ({ instance } = await session.query(INSTANCE, { id }, asked.signal));
    } catch (error) {
      if (asked.signal.aborted) return;
      const again = h("button", { type: "button", onclick: () => load() }, "Try again");
      return status.replaceChildren(h("span", { class: "error" }, error.message), " ", again);
    }
    const gone = !instance || instance.status === "DELETING" || instance.status === "DELETED";
    status.textContent = gone ? "There is no such instance (any more)." : "";
    if (gone) return;
    const { name, integration } = instance;
    const before = preparation(integration);
    document.title = `Reconnect ${name} – Muster`;
    title.replaceChildren(`Reconnect ${name} `, h("small", {}, integration.name));
    if (session.readOnly) {
      return content.replaceChildren(h("p", {}, "Your role can only read; an administrator can change this."));
    }
    content.replaceChildren(
      h(
        "div",
        { class: "columns" },
        h(
          "section",
          { "aria-labelledby": "credential-title" },
          h("h2", { id: "credential-title" }, "Credential and configuration"),
          credentialForm(session, instance),
        ),
        before.flat().some(Boolean) &&
          h(
            "section",
            { "aria-labelledby": "prepare-title" },
            h("h2", { id: "prepare-title" }, `In ${integration.name}`),
            before,
          ),
        h(
          "section",
          { "aria-labelledby": "settings-title" },
          h("h2", { id: "settings-title" }, "Name and interval"),
          settingsForm(session, instance),
        ),
      ),
    );
  }

  document.title = "Reconnect – Muster";
  load();
  return { element, update: () => {}, close: () => asked.abort() };
}
