// What a person does in an application before it can be connected.

import { html } from "../lib.js";
import { Icon } from "./icon.js";

/** The GraphQL fields of an integration that are shown here. */
export const PREPARATION = "name setup documentationUrl requiredPermissions authenticationOptions { redirectUri }";

/**
 * Splits a text into paragraphs. Manifests wrap long lines, so a long line that ends within a sentence is joined with the
 * next one. The placeholder for the address of this server becomes that address.
 */
function paragraphs(text, redirectUri) {
  return text
    .replace(/(.{60,}[^.:!?\s])\n(?=\S)|(.{60,})\n(?=\p{Ll})/gu, "$1$2 ")
    .replaceAll(/<public address of Muster>\/oauth\/callback\/[a-z0-9-]+/g, (match) => redirectUri ?? match)
    .split("\n")
    .filter((line) => line.trim());
}

/** A scope or an address as it is entered. A long one goes on in another line after one of its parts. */
const Entered = ({ text }) => html`<code>${text.split(/(?<=[/.:_-])(?=[^/])/).map((part, index) => html`${index > 0 && html`<wbr />`}${part}`)}</code>`;

/** A text in which addresses are links. Those that are no pages, such as scopes, are shown as they are entered. */
function Linked({ text, names }) {
  const parts = text.split(/(https?:\/\/[^\s,;()<>”]*[^\s,;()<>”.:])/);
  return parts.map((part, index) => {
    if (index % 2 === 0) return part;
    if (names.includes(part) || !part.startsWith("https:")) return html`<${Entered} text=${part} />`;
    return html`<a href=${part} target="_blank" rel="noreferrer">${part}</a>`;
  });
}

/** One step. What it is for stands at its beginning, such as "With a token:". */
function Step({ text, names }) {
  const [, lead, rest] = /^((?:With|As|For)\b[^:.,]{2,60}:)\s+(.*)$/su.exec(text) ?? [null, null, text];
  return html`<li>${lead && html`<strong>${lead} </strong>`}<${Linked} text=${rest} names=${names} /></li>`;
}

/** The steps of an integration's setup. */
export function Steps({ integration: { setup, requiredPermissions, authenticationOptions } }) {
  const redirectUri = authenticationOptions.map((option) => option.redirectUri).find(Boolean) ?? null;
  const names = [...requiredPermissions, redirectUri];
  return html`<ol class="steps">${paragraphs(setup, redirectUri).map((text) => html`<${Step} key=${text} text=${text} names=${names} />`)}</ol>`;
}

/** The permissions that a credential needs. What is in parentheses says when or why. */
export const Permissions = ({ permissions }) => html`
  <ul class="permissions">
    ${permissions.map((permission) => {
      const [, name, reason] = /^(.*?)\s*\(([^()]*)\)$/.exec(permission) ?? [null, permission, ""];
      // A scope is one word. The others are sentences.
      const shown = /\s/.test(name) ? name : html`<${Entered} text=${name} />`;
      return html`<li key=${permission}><${Icon} name="key" /> <span>${shown}${reason && html` <span class="second">${reason}</span>`}</span></li>`;
    })}
  </ul>
`;

/** The vendor's documentation. */
export function Documentation({ integration: { name, documentationUrl } }) {
  const address = URL.canParse(documentationUrl ?? "") ? new URL(documentationUrl) : null;
  if (address?.protocol !== "https:") return null;
  return html`<p><a class="outside" href=${address.href} target="_blank" rel="noreferrer">Documentation of ${name}<${Icon} name="external-link" size=${14} /><span class="unseen"> (opens a new tab)</span></a></p>`;
}
