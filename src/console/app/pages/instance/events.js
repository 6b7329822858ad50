// What happened to an instance, by day.

import { askEarly } from "../../api.js";
import { useList } from "../../data.js";
import { exactly } from "../../format.js";
import { html } from "../../lib.js";
import { search, setSearch } from "../../router.js";
import { told, TOLD_CAUSES, TOLD_EVENT, toldWhy, toneOf } from "../../ui/event.js";
import { Empty, More, Pending } from "../../ui/parts.js";

const EVENTS_OF_INSTANCE = `query EventsOfInstance($after: String, $filter: InstanceEventFilter) {
  instanceEvents(first: 50, after: $after, filter: $filter) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor } nodes { ${TOLD_EVENT} }
  }
}`;
const dayOf = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** The events by day: `[day, events]`, in their order. */
function byDay(events) {
  const days = new Map();
  for (const event of events) {
    const day = dayOf.format(new Date(event.at));
    if (!days.has(day)) days.set(day, []);
    days.get(day).push(event);
  }
  return [...days];
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function Happening({ event }) {
  const at = new Date(event.at);
  const why = toldWhy(event);
  return html`
    <li class="happening">
      <time class="second" dateTime=${event.at} title=${exactly(at)}>${clock.format(at)}</time>
      <span class="dot ${toneOf(event)}"></span>
      <div class="grow">
        <p>${capital(told(event))}${event.actor && html` <span class="second">by ${event.actor}</span>`}</p>
        ${why && html`<p class="second">${why}</p>`}
      </div>
    </li>
  `;
}

/** Whether every step is wanted. */
const isFullWanted = () => search.value.has("steps");
const variablesOf = (id) => ({ filter: { instanceIds: [id], causes: isFullWanted() ? null : TOLD_CAUSES } });

/** Asks for what the tab shows in a moment. */
export const askEventsEarly = (id) => askEarly(EVENTS_OF_INSTANCE, variablesOf(id));

export function InstanceEvents({ instance }) {
  const isFull = isFullWanted();
  const matters = (event) => event.instance.id === instance.id;
  const list = useList(EVENTS_OF_INSTANCE, variablesOf(instance.id), (data) => data.instanceEvents, matters);
  return html`
    <p class="check filters">
      <input id="steps-of-syncs" type="checkbox" checked=${isFull} onChange=${({ target }) => setSearch({ steps: target.checked ? "1" : null })} />
      <label for="steps-of-syncs">Every step of every sync</label>
    </p>
    <${Pending} list=${list} lines=${6} />
    ${list.nodes?.length === 0 && !list.hasMore && html`<${Empty} title="Nothing has happened yet." />`}
    ${byDay(list.nodes ?? []).map(
      ([day, events]) => html`
        <section key=${day}>
          <h2>${day}</h2>
          <ol class="list">${events.map((event) => html`<${Happening} key=${event.cursor} event=${event} />`)}</ol>
        </section>
      `,
    )}
    ${(list.nodes?.length > 0 || list.hasMore) && html`<${More} list=${list} />`}
  `;
}
