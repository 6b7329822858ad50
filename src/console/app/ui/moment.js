// Times.

import { signal } from "../../vendor/signals.js";
import { ago, day, exactly } from "../format.js";
import { html } from "../lib.js";

/** The time by which other times are shown. */
export const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 15_000);

/** A time relative to now. The local and the universal time are its title. */
export function Moment({ at }) {
  if (!at) return null;
  const date = new Date(at);
  // Nothing is in the future because of a clock that is a little slow.
  const shown = ago(date, Math.max(now.value, Date.now()));
  return html`<time dateTime=${at} title=${exactly(date)}>${shown}</time>`;
}

/** The relative, the local and the universal time together. */
export const FullMoment = ({ at }) =>
  at ? html`<span class="moment"><${Moment} at=${at} /> <small>${exactly(new Date(at))}</small></span>` : null;

/** "12 May" */
export const Day = ({ at }) => html`<time dateTime=${at} title=${exactly(new Date(at))}>${day(new Date(at), now.value)}</time>`;
