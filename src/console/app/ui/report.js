// What reports have in common: money, prices and dates in words, their filters, what is unknown, and how old a figure is.

import { count, LANGUAGE } from "../format.js";
import { html } from "../lib.js";
import { search } from "../router.js";
import { findIntegrations, nameOfIntegration } from "./find.js";
import { Only } from "./only.js";
import { Download, instanceLink, Link } from "./parts.js";
import { Freshness } from "./state.js";

/** What an instance of a report needs to be shown. */
export const REPORTED = "fragment Reported on Instance { id name integration { key name } freshness { state asOf staleSince } }";

/** `{ amount: "1250.00", currency: "EUR" }` as "EUR 1,250.00", with the decimal places that it has. It is not broken into lines. */
export function money({ amount, currency }) {
  const digits = amount.split(".")[1]?.length ?? 0;
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${currency}\u00a0${new Intl.NumberFormat(LANGUAGE, form).format(/** @type {`${number}`} */ (amount))}`;
}

/** "a year", "for 18 months": what a price is for. */
function period(months) {
  if (months === 1) return "a month";
  if (months === 12) return "a year";
  return months % 12 === 0 ? `for ${months / 12} years` : `for ${months} months`;
}

/** "EUR 250.00 a seat, a year" */
export const told = ({ unitPrice, totalPrice, seats, billingMonths }) =>
  `${unitPrice ? `${money(unitPrice)} a seat` : `${money(totalPrice)} for ${count(seats, "seat")}`}, ${period(billingMonths)}`;

/** What is not known is never shown as a number. */
export const unknown = (text = "unknown") => html`<span class="unknown">${text}</span>`;

/** What the address limits a report to, for the filters of the API. */
export function filterOfAddress() {
  const [application, instance] = [search.value.get("application"), search.value.get("instance")];
  return { instanceId: instance ?? undefined, integrationKeys: application ? [application] : undefined };
}

/** A report as a file, with the filter of the API. */
export const ReportFile = ({ report, filter = filterOfAddress() }) => html`<${Download} to="export/${report}.csv?${new URLSearchParams({ filter: JSON.stringify(filter) })}" name=${report} />`;

export const OneApplication = () => html`<${Only} label="Application" name="application" placeholder="All applications" find=${findIntegrations} nameOf=${nameOfIntegration} />`;

/** The instance of a figure, with its application, and since when it is stale. */
export const Of = ({ instance }) => html`
  <span class="second"><${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}> · ${instance.integration.name}</span>
  ${instance.freshness.state !== "FRESH" && html`<${Freshness} instance=${instance} />`}
`;
