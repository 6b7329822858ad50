// The events of instances in words.

import { count } from "../format.js";
import { html } from "../lib.js";
import { Moment } from "./moment.js";
import { instanceLink, Link } from "./parts.js";

/** What an event needs besides its own fields to be told. */
export const TOLD_EVENT = `cursor cause at usersRemoved
  actor # person
  instance {
    id name status inactiveReason userCount
    lastSync {
      id
      failure {
        class
        message # person
      }
    }
  }
`;

/** Events that are worth telling; the others say only that a run goes on. */
export const TOLD_CAUSES = [
  "CREATED", "UPDATED", "DEACTIVATED", "REACTIVATED", "REVOKED", "CREDENTIAL_TRIED",
  "SYNC_SUCCEEDED", "SYNC_PARTIAL", "SYNC_FAILED", "SYNC_CANCELLED",
  "USERS_DELETION_STARTED", "USERS_DELETED", "DELETION_STARTED", "DELETED",
];

const TONES = {
  SYNC_SUCCEEDED: "ok",
  REACTIVATED: "ok",
  SYNC_PARTIAL: "warning",
  SYNC_WAITING: "warning",
  SYNC_FAILED: "danger",
  REVOKED: "danger",
  CREDENTIAL_TRIED: "danger",
};

const REASONS = {
  TOKEN_INACTIVE: "its token is no longer accepted",
  INSUFFICIENT_PERMISSIONS: "its token lacks a permission",
};

const removed = (event) => (event.usersRemoved === null ? "" : `: ${count(event.usersRemoved, "user")} removed`);

/** What follows the name of the instance. */
const TOLD = {
  SNAPSHOT: () => "is shown as it is now",
  CREATED: () => "was connected",
  UPDATED: () => "was changed",
  DEACTIVATED: () => "was switched off",
  REACTIVATED: ({ actor }) => (actor ? "was set live" : "is live again: its credential works"),
  REVOKED: ({ instance }) => `was set inactive: ${REASONS[instance.inactiveReason] ?? "its credential does not work"}`,
  CREDENTIAL_TRIED: () => "was tried again: its credential does not work yet",
  SYNC_QUEUED: () => "waits for a worker to sync it",
  SYNC_STARTED: () => "began to sync",
  SYNC_WAITING: () => "waits before it goes on with its sync",
  SYNC_RESUMED: () => "goes on with its sync",
  SYNC_SUCCEEDED: ({ instance }) => `synced: ${count(instance.userCount, "user")}`,
  SYNC_PARTIAL: ({ instance }) => `synced in part: ${count(instance.userCount, "user")}`,
  SYNC_FAILED: () => "failed to sync",
  SYNC_CANCELLED: () => "stopped its sync: it was cancelled",
  USERS_DELETION_STARTED: () => "loses all of its users",
  USERS_DELETED: (event) => `lost all of its users${removed(event)}`,
  DELETION_STARTED: () => "is being deleted",
  DELETED: (event) => `was deleted${removed(event)}`,
};

/** "synced: 12 users": what happened, to be read after the name of the instance. */
export const told = (event) => TOLD[event.cause]?.(event) ?? "changed";

/** How serious an event is: `ok`, `warning`, `danger` or `plain`. */
export const toneOf = (event) => TONES[event.cause] ?? "plain";

/** What an application said, where an event has more to say than a few words. */
export function toldWhy({ cause, instance }) {
  const failed = cause === "SYNC_FAILED" || cause === "SYNC_PARTIAL";
  return (failed && instance.lastSync?.failure?.message) || "";
}

/** One event as a line: "Okta synced: 12 users", who did it, and when. */
export function Told({ event }) {
  const why = toldWhy(event);
  return html`
    <li class="told">
      <span class="dot ${toneOf(event)}"></span>
      <div class="grow">
        <p><${Link} to=${instanceLink(event.instance.id)} title=${event.instance.name}>${event.instance.name}</${Link}> ${told(event)}</p>
        ${why && html`<p class="second told-why">${why}</p>`}
        ${event.actor && html`<p class="second">by ${event.actor}</p>`}
      </div>
      <span class="second"><${Moment} at=${event.at} /></span>
    </li>
  `;
}
