// Elements and times. Text is always inserted as text nodes, never as HTML.

/** `h("td", { class: "x", onclick: f }, "text", child)`; `null` and `false` are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
  }
  element.append(...shown(children));
  return element;
}

function shown(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}

const drawn = new WeakMap();

/**
 * Replaces the content of `element` if `facts` changed since the last call, so that focus and
 * selection are kept otherwise. A focused element gets the focus back if it still exists;
 * otherwise the heading of the page gets it.
 */
export function redraw(element, facts, draw) {
  const key = JSON.stringify(facts);
  if (drawn.get(element) === key) return;
  drawn.set(element, key);
  const held = element.contains(document.activeElement) ? document.activeElement : null;
  element.replaceChildren(...shown([draw()]));
  if (!held || held === element) return;
  const same = [...element.querySelectorAll(held.tagName)].find((other) => other.textContent === held.textContent);
  (same ?? document.querySelector("#page h1"))?.focus({ preventScroll: true });
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
const STEPS = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 30],
  ["month", 12],
  ["year", Infinity],
];

function ago(date) {
  let amount = Math.round((date - Date.now()) / 1000);
  if (Math.abs(amount) < 10) return "just now";
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) return relative.format(Math.trunc(amount), unit);
    amount /= size;
  }
  return "";
}

/** A time relative to now, with the exact time as its title. */
export function moment(iso) {
  if (!iso) return null;
  const date = new Date(iso);
  return h("time", { datetime: iso, title: date.toLocaleString() }, ago(date));
}

setInterval(() => {
  for (const time of document.querySelectorAll("time")) time.textContent = ago(new Date(time.dateTime));
}, 15_000);

const ABBREVIATIONS = new Set(["OK", "MFA"]);

/** `INSUFFICIENT_PERMISSIONS` as `Insufficient permissions`. */
export function words(constant) {
  if (!constant) return "";
  if (ABBREVIATIONS.has(constant)) return constant;
  const text = constant.toLowerCase().replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}

export function badge(tone, text) {
  return h("span", { class: `badge ${tone}` }, text);
}

const numbers = new Intl.NumberFormat("en");

export function number(value) {
  return numbers.format(value);
}
