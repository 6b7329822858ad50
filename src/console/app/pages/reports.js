// Reports: figures, how sure they are, and what is behind them.

import { html } from "../lib.js";
import { maySeeReportSettings } from "../session.js";
import { Icon } from "../ui/icon.js";
import { Heading, Link, Part } from "../ui/parts.js";
import { FindingsReport } from "./reports/findings.js";
import { LicencesReport } from "./reports/licences.js";
import { PostureReport } from "./reports/posture.js";
import { RenewalsReport } from "./reports/renewals.js";
import { SpendReport } from "./reports/spend.js";

/** It is the only report with charts. */
const TrendPart = () => html`<${Part} load=${() => import("./reports/trend.js").then((report) => report.TrendReport)} />`;

/** The reports in the order of their tabs. Each has a file of its own; the first one is shown if none is named. */
const PARTS = [
  { part: "posture", label: "Posture", content: PostureReport },
  { part: "trend", label: "Trend", content: TrendPart },
  { part: "findings", label: "Findings", content: FindingsReport },
  { part: "licences", label: "Licences", content: LicencesReport },
  { part: "spend", label: "Spend", content: SpendReport },
  { part: "renewals", label: "Renewals", content: RenewalsReport },
];

export function ReportsPage({ part = PARTS[0].part }) {
  const current = PARTS.find((one) => one.part === part);
  return html`
    <${Heading} title=${current?.label ?? "Reports"} crumbs=${html`<span>Reports</span>`} />
    <nav class="tabs" aria-label="Reports">
      ${PARTS.map(({ part: name, label }) => html`<${Link} key=${name} to="reports/${name}" aria-current=${name === part ? "page" : null}>${label}</${Link}>`)}
      ${maySeeReportSettings.value && html`<${Link} class="aside" to="settings/reports"><${Icon} name="settings" />Report settings</${Link}>`}
    </nav>
    ${current ? html`<${current.content} />` : html`<p>Nothing is at this address. <${Link} to="reports">Go to the reports</${Link}></p>`}
  `;
}
