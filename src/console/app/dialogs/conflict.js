// What somebody else changed about an instance while its window was open.

import { useEffect, useRef, useState } from "../../vendor/hooks.js";
import { every, words } from "../format.js";
import { html } from "../lib.js";
import { onEvent } from "../live.js";
import { me } from "../session.js";
import { Button } from "../ui/parts.js";
import { Moment } from "../ui/moment.js";

/** The other party of a change that was refused because it did not know of another one. */
export const CONFLICT = "conflict { by at revision }";

/** The causes of the events of changes that people make. */
const CHANGED = ["UPDATED", "REACTIVATED", "DEACTIVATED"];

/**
 * The change by which the instance got its latest revision, as an event or a refusal told of it: `{ by, at, revision }`.
 * Returns it, and what notes a refusal's.
 * @returns {[{ by: string, at: string, revision: number }, (conflict: any) => void]}
 */
export function useLastChange(id) {
  const [last, setLast] = useState(null);
  // The change itself is the first event of its revision.
  const note = (change) => setLast((before) => (before?.revision >= change.revision ? before : change));
  useEffect(
    () =>
      onEvent(({ cause, instance, actor, at }) => {
        if (instance.id === id && CHANGED.includes(cause)) note({ by: actor, at, revision: instance.revision });
      }),
    [id],
  );
  return [last, note];
}

/** That somebody else has changed the instance, in a window that shows only a part of it. */
export const toldConflict = ({ by }) => `${by ?? "Somebody else"} changed this instance while this window was open.`;

/** Who it was, when, and what became of what was typed. */
function Happened({ newest, last, isBehind }) {
  // Without live updates, it is known who it was once the server has refused to overwrite it.
  const { by, at } = last?.revision === newest.revision ? last : { by: null, at: newest.updatedAt };
  const isOwn = by !== null && by === me.value?.email;
  const where = isOwn ? "It was saved with your account, in another window." : "Somebody else saved changes while this window was open.";
  return html`
    <p><strong>${by ?? "Somebody else"} changed this instance <${Moment} at=${at ?? newest.updatedAt} />.</strong></p>
    <p>${where} ${isBehind ? "What you typed is kept, and nothing was overwritten." : "You had typed nothing, so you see the instance as it is now."}</p>
  `;
}

const configOf = ({ config }) => new Map(config.map(({ key, value, isSet }) => [key, value ?? (isSet ? "Stored" : "")]));

/** The fields that differ: `{ label, before, now, mine }`; `mine` is undefined where nothing was typed. */
export function differences(base, newest, input) {
  const [before, now] = [configOf(base), configOf(newest)];
  const typed = new Map((input.config ?? []).map(({ key, value }) => [key, value]));
  const interval = (minutes) => (minutes === undefined ? undefined : every(minutes));
  const status = (value) => (value === undefined ? undefined : words(value));
  const rows = [
    { label: "Name", before: base.name, now: newest.name, mine: input.name },
    { label: "Status", before: status(base.status), now: status(newest.status), mine: status(input.status) },
    { label: "Sync interval", before: interval(base.syncIntervalMinutes), now: interval(newest.syncIntervalMinutes), mine: interval(input.syncIntervalMinutes) },
    ...newest.integration.configFields.map(({ key, label, secret }) => ({
      label,
      before: before.get(key) ?? "",
      now: now.get(key) ?? "",
      mine: secret && typed.has(key) ? "A new value" : typed.get(key),
    })),
  ];
  return rows.filter((row) => row.before !== row.now || row.mine !== undefined);
}

function ConflictTable({ rows, isMine }) {
  if (!rows.some((row) => row.before !== row.now))
    return html`<p>What is shown here stayed the same. It may have been the credential, whose values are never shown.</p>`;
  return html`
    <table class="cards">
      <caption class="unseen">The changes by field</caption>
      <thead>
        <tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">Now</th>${isMine && html`<th scope="col">Yours</th>`}</tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ label, before, now, mine }) => html`
            <tr>
              <th scope="row">${label}</th>
              <td data-label="Before">${before || "Empty"}</td>
              <td data-label="Now">${before === now ? html`<span class="second">Unchanged</span>` : html`<strong>${now || "Empty"}</strong>`}</td>
              ${isMine && html`<td data-label="Yours">${mine === undefined ? html`<span class="second">Not changed</span>` : mine || "Empty"}</td>`}
            </tr>
          `,
        )}
      </tbody>
    </table>
  `;
}

/**
 * Says who changed the instance since `base` was read. `followed` is what was shown before a change that nothing typed
 * stood against; the window shows the new values then.
 */
export function Conflict({ base, newest, last, followed, input, busy, onApply, onClose }) {
  const [isOpen, setOpen] = useState(false);
  const element = useRef(null);
  const isBehind = newest.revision > base.revision;
  const isShown = isBehind || followed !== null;
  useEffect(() => {
    if (isShown) element.current?.scrollIntoView({ block: "nearest" });
  }, [isShown, newest.revision]);
  // The place is there from the beginning, so that screen readers say what comes into it.
  if (!isShown) return html`<div role="alert"></div>`;
  const rows = differences(isBehind ? base : followed, newest, isBehind ? input : {});
  return html`
    <div role="alert" ref=${element}>
      <div class="notice">
        <${Happened} newest=${newest} last=${last} isBehind=${isBehind} />
        ${isOpen && html`<${ConflictTable} rows=${rows} isMine=${isBehind} />`}
        <div class="remedies">
          <button type="button" aria-expanded=${isOpen ? "true" : "false"} onClick=${() => setOpen(!isOpen)}>See the changes</button>
          ${isBehind
            ? html`<${Button} look="primary" busy=${busy} onClick=${onApply}>Apply mine on top</${Button}>`
            : html`<button type="button" class="quiet" onClick=${onClose}>All right</button>`}
        </div>
      </div>
    </div>
  `;
}
