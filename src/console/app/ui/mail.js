// Mails in words: what they are about, what became of them, and why.

import { count, words } from "../format.js";
import { html } from "../lib.js";

/** What each kind of mail is about. */
export const MAIL_KINDS = {
  INITIAL_SYNC_SUCCEEDED: "First sync succeeded",
  INITIAL_SYNC_FAILED: "First sync failed",
  SYNC_FAILED: "Sync failed",
  SYNC_RECOVERED: "Sync works again",
  AUTO_REVOKED: "Set inactive",
  RENEWAL_REMINDER: "Contract reminder",
  WEEKLY_DIGEST: "Weekly digest",
  WEBHOOK_DISABLED: "Webhook switched off",
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

/** Whether it is not certain yet what becomes of a mail. */
export const isWaiting = ({ state }) => state === "QUEUED";

/** Why a mail was sent, or was not, and what the attempts to send it came to. */
export function WhyMail({ mail }) {
  const { state, reason, attempts, lastError } = mail;
  const hasFailed = (state === "QUEUED" || state === "FAILED") && attempts > 0;
  const tried = hasFailed && `${count(attempts, "attempt")}, the last: ${lastError ?? "no answer"}`;
  return html`${reason}${tried && html`<span class="said-by">${tried}</span>`}`;
}

/** Why a run caused no mail. */
export function whyNoMail({ outcome, mailDecision }) {
  const { kind, reason } = mailDecision;
  if (reason === "CANCELLED") return "It was cancelled, which is never mailed.";
  if (reason === "NO_RECIPIENT") {
    const due = kind ? ` A mail “${MAIL_KINDS[kind] ?? words(kind)}” was due.` : "";
    return `Nobody would get it: neither the creator of the instance nor a recipient has an address.${due}`;
  }
  if (outcome === "FAILED") return "It failed like the run before, which was mailed.";
  return "It ended like the run before.";
}
