// The way to the page of an application on which somebody consents.

import { change } from "./api.js";
import { leaveFor } from "./router.js";

const BEGIN = `mutation Begin($input: BeginAuthorizationInput!) {
  beginAuthorization(input: $input) { authorizationUrl userErrors { code field message } }
}`;

/** Goes to the application's page for consent. Returns the user errors, if there are any. */
export async function beginConsent(name, input) {
  const { authorizationUrl, userErrors } = await change(BEGIN, input);
  if (userErrors.length) return userErrors;
  const to = new URL(authorizationUrl);
  if (!["https:", "http:"].includes(to.protocol)) throw new Error(`${name} gave an address that cannot be opened.`);
  leaveFor(to);
  return [];
}
