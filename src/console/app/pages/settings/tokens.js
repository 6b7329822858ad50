// API tokens: who uses the API, until when, for what, and their end.

import { done } from "../../api.js";
import { useList } from "../../data.js";
import { html } from "../../lib.js";
import { confirm, open, useAction } from "../../ui/dialog.js";
import { Day, Moment, now } from "../../ui/moment.js";
import { Button, Empty, More, Pending, say } from "../../ui/parts.js";
import { roleName } from "../../ui/roles.js";
import { Scope, useNames } from "../../ui/scope.js";
import { Badge } from "../../ui/state.js";
import { CreateToken } from "./token-form.js";

const TOKENS = `query Tokens($after: String) {
  apiTokens(first: 50, after: $after) {
    totalCount totalCountIsExact pageInfo { endCursor hasNextPage }
    nodes {
      id name email role createdAt expiresAt expiresSoon lastUsedAt revokedAt isPersonal isUnlimited
      scope { integrationKeys instanceIds }
    }
  }
}`;
const REVOKE_TOKEN = `mutation RevokeToken($input: RevokeApiTokenInput!) {
  revokeApiToken(input: $input) { userErrors { message } }
}`;

const hasEnded = ({ revokedAt, expiresAt }) => Boolean(revokedAt) || (expiresAt !== null && Date.parse(expiresAt) <= now.value);

function TokenExpiry({ token }) {
  const { revokedAt, expiresAt, expiresSoon } = token;
  if (revokedAt) return html`<${Badge}>Revoked</${Badge}> <span class="second"><${Moment} at=${revokedAt} /></span>`;
  if (expiresAt === null) return "Never";
  if (hasEnded(token)) return html`<${Badge}>Expired</${Badge}> <span class="second"><${Moment} at=${expiresAt} /></span>`;
  if (!expiresSoon) return html`<${Day} at=${expiresAt} />`;
  return html`<${Badge} tone="warning">Expires soon</${Badge}> <span class="second"><${Moment} at=${expiresAt} /></span>`;
}

function TokenRow({ token, names, reload }) {
  const [busy, run, error] = useAction();
  const { id, name } = token;
  const revoke = async () => {
    const text = "Every program that uses it is refused from now on. This cannot be undone.";
    if (!(await confirm(`Revoke “${name}”?`, text, "Revoke", "danger"))) return;
    run(async () => {
      await done(REVOKE_TOKEN, { id });
      say(`“${name}” is revoked.`);
      reload();
    });
  };
  return html`
    <tr class=${hasEnded(token) ? "ended" : ""}>
      <th scope="row">
        ${name}
        <span class="second">${[token.isPersonal && "personal", token.isUnlimited && "without limits", token.email].filter(Boolean).join(" · ")}</span>
      </th>
      <td class="whole" data-label="Role">${roleName(token.role)}</td>
      <td data-label="For" class="scope"><${Scope} scope=${token.scope} names=${names} /></td>
      <td class="whole" data-label="Expires"><${TokenExpiry} token=${token} /></td>
      <td class="whole" data-label="Last used">${token.lastUsedAt ? html`<${Moment} at=${token.lastUsedAt} />` : html`<span class="unknown">Never</span>`}</td>
      <td class="whole" data-label="Created"><${Day} at=${token.createdAt} /></td>
      <td class="wide acts">
        ${!hasEnded(token) && html`<${Button} look="small danger" busy=${busy} onClick=${revoke} aria-label="Revoke ${name}">Revoke</${Button}>`}
        <span class="error" role="alert">${error}</span>
      </td>
    </tr>
  `;
}

export function TokensSettings() {
  const list = useList(TOKENS, {}, (data) => data.apiTokens);
  const names = useNames(list.nodes?.map(({ scope }) => scope) ?? []);
  const create = async () => {
    if (await open(CreateToken)) list.reload();
  };
  return html`
    <div class="section-row">
      <p class="second">Programs use the API with these tokens. The text of a token is shown once, when it is created.</p>
      <${Button} look="primary" icon="plus" onClick=${create}>Create token</${Button}>
    </div>
    <${Pending} list=${list} />
    ${list.nodes?.length === 0 && html`<${Empty} title="No tokens yet"><p>Create one for each program that uses the API.</p></${Empty}>`}
    ${list.nodes?.length > 0 &&
    html`
      <table class="cards flow">
        <caption class="unseen">API tokens, the newest first</caption>
        <thead>
          <tr>${["Name", "Role", "For", "Expires", "Last used", "Created"].map((label) => html`<th scope="col">${label}</th>`)}<th scope="col"><span class="unseen">Actions</span></th></tr>
        </thead>
        <tbody>${list.nodes.map((token) => html`<${TokenRow} key=${token.id} token=${token} names=${names} reload=${list.reload} />`)}</tbody>
      </table>
      ${(list.hasMore || list.total > 10) && html`<${More} list=${list} />`}
    `}
  `;
}
