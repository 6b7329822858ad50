// The notice of an instance: what happened, since when, and what helps.

import { useEffect, useRef } from "../../vendor/hooks.js";
import { Remedies } from "../actions.js";
import { exactly } from "../format.js";
import { html } from "../lib.js";
import { Icon } from "./icon.js";
import { Moment } from "./moment.js";

/** Nothing if there is nothing to tell. */
export const Notice = ({ instance }) => instance.notice && html`<${NoticeShown} instance=${instance} />`;

function NoticeShown({ instance }) {
  const { severity, title, detail, since } = instance.notice;
  const isUsed = useRef(false);
  useEffect(
    () => () => {
      // A remedy has helped, and its button is gone with the notice.
      if (isUsed.current && document.activeElement === document.body) document.querySelector("main h1")?.focus({ preventScroll: true });
    },
    [title],
  );
  return html`
    <div class="notice ${severity === "DANGER" ? "danger" : "warning"}" role="group" aria-label="Notice" onClick=${() => (isUsed.current = true)}>
      <p class="notice-title">
        <${Icon} name=${severity === "DANGER" ? "circle-alert" : "alert-triangle"} />
        <strong>${title}</strong>
        ${since && html`<span class="second">began <${Moment} at=${since} /></span>`}
      </p>
      <details>
        <summary>What happened</summary>
        ${detail && html`<p>${detail}</p>`}
        ${since && html`<p class="second">Since ${exactly(new Date(since))}</p>`}
      </details>
      <${Remedies} instance=${instance} />
    </div>
  `;
}
