// What was typed to connect an application. It stays in the tab until the application is connected or it is discarded.
// Secrets are never kept.

import { me } from "./session.js";

const keyOf = (integration) => `muster.connect.${integration}`;

/** Keeps `{ name, minutes, config, hasLeft }`. `hasLeft` is true while a person is at the application to consent. */
export function keepDraft(integration, draft) {
  sessionStorage.setItem(keyOf(integration), JSON.stringify({ ...draft, by: me.peek()?.name }));
}

/** What was kept, or null. What somebody else typed in this tab is not shown. */
export function keptDraft(integration) {
  try {
    const draft = JSON.parse(sessionStorage.getItem(keyOf(integration)));
    return draft?.by === me.peek()?.name ? draft : null;
  } catch {
    return null;
  }
}

export const dropDraft = (integration) => sessionStorage.removeItem(keyOf(integration));
