// Settings: the account of the caller, and for administrators members, tokens and the audit log.

import { html } from "../lib.js";
import { address } from "../router.js";
import { mayChange, mayManage } from "../session.js";
import { Icon } from "../ui/icon.js";
import { Heading, Link } from "../ui/parts.js";
import { AccountSettings } from "./settings/account.js";
import { AuditSettings } from "./settings/audit.js";
import { MembersSettings } from "./settings/members.js";
import { PeopleSettings } from "./settings/people.js";
import { TokensSettings } from "./settings/tokens.js";

const PARTS = [
  { part: "account", to: "settings", label: "Account", content: AccountSettings },
  { part: "members", to: "settings/members", label: "Members", content: MembersSettings, managed: true },
  { part: "people", to: "settings/people", label: "People", content: PeopleSettings, managed: true },
  { part: "tokens", to: "settings/tokens", label: "Tokens", content: TokensSettings, managed: true },
  { part: "audit", to: "settings/audit", label: "Audit log", content: AuditSettings, managed: true },
];

export function SettingsPage({ part = "account" }) {
  const shown = PARTS.filter(({ managed }) => !managed || mayManage.value);
  const current = PARTS.find((one) => one.part === part);
  const isOpen = shown.includes(current);
  return html`
    <${Heading} title=${isOpen ? current.label : "Settings"} crumbs=${html`<span>Settings</span>`} />
    <nav class="tabs" aria-label="Settings">
      ${shown.map(({ part: name, to, label }) => html`<${Link} to=${to} aria-current=${name === part ? "page" : null}>${label}</${Link}>`)}
      ${/* "opener" gives the new tab the API token of this one. Both are pages of this server. */ mayChange.value &&
      html`<a class="aside" href=${address("explorer")} target="_blank" rel="opener"><${Icon} name="terminal" />Explorer<span class="unseen"> (GraphiQL, opens in a new tab)</span></a>`}
    </nav>
    ${isOpen
      ? html`<${current.content} />`
      : html`<p>${current ? "Only administrators see this page." : "Nothing is at this address."} <${Link} to="settings">Go to your account</${Link}></p>`}
  `;
}
