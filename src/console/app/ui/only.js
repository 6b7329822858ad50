// What a list is limited to: one thing, which a person finds by its name.

import { useEffect, useRef } from "../../vendor/hooks.js";
import { useLoad } from "../data.js";
import { html } from "../lib.js";
import { search, setSearch } from "../router.js";
import { Finder } from "./finder.js";
import { Icon } from "./icon.js";

/**
 * The id of what was picked is in the query of the address, under `name`. `find` is that of a `Finder`; `nameOf(id, signal)`
 * resolves to its name, or null. The focus stays here when something is picked or removed.
 */
export function Only({ label, name, placeholder, find, nameOf }) {
  const id = search.value.get(name);
  const box = useRef(null);
  const before = useRef(id);
  const load = async (signal) => ({ shown: id && ((await nameOf(id, signal)) ?? `a deleted ${label.toLowerCase()}`) });
  const { data } = useLoad(load, id ?? "");
  useEffect(() => {
    if (before.current !== id) box.current.querySelector("input, button").focus();
    before.current = id;
  }, [id]);
  const shown = data?.shown ?? "…";
  return html`
    <div ref=${box} class="filter">
      ${id
        ? html`
            <span class="second">${label}</span>
            <span class="chip">${shown}<button type="button" class="quiet bare" aria-label="Remove the filter ${shown}" onClick=${() => setSearch({ [name]: null })}><${Icon} name="x" size=${12} /></button></span>
          `
        : html`<${Finder} label=${label} placeholder=${placeholder} find=${find} onPick=${(one) => setSearch({ [name]: one.id })} />`}
    </div>
  `;
}
