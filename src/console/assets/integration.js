// The page of an application in the catalog: its description, its columns, and a form to connect it.

import { categoryName, counted } from "./catalog.js";
import { h, redraw } from "./dom.js";
import { Field } from "./field.js";
import { USER_FIELDS } from "./user-fields.js";
import { Configuration, FORM_FIELDS, Form, INTERVAL, NAME, tested } from "./form.js";
import { link, pieces } from "./instances.js";

const INTEGRATION = `query Integration($key: String!) {
  integration(key: $key) {
    key name category description setup documentationUrl requiredPermissions providedFields ${FORM_FIELDS}
  }
}`;
const CREATE = `mutation Create($input: CreateInstanceInput!) {
  createInstance(input: $input) { instance { id } userErrors { code field message } }
}`;
const TEST = `mutation Test($input: TestConnectionInput!) {
  testConnection(input: $input) { ok tenant lostCapabilities missingPermissions userErrors { code field message } }
}`;
const BEGIN = `mutation Begin($input: BeginAuthorizationInput!) {
  beginAuthorization(input: $input) { authorizationUrl userErrors { code field message } }
}`;

/** Tests the connection with the given input and shows the result. Returns the user errors. */
export async function test(session, form, input) {
  const { testConnection: found } = await session.query(TEST, { input });
  if (found.ok) form.say(tested(found));
  return found.userErrors;
}

/** Goes to the application's consent page. Returns the user errors, if there are any. */
export async function beginAuthorization(session, form, name, input) {
  const { beginAuthorization: begun } = await session.query(BEGIN, { input });
  if (begun.userErrors.length) return begun.userErrors;
  const address = new URL(begun.authorizationUrl);
  if (!["https:", "http:"].includes(address.protocol))
    throw new Error(`${name} gave an address that cannot be opened.`);
  form.say(`Going to ${name}…`);
  location.assign(address);
  return [];
}

export function consentHint(name, redirectUri) {
  return [
    `${name} asks you to consent, and brings you back here. Register this redirect address there first: `,
    h("code", {}, redirectUri),
  ];
}

/**
 * Splits a text into paragraphs. Manifests wrap long lines, so a long line that ends within a sentence
 * is joined with the next one. Replaces the placeholder for Muster's own address, which manifests cannot know.
 */
function paragraphs(text, redirectUri) {
  return text
    .replace(/(.{60,}[^.:!?\s])\n(?=\S)|(.{60,})\n(?=\p{Ll})/gu, "$1$2 ")
    .replaceAll(/<public address of Muster>\/oauth\/callback\/[a-z0-9-]+/g, (match) => redirectUri ?? match)
    .split("\n")
    .filter((line) => line.trim());
}

/** What a person has to do in the application first, with a link to the vendor's documentation. */
export function preparation({ name, setup, documentationUrl, requiredPermissions, authenticationOptions }) {
  const redirectUri = authenticationOptions.map((option) => option.redirectUri).find(Boolean);
  const address = URL.canParse(documentationUrl ?? "") ? new URL(documentationUrl) : null;
  return [
    paragraphs(setup, redirectUri).map((line) => h("p", { class: "step" }, line)),
    address?.protocol === "https:" &&
      h(
        "p",
        {},
        h("a", { href: address, target: "_blank", rel: "noreferrer" }, `${name}’s documentation`),
        " (opens a new tab)",
      ),
    requiredPermissions.length > 0 && [
      h("h3", {}, "Permissions that the credential needs"),
      h(
        "ul",
        {},
        requiredPermissions.map((permission) => h("li", {}, h("code", {}, permission))),
      ),
    ],
  ];
}

function provided({ providedFields }) {
  return USER_FIELDS.map(({ key, description }) => {
    const given = providedFields.includes(key);
    return h(
      "li",
      { class: given ? "given" : "missing" },
      description,
      !given && h("span", { class: "unknown" }, ": not provided by this application"),
    );
  });
}

/** A name that no instance has. */
function suggestion(session, name) {
  const taken = new Set([...session.instances.values()].map((instance) => instance.name.toLowerCase()));
  let free = name;
  for (let count = 2; taken.has(free.toLowerCase()); count += 1) free = `${name} ${count}`;
  return free;
}

