// What was typed in a form before a person went to the application to consent, and what the server said when they came
// back. It stays in the tab until the application is connected or it is discarded. Secrets are never kept.

import { path, ROOT } from "./router.js";
import { me } from "./session.js";

const FAILED = "muster_consent=";
const keyOf = (form) => `muster.connect.${form}`;

/**
 * Keeps what was typed in a form: the key of an integration to connect, or the id of an instance to reconnect. `hasLeft` is
 * true while a person is at the application to consent.
 */
export function keepDraft(form, draft) {
  sessionStorage.setItem(keyOf(form), JSON.stringify({ ...draft, by: me.peek()?.name }));
}

/** What was kept, or null. What somebody else typed in this tab is not shown. */
export function keptDraft(form) {
  try {
    const draft = JSON.parse(sessionStorage.getItem(keyOf(form)));
    return draft?.by === me.peek()?.name ? draft : null;
  } catch {
    return null;
  }
}

export const dropDraft = (form) => sessionStorage.removeItem(keyOf(form));

const isText = (value) => typeof value === "string";
const isTexts = (value) => Array.isArray(value) && value.every(isText);

/** Whether a consent was begun here. Another application on this host could write the cookie, too. */
const isExpected = (form) => keptDraft(form)?.hasLeft || path.peek() === `instances/${form}`;

/** Why the consent failed that was begun in this form: `{ title, happened, steps }`, or null. The server says it once. */
export function takeFailedConsent(form) {
  const cookie = document.cookie.split("; ").find((one) => one.startsWith(FAILED));
  if (!cookie) return null;
  try {
    const { form: of, title, happened, steps } = JSON.parse(decodeURIComponent(cookie.slice(FAILED.length)));
    if (of !== form || !isExpected(form)) return null;
    document.cookie = `${FAILED}; Max-Age=0; Path=${ROOT}`;
    return isText(title) && isTexts(happened) && isTexts(steps) ? { title, happened, steps } : null;
  } catch {
    return null;
  }
}
