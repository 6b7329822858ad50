// People in words: their states, and why an account is somebody's or nobody's.

import { html } from "../lib.js";
import { Day } from "./moment.js";
import { Badge } from "./state.js";

/** The states of people, and how they look. */
const PERSON_STATES = { CURRENT: ["Current", "ok"], LEFT: ["Left", "warning"], UNKNOWN: ["Unknown", "plain"] };

/** The state of a person, and since when it is known. */
export function PersonState({ person: { state, stateSince, isExternal } }) {
  const [label, tone] = PERSON_STATES[state];
  return html`
    <${Badge} tone=${tone}>${label}</${Badge}> <span class="second">${isExternal && "External, "}since <${Day} at=${stateSince} /></span>
  `;
}

/** Events after which accounts may be of other people. */
const CHANGES_PEOPLE = new Set(["SYNC_SUCCEEDED", "SYNC_PARTIAL", "SYNC_FAILED", "USERS_DELETION_STARTED", "USERS_DELETED", "DELETION_STARTED", "DELETED"]);
export const changesPeople = ({ cause }) => CHANGES_PEOPLE.has(cause);

/** The rules by which an account is somebody's. */
const RULES = {
  PIN: "A member has decided it.",
  SOURCE: "It is the person's account in a people source.",
  SOURCE_ID: "It has the id of an account in a people source.",
  ADDRESS: "A people source gives the person this address.",
  EQUIVALENT_DOMAIN: "A people source gives the person this address in an equivalent domain.",
  TAG: "A people source gives the person this address without the tag.",
  OWNED_ADDRESS: "There is no people source: the address stands for a person.",
  FOREIGN_ADDRESS: "The address is outside of the company's domains, and stands for a person.",
};

/** Why an account is nobody's, or may be somebody else's. */
const REASONS = {
  CONFLICT: "The address belongs to somebody else by now, or to several people at once.",
  NOBODY: "A member has decided that it is nobody's, or its person was erased.",
  NOT_PERSONAL: "A program or several people use it.",
  NO_ADDRESS: "It has no address, and nothing else tells whose it is.",
  UNMATCHED: "Its address is in one of the company's domains, and no people source knows it.",
};

/** Whether a member has decided whose an account is. */
export const isPinned = ({ link }) => link?.rule === "PIN";

/** The rule in words, and what it has compared. */
export function Why({ link }) {
  if (!link) return html`<span class="unknown">Not looked at yet</span>`;
  const { state, rule, evidence } = link;
  const known = rule && state !== "NOBODY" ? RULES[rule] : REASONS[state];
  return html`
    ${state === "CONFLICT" && html`<${Badge} tone="warning">Conflict</${Badge}> `}${known}${evidence && html`<span class="second">${evidence}</span>`}
    ${state === "CONFLICT" && rule && html`<span class="second">${REASONS.CONFLICT} A member has to decide.</span>`}
  `;
}
