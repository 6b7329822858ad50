// The body of a long table, of which only the rows in view are drawn.

import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "../../vendor/hooks.js";
import { number, plural } from "../format.js";
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

const AS_CARDS = window.matchMedia("(max-width: 899px)");
/**
 * So many rows that are not loaded yet stand below the others. Who comes to them has them loaded. Nobody jumps into the
 * middle, as in the list of instances: the server would have to read all rows before that place.
 */
const NEXT_ROWS = 20;

/**
 * The body of a table of a list that `useList` loads: all rows of a short list, of a long one those in view. `row(node,
 * attributes)` draws one: its element has these attributes. `heights` are those of a row before it is drawn, in pixels: in a
 * table, and as a card.
 */
export function GrowingBody({ list: { nodes, hasMore, more }, columns, heights, row }) {
  const length = nodes.length + (hasMore ? NEXT_ROWS : 0);
  const isLong = length > FEW_ROWS;
  const core = useVirtualCore(isLong);
  const draw = (index, measure = null) => {
    const node = nodes[index];
    if (!node) return html`<tr key=${index} data-index=${index} ref=${measure}><td colspan=${columns}><span class="line"></span></td></tr>`;
    return row(node, { key: node.id, "data-index": index, "aria-rowindex": index + 2, measure });
  };
  const end = useRef(null);
  const latest = useRef(more);
  latest.current = more;
  // A short list that goes on is continued when its end comes into view.
  useEffect(() => {
    if (isLong || !hasMore || !end.current) return;
    const seen = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && latest.current());
    seen.observe(end.current);
    return () => seen.disconnect();
  }, [isLong, hasMore, nodes.length]);
  if (isLong && core) {
    const look = (_first, last) => last >= nodes.length && more();
    const height = () => heights[Number(AS_CARDS.matches)];
    return html`<${LongBody} core=${core} length=${length} columns=${columns} height=${height} row=${draw} look=${look} version=${nodes.length} />`;
  }
  return html`<tbody>${nodes.map((_, index) => draw(index))}${hasMore && html`<tr ref=${end} class="space" aria-hidden="true"><td colspan=${columns}></td></tr>`}</tbody>`;
}

/** How many rows there are, and how many of them are loaded. */
export const HowMany = ({ list: { nodes, total, exact, hasMore }, one, many = undefined }) => html`
  <p class="second" role="status">${number(total)}${exact ? "" : "+"} ${plural(total, one, many)}${hasMore ? `, the first ${number(nodes.length)} of them here; the next come as you scroll` : ""}</p>
`;
