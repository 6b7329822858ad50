// A list of choices that filters what a page shows.

import { html } from "../lib.js";
import { search, setSearch } from "../router.js";

/** What is chosen is in the query of the address, under `name`. `options` are `[value, text]`; `all` means no filter. */
export const Choose = ({ label, name, options, all }) => html`
  <label class="filter">
    <span class="second">${label}</span>
    <select value=${search.value.get(name) ?? ""} onChange=${({ target }) => setSearch({ [name]: target.value })}>
      <option value="">${all}</option>
      ${options.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
    </select>
  </label>
`;
