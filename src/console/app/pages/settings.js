// Settings: the account of the caller, what is held against accounts, and for administrators members, tokens, webhooks and the audit log.

import { html } from "../lib.js";
import { address } from "../router.js";
import { mayChange, mayManage, maySeeReportSettings, me } from "../session.js";
import { Icon } from "../ui/icon.js";
import { Heading, Link } from "../ui/parts.js";
import { AccountSettings } from "./settings/account.js";
import { AuditSettings } from "./settings/audit.js";
import { MembersSettings } from "./settings/members.js";
import { PeopleSettings } from "./settings/people.js";
import { ReportSettings } from "./settings/reports.js";
import { TokensSettings } from "./settings/tokens.js";
import { WebhooksSettings } from "./settings/webhooks.js";

const PARTS = [
  { part: "account", to: "settings", label: "Account", content: AccountSettings },
  { part: "members", to: "settings/members", label: "Members", content: MembersSettings, isShown: mayManage },
  { part: "people", to: "settings/people", label: "People", content: PeopleSettings, isShown: mayManage },
  { part: "reports", to: "settings/reports", label: "Reports", content: ReportSettings, isShown: maySeeReportSettings },
  { part: "tokens", to: "settings/tokens", label: "Tokens", content: TokensSettings, isShown: mayManage },
  { part: "webhooks", to: "settings/webhooks", label: "Webhooks", content: WebhooksSettings, isShown: mayManage },
  { part: "audit", to: "settings/audit", label: "Audit log", content: AuditSettings, isShown: mayManage },
];

export function SettingsPage({ part = "account" }) {
  const shown = PARTS.filter(({ isShown }) => !isShown || isShown.value);
  const current = PARTS.find((one) => one.part === part);
  const isOpen = shown.includes(current);
  const refusal = me.value.scope ? "This page is about the whole installation, and you are limited to some instances." : "Only administrators see this page.";
  return html`
    <${Heading} title=${isOpen ? current.label : "Settings"} crumbs=${html`<span>Settings</span>`} />
    <nav class="tabs" aria-label="Settings">
      ${shown.map(({ part: name, to, label }) => html`<${Link} to=${to} aria-current=${name === part ? "page" : null}>${label}</${Link}>`)}
      ${/* "opener" gives the new tab the API token of this one. Both are pages of this server. */ mayChange.value &&
      html`<a class="aside" href=${address("explorer")} target="_blank" rel="opener"><${Icon} name="terminal" />Explorer<span class="unseen"> (GraphiQL, opens in a new tab)</span></a>`}
    </nav>
    ${isOpen
      ? html`<${current.content} />`
      : html`<p>${current ? refusal : "Nothing is at this address."} <${Link} to="settings">Go to your account</${Link}></p>`}
  `;
}
