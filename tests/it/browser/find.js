// The elements with a role and a name that a person can reach now, those whose whole name it is first.
// `arguments` are the role and the name.
const [role, wanted] = arguments;
const SELECTORS = {
  button: "button, summary, [role=button], input[type=submit]",
  link: "a[href]",
  heading: "h1, h2, h3, h4",
  field: "input, textarea, select, [role=switch], [role=combobox]",
  entry: "input:not([type=radio]):not([type=checkbox]), textarea",
  window: "dialog, [role=dialog], [role=alertdialog]",
};
const plain = (text) => (text ?? "").replace(/\s+/g, " ").trim();
const textOf = (ids) => ids.split(/\s+/).map((id) => document.getElementById(id)?.textContent).join(" ");
const namesOf = (element) => [
  element.getAttribute("aria-label"),
  element.hasAttribute("aria-labelledby") ? textOf(element.getAttribute("aria-labelledby")) : "",
  ...Array.from(element.labels ?? [], (label) => label.textContent),
  element.matches("input, textarea, select, dialog") ? "" : element.textContent,
  element.getAttribute("placeholder"),
  element.getAttribute("title"),
];
const modal = [...document.querySelectorAll("dialog:modal")].at(-1);
const candidates = [...(role === "window" ? document : (modal ?? document)).querySelectorAll(SELECTORS[role])];
const reachable = candidates.filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest("[inert]"));
const fitting = (fits) => reachable.filter((element) => namesOf(element).map(plain).some(fits));
const whole = fitting((name) => name === wanted);
return whole.length ? whole : fitting((name) => name.includes(wanted));