/** The form, and `suggest`, which updates the suggested name when the list of instances changes. */
function connectForm(session, integration) {
  const name = new Field(NAME);
  let suggested = "";
  const suggest = () => {
    if (name.value !== suggested) return;
    suggested = suggestion(session, integration.name);
    name.control.value = suggested;
  };
  suggest();
  const interval = new Field(INTERVAL);
  const configuration = new Configuration(integration);
  const testing = h("button", { type: "button", class: "quiet" }, "Test connection");
  const connecting = h("button", { type: "submit" });
  const hint = h("p", { class: "hint" });
  const form = new Form(
    session,
    [
      ...configuration.fields.map((field) => [["config", field.about.key], field]),
      [["name"], name],
      [["syncIntervalMinutes"], interval],
    ],
    [configuration.elements, name.element, interval.element, hint],
    [connecting, testing],
    () => (configuration.needsConsent ? consent() : connect()),
  );
  const { key } = integration;
  const input = () => ({
    integrationKey: key,
    name: name.value,
    config: configuration.given,
    syncIntervalMinutes: Number(interval.value),
  });
  const consent = () =>
    form.run(`Preparing to go to ${integration.name}…`, () =>
      beginAuthorization(session, form, integration.name, input()),
    );
  const connect = () =>
    form.run(`Asking ${integration.name} whether it accepts this…`, async () => {
      const { createInstance: created } = await session.query(CREATE, { input: input() });
      if (created.instance) session.go(link(created.instance), "Connected. The first sync has been started.");
      return created.userErrors;
    });
  testing.addEventListener("click", () =>
    form.run(`Asking ${integration.name}…`, () =>
      test(session, form, { integrationKey: key, config: configuration.given }),
    ),
  );
  configuration.chosen = () => {
    const { needsConsent } = configuration;
    connecting.textContent = needsConsent ? `Continue at ${integration.name}` : "Connect";
    testing.hidden = needsConsent;
    hint.replaceChildren(
      ...(needsConsent
        ? consentHint(integration.name, configuration.redirectUri)
        : ["The credential is checked before anything is stored."]),
    );
  };
  configuration.chosen();
  return { element: form.element, suggest };
}

export function integrationPage(session, key) {
  const asked = new AbortController();
  const title = h("h1", { tabindex: -1 }, "Application");
  const status = h("p", { role: "status" }, "Loading…");
  const content = h("div");
  const instances = h("div");
  const element = h("div", {}, h("p", {}, h("a", { href: "#/catalog" }, "Catalog")), title, status, content);
  let found = null;
  let form = null;

  async function load() {
    status.textContent = "Loading…";
    try {
      ({ integration: found } = await session.query(INTEGRATION, { key }, asked.signal));
    } catch (error) {
      if (asked.signal.aborted) return;
      const again = h("button", { type: "button", onclick: () => load() }, "Try again");
      return status.replaceChildren(h("span", { class: "error" }, error.message), " ", again);
    }
    status.textContent = found ? "" : "The catalog has no such application.";
    if (!found) return;
    document.title = `${found.name} – Muster`;
    form = session.readOnly ? null : connectForm(session, found);
    title.replaceChildren(found.name, " ", h("small", {}, categoryName(found.category)));
    content.replaceChildren(
      h("p", {}, found.description),
      instances,
      h(
        "div",
        { class: "columns" },
        h(
          "section",
          { "aria-labelledby": "about-title" },
          h("h2", { id: "about-title" }, `In ${found.name}`),
          preparation(found),
          h("h3", {}, "What is known about its users"),
          h("ul", { class: "provided" }, provided(found)),
        ),
        h(
          "section",
          { "aria-labelledby": "connect-title" },
          h("h2", { id: "connect-title" }, "Connect"),
          form?.element ?? h("p", {}, "Your role can only read; an administrator can connect applications."),
        ),
      ),
    );
    update();
  }

  function update() {
    if (!found) return;
    form?.suggest();
    const own = [...session.instances.values()]
      .filter((instance) => instance.integration.key === key && instance.status !== "DELETING")
      .sort((a, b) => a.name.localeCompare(b.name));
    const facts = own.map(({ id, name, health, failingSince }) => [id, name, health, failingSince]);
    redraw(instances, facts, () =>
      own.length === 0
        ? h("p", {}, "It is not connected yet.")
        : h(
            "details",
            { open: own.length <= 5 },
            h("summary", {}, `Connected: ${counted(own.length)}`),
            h(
              "ul",
              {},
              own.map((instance) =>
                h("li", {}, h("a", { href: link(instance) }, instance.name), " ", pieces.health(instance)),
              ),
            ),
          ),
    );
  }

  document.title = "Catalog – Muster";
  load();
  return { element, update, close: () => asked.abort() };
}
