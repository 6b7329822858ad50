// What reports have in common: their filters, what is unknown, and how old a figure is.

import { html } from "../lib.js";
import { search } from "../router.js";
import { findIntegrations, nameOfIntegration } from "./find.js";
import { Only } from "./only.js";
import { instanceLink, Link } from "./parts.js";
import { Freshness } from "./state.js";

/** What an instance of a report needs to be shown. */
export const REPORTED = "fragment Reported on Instance { id name integration { key name } freshness { state asOf staleSince } }";

/** What is not known is never shown as a number. */
export const unknown = (text = "unknown") => html`<span class="unknown">${text}</span>`;

/** What the address limits a report to, for the filters of the API. */
export function filterOfAddress() {
  const [application, instance] = [search.value.get("application"), search.value.get("instance")];
  return { instanceId: instance ?? undefined, integrationKeys: application ? [application] : undefined };
}

export const OneApplication = () => html`<${Only} label="Application" name="application" placeholder="All applications" find=${findIntegrations} nameOf=${nameOfIntegration} />`;

/** The instance of a figure, with its application, and since when it is stale. */
export const Of = ({ instance }) => html`
  <span class="second"><${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}> · ${instance.integration.name}</span>
  ${instance.freshness.state !== "FRESH" && html`<${Freshness} instance=${instance} />`}
`;

/** Events after which figures may differ. */
const CHANGES_FIGURES = new Set(["SYNC_SUCCEEDED", "SYNC_PARTIAL", "SYNC_FAILED", "USERS_DELETION_STARTED", "USERS_DELETED", "DELETION_STARTED", "DELETED"]);
export const changesFigures = ({ cause }) => CHANGES_FIGURES.has(cause);
