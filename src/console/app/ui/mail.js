// Mails in words: what they are about, what became of them, and why.

import { count, number } from "../format.js";
import { html } from "../lib.js";
import { Moment } from "./moment.js";

/** What each kind of mail is about. */
export const MAIL_KINDS = {
  INITIAL_SYNC_SUCCEEDED: "First sync succeeded",
  INITIAL_SYNC_FAILED: "First sync failed",
  SYNC_FAILED: "Sync failed",
  SYNC_RECOVERED: "Sync works again",
  AUTO_REVOKED: "Set inactive",
  TEST: "Test mail",
};

/** What became of a mail, and how that looks. */
export const MAIL_STATES = {
  SENT: ["Sent", "ok"],
  QUEUED: ["Waiting", "plain"],
  INCLUDED: ["In another mail", "plain"],
  DROPPED: ["Not sent", "warning"],
  FAILED: ["Failed", "danger"],
};

/** Why there is a mail at all. */
const MAIL_REASONS = {
  INITIAL_SYNC_SUCCEEDED: "The first sync succeeded.",
  INITIAL_SYNC_FAILED: "The first sync failed.",
  SYNC_FAILED: "A sync failed after a successful one.",
  SYNC_RECOVERED: "A sync succeeded after a failed one.",
  AUTO_REVOKED: "The server set the instance inactive, after its syncs had failed.",
  TEST: "Somebody asked for it, to try the mail settings.",
};

const attempted = (attempts) => (attempts === 1 ? "One attempt" : count(attempts, "attempt"));

/** Why a mail was sent, or was not. */
export function WhyMail({ mail }) {
  const { kind, state, attempts, lastError, sentAt } = mail;
  const told = {
    SENT: html`Sent <${Moment} at=${sentAt} />${attempts > 1 && html`, at attempt ${number(attempts)}`}.`,
    QUEUED: attempts === 0 ? "It waits for its first attempt." : `${attempted(attempts)} failed. It is tried again.`,
    INCLUDED: lastError ? "" : "Another mail to the same address reports it together with others.",
    DROPPED: lastError ? "" : "Its instance was deleted before it could be sent.",
    FAILED: `${attempted(attempts)} failed. It is not tried again.`,
  }[state];
  const why = state === "SENT" ? "" : lastError;
  return html`${MAIL_REASONS[kind]}<span class="said-by">${told} ${why}</span>`;
}

/** Why a run caused no mail. */
export function whyNoMail({ outcome, mailDecision }) {
  const { kind, reason } = mailDecision;
  if (reason === "CANCELLED") return "It was cancelled, which is never mailed.";
  if (reason === "NO_RECIPIENT") {
    const due = kind ? ` A mail “${MAIL_KINDS[kind]}” was due.` : "";
    return `Nobody would get it: neither the creator of the instance nor a recipient has an address.${due}`;
  }
  if (outcome === "FAILED") return "It failed like the run before, which was mailed.";
  return "It ended like the run before.";
}
