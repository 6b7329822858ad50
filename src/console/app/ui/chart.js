// Small charts: a line over time, and bars side by side. What they show is also told in words beside them.

import { html } from "../lib.js";

const [WIDTH, HEIGHT] = [600, 120];
/** So many points of a line tell what they are. */
const MOST_TITLES = 120;
/** Room above and below the line. */
const MARGIN = 8;

/** Where values stand: the least and the greatest with a little room, so that a steady value is a line in the middle. */
function scaleOf(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = least === most ? Math.max(1, most * 0.05) : 0;
  const [low, high] = [Math.max(0, least - room), most + room];
  const y = (value) => MARGIN + (HEIGHT - 2 * MARGIN) * (1 - (value - low) / (high - low || 1));
  return { y, least, most };
}

/** A line with its area. `points` are `{ at, value, title }` in the order of time; `write` writes a value. */
export function LineChart({ points, write }) {
  const { y, least, most } = scaleOf(points.map(({ value }) => value));
  const [first, last] = [points[0].at, points.at(-1).at];
  const x = (at) => (last === first ? WIDTH : (WIDTH * (at - first)) / (last - first));
  const line = points.map(({ at, value }) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`);
  if (points.length === 1) line.unshift(`0,${line[0].split(",")[1]}`);
  const start = points.length === 1 ? 0 : x(first);
  // Of many points, not each has a title.
  const step = Math.ceil(points.length / MOST_TITLES);
  const middle = (index) => (index <= 0 ? 0 : (x(points[index - 1].at) + x(points[index].at)) / 2);
  return html`
    <div class="plot">
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <polygon class="area" points="${start},${HEIGHT} ${line.join(" ")} ${WIDTH},${HEIGHT}" />
        <polyline class="stroke" points=${line.join(" ")} vector-effect="non-scaling-stroke" />
        ${points.filter((_, index) => index % step === 0).map(({ title }, place) => {
          const index = place * step;
          const end = index + step >= points.length ? WIDTH : middle(index + step);
          return html`<rect class="touch" x=${middle(index)} y="0" width=${Math.max(0, end - middle(index))} height=${HEIGHT}><title>${title}</title></rect>`;
        })}
      </svg>
      <span class="${least === most ? "steady" : "high"} second" aria-hidden="true">${write(most)}</span>
      ${least !== most && html`<span class="low second" aria-hidden="true">${write(least)}</span>`}
    </div>
  `;
}

/** Bars from zero. `bars` are `{ value, title, tone }`. */
export function BarChart({ bars, write }) {
  const most = Math.max(...bars.map(({ value }) => value), 1);
  const step = WIDTH / Math.max(bars.length, 24);
  const size = (value) => Math.max(2, ((HEIGHT - MARGIN) * value) / most);
  const start = WIDTH - bars.length * step;
  return html`
    <div class="plot">
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
        ${bars.map(
          ({ value, title, tone }, index) => html`
            <g>
              <title>${title}</title>
              <rect class="touch" x=${start + index * step} y="0" width=${step} height=${HEIGHT} />
              <rect class="bar ${tone}" x=${start + index * step + step * 0.15} y=${HEIGHT - size(value)} width=${step * 0.7} height=${size(value)} />
            </g>
          `,
        )}
      </svg>
      <span class="high second" aria-hidden="true">${write(most)}</span>
    </div>
  `;
}
