// Findings in words: their types, severities and states.

import { number, words } from "../format.js";
import { html } from "../lib.js";
import { search } from "../router.js";
import { findInstances, nameOfInstance } from "./find.js";
import { Only } from "./only.js";
import { Link } from "./parts.js";
import { Badge } from "./state.js";

/** The types, the most urgent first. */
export const TYPES = {
  ADMIN_WITHOUT_MFA: "Administrator without a second factor",
  LEAVER_ACTIVE: "Left, but the account is active",
  EXTERNAL_ADMIN: "Administrator from outside",
  NO_MFA: "No second factor",
  CONFLICT: "The address belongs to somebody else",
  UNMATCHED: "Nobody's account",
  UNOWNED_SERVICE: "Program or shared account without an owner",
  INACTIVE: "Not used for long",
  NEVER_USED: "Paid for and never used",
  DUPLICATE: "Several accounts of one person",
  EXTERNAL: "From outside",
};
export const SEVERITIES = { CRITICAL: ["Critical", "danger"], HIGH: ["High", "danger"], MEDIUM: ["Medium", "warning"], LOW: ["Low", "plain"] };
export const STATES = { OPEN: "Open", EXCEPTED: "Accepted", UNCONFIRMED: "Not confirmed", CLOSED: "Closed" };

/** The questions of `Posture`, by the name of the field. */
export const QUESTIONS = {
  mfa: "Do people have a second factor?",
  adminMfa: "Do administrators have a second factor?",
  leavers: "Are active accounts of people who have left?",
  unmatched: "Are accounts of the company nobody's?",
  conflicts: "Does the address belong to somebody else by now?",
  admins: "Are people administrators?",
  externalAdmins: "Are administrators from outside?",
  externals: "Are people from outside?",
  inactive: "Have people not used their account for long?",
  neverActive: "Have people never used their account?",
  neverUsed: "Are licences paid for that were never used?",
  duplicates: "Do people have several accounts in one instance?",
  ownedServices: "Do programs and shared accounts have an owner?",
};

/** What reports of accounts are limited to. */
export const OneInstance = () => html`<${Only} label="Instance" name="instance" placeholder="All instances" find=${findInstances} nameOf=${nameOfInstance} />`;

/** The instances that the address limits a report to; null for all. */
export const instancesOfAddress = () => (search.value.has("instance") ? [search.value.get("instance")] : null);

/** The address of the findings of a type, in the instance that the address is limited to. */
export function findingsLink(type) {
  const query = new URLSearchParams({ type });
  if (search.value.has("instance")) query.set("instance", search.value.get("instance"));
  return `reports/findings?${query}`;
}

export const Severity = ({ severity }) => html`<${Badge} tone=${SEVERITIES[severity]?.[1]}>${SEVERITIES[severity]?.[0] ?? words(severity)}</${Badge}>`;

/** A number that has a list behind it. */
export const Behind = ({ count, type }) => (type && count > 0 ? html`<${Link} to=${findingsLink(type)}>${number(count)}</${Link}>` : number(count));
