// The body of a long table, of which only the rows in view are drawn.

import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "../../vendor/hooks.js";
import { html } from "../lib.js";

/** Up to this many rows, all are drawn. */
export const FEW_ROWS = 100;

/** The module that finds the rows in view, once it is needed. */
export function useVirtualCore(isNeeded) {
  const [core, setCore] = useState(null);
  useEffect(() => {
    if (isNeeded && !core) import("../../vendor/virtual-core.js").then(setCore, () => {});
  }, [isNeeded]);
  return core;
}

/** An empty row in place of those that are not in view. */
const Space = ({ height, columns }) =>
  height > 0 && html`<tr class="space" aria-hidden="true"><td colspan=${columns} style=${{ height: `${height}px` }}></td></tr>`;

/** The rows in view of a table as long as the page. */
function useRowsInView(core, length, height, body) {
  const [, redraw] = useReducer((drawn) => drawn + 1, 0);
  const [top, setTop] = useState(0);
  const options = {
    count: length,
    overscan: 10,
    scrollMargin: top,
    getScrollElement: () => window,
    estimateSize: height,
    initialOffset: () => window.scrollY,
    observeElementRect: core.observeWindowRect,
    observeElementOffset: core.observeWindowOffset,
    scrollToFn: core.windowScroll,
    onChange: () => redraw(undefined),
  };
  const kept = useRef(null);
  kept.current ??= new core.Virtualizer(options);
  kept.current.setOptions(options);
  useLayoutEffect(() => kept.current._didMount(), []);
  useLayoutEffect(() => {
    kept.current._willUpdate();
    setTop(Math.round(body.current.getBoundingClientRect().top + window.scrollY));
  });
  return kept.current;
}

/**
 * `length` rows of about `height()` pixels. `row(index, measure)` draws one: its element has the index as `data-index`, and
 * `measure` as its reference. `look(first, last)` is called with the rows in view, also when `version` changes. `core` is
 * the module virtual-core.
 */
export function LongBody({ core, length, columns, height, row, look, version = null }) {
  const body = useRef(null);
  const virtual = useRowsInView(core, length, height, body);
  const items = virtual.getVirtualItems();
  const [first, last] = [items[0], items.at(-1)];
  const margin = virtual.options.scrollMargin;
  useEffect(() => {
    if (first) look(first.index, last.index);
  }, [first?.index, last?.index, version]);
  return html`
    <tbody ref=${body}>
      <${Space} key="before" height=${(first?.start ?? margin) - margin} columns=${columns} />
      ${items.map(({ index }) => row(index, virtual.measureElement))}
      <${Space} key="after" height=${last ? virtual.getTotalSize() - (last.end - margin) : 0} columns=${columns} />
    </tbody>
  `;
}
