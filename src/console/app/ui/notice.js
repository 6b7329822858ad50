// The notice of an instance: what happened, since when, and what helps.

import { useEffect, useRef } from "../../vendor/hooks.js";
import { Remedies } from "../actions.js";
import { exactly } from "../format.js";
import { html } from "../lib.js";
import { Icon } from "./icon.js";
import { Moment } from "./moment.js";

/** Nothing if there is nothing to tell. */
export const Notice = ({ instance }) => instance.notice && html`<${NoticeShown} instance=${instance} />`;

const focusHeading = () => /** @type {HTMLElement} */ (document.querySelector("main h1"))?.focus({ preventScroll: true });

function NoticeShown({ instance }) {
  const { severity, title, detail, since } = instance.notice;
  const element = useRef(null);
  const isUsed = useRef(false);
  // When a remedy has helped, its button is gone, and the focus with it.
  useEffect(() => () => element.current?.contains(document.activeElement) && focusHeading(), []);
  useEffect(() => {
    if (isUsed.current && document.activeElement === document.body) focusHeading();
  }, [title]);
  return html`
    <div ref=${element} class="notice ${severity === "DANGER" ? "danger" : "warning"}" role="group" aria-label="Notice" onClick=${() => (isUsed.current = true)}>
      <p class="notice-title">
        <${Icon} name=${severity === "DANGER" ? "circle-alert" : "alert-triangle"} />
        <strong>${title}</strong>
        ${since && html`<span class="second">began <${Moment} at=${since} />, ${exactly(new Date(since))}</span>`}
      </p>
      ${detail && html`<p>${detail}</p>`}
      <${Remedies} instance=${instance} />
    </div>
  `;
}
