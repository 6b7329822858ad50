// The filter of instances by their state, which is kept in the address.

import { html } from "../lib.js";
import { setSearch } from "../router.js";
import { HEADLINES } from "./state.js";

/** What instances are filtered by beside their headline. The names are those in the address. */
const OTHER_STATES = {
  attention: { label: "Needs attention", filter: { needsAttention: true } },
  stale: { label: "Stale", filter: { stale: true } },
};

/** What the address filters by: `{ name, label, filter }`, or null. */
export function stateOf(query) {
  const wanted = query.get("state")?.toUpperCase();
  if (wanted && Object.hasOwn(HEADLINES, wanted)) {
    return { name: wanted, label: HEADLINES[wanted].label, filter: { headlines: [wanted] } };
  }
  const other = Object.keys(OTHER_STATES).find((name) => query.has(name) || wanted === name.toUpperCase());
  return other ? { name: other, ...OTHER_STATES[other] } : null;
}

/** What to change in the address to filter by the state with this name; "" filters by none. */
const byState = (name) => ({
  state: Object.hasOwn(OTHER_STATES, name) ? null : name,
  ...Object.fromEntries(Object.keys(OTHER_STATES).map((other) => [other, other === name ? "1" : null])),
});

export const clearState = () => setSearch(byState(""));

export const StateFilter = ({ state }) => html`
  <label class="unseen" for="state-filter">Instances in the state</label>
  <select id="state-filter" value=${state?.name ?? ""} onChange=${({ target }) => setSearch(byState(target.value))}>
    <option value="">Any state</option>
    ${Object.entries({ ...OTHER_STATES, ...HEADLINES }).map(([name, { label }]) => html`<option key=${name} value=${name}>${label}</option>`)}
  </select>
`;
