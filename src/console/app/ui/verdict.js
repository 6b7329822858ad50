// The test of a connection, and what came of it in a few sentences.

import { change } from "../api.js";
import { CAPABILITIES } from "../fields.js";
import { listed, plural } from "../format.js";
import { html } from "../lib.js";

const TEST = `mutation Test($input: TestConnectionInput!) {
  testConnection(input: $input) { ok tenant lostCapabilities missingPermissions userErrors { code field message } }
}`;

/** Asks the application. `input` is a `TestConnectionInput`. */
export const testConnection = (input) => change(TEST, input);

/** The result of a test, as `testConnection` gave it. `reasons` are the messages that no field shows. */
export function Verdict({ result, reasons = result.userErrors.map(({ message }) => message) }) {
  const { ok, tenant, lostCapabilities: lost, missingPermissions: missing } = result;
  const tone = !ok ? "danger" : lost.length || missing.length ? "warning" : "ok";
  const title = !ok
    ? "The connection does not work."
    : lost.length
      ? "The connection works, but not everything can be read."
      : "The connection works.";
  return html`
    <div class="notice ${tone}" role="status">
      <p><strong>${title}</strong>${ok && tenant && ` It belongs to ${tenant}.`}</p>
      ${reasons.map((reason) => html`<p>${reason}</p>`)}
      ${lost.length > 0 && html`<p>Cannot be read: ${listed(lost.map((part) => CAPABILITIES[part].toLowerCase()))}.</p>`}
      ${missing.length > 0 && html`<p>Missing ${plural(missing.length, "permission")}: ${missing.map((name, index) => html`${index > 0 && ", "}<code>${name}</code>`)}</p>`}
    </div>
  `;
}
