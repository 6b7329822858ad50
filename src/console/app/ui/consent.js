// What forms say about a consent.

import { html } from "../lib.js";
import { path } from "../router.js";

/** What the path of a callback begins with, below the address of the console. */
const CALLBACK = "/oauth/callback";

/** Why a consent failed, and what to do. `failed` is `{ title, happened, steps }`. */
export const FailedConsent = ({ failed: { title, happened, steps }, children }) => html`
  <div class="notice danger" role="alert">
    <p><strong>${title}</strong></p>
    <p>${happened.join(" ")}</p>
    <ul class="steps">${steps.map((step) => html`<li key=${step}>${step}</li>`)}</ul>
    ${children}
  </div>
`;

/** That a consent does not end here, if the application sends people back to another address of this server. */
export function ConsentElsewhere({ configuration: { needsConsent, redirectUri } }) {
  if (!needsConsent || !redirectUri || new URL(redirectUri).origin === location.origin) return null;
  const there = redirectUri.slice(0, redirectUri.indexOf(CALLBACK));
  return html`
    <div class="notice warning" role="status">
      <p><strong>Open the console at its own address first.</strong> You are at ${location.origin}, but a consent brings you back to ${there}, where it is not known who you are.</p>
      <p><a class="button small" href="${there}/${path.value}">Go on at ${there}</a></p>
    </div>
  `;
}
