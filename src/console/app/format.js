// Numbers, words and times as people read them.

export const LANGUAGE = "en";
const numbers = new Intl.NumberFormat(LANGUAGE);
const plurals = new Intl.PluralRules(LANGUAGE);
const lists = new Intl.ListFormat(LANGUAGE);
const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "always" });
const local = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZoneName: "shortOffset",
});
const universal = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZone: "UTC",
});
const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const daysOfYears = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const STEPS = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 30],
  ["month", 12],
  ["year", Infinity],
];
const SECOND = 1000;
const DAY = 86_400 * SECOND;
const ABBREVIATIONS = new Set(["OK", "MFA", "CSV", "API"]);

export const number = (value) => numbers.format(value);

/** The word for so many things: `plural(2, "user")` is "users". */
export const plural = (value, one, many = `${one}s`) => (plurals.select(value) === "one" ? one : many);

/** `count(1, "user")` is "1 user", `count(2, "user")` is "2 users". */
export const count = (value, one, many = undefined) => `${number(value)} ${plural(value, one, many)}`;

/** "a, b, and c" */
export const listed = (values) => lists.format(values);

/** `INSUFFICIENT_PERMISSIONS` as "Insufficient permissions". */
export function words(constant) {
  if (!constant) return "";
  if (ABBREVIATIONS.has(constant)) return constant;
  const text = constant.toLowerCase().replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}

/** The id of an account whose person was erased. */
const STAND_IN = /^erased-[0-9a-f]{64}$/;

/** Whether the person of an account was erased. */
export const isErased = ({ externalId = null }) => STAND_IN.test(externalId ?? "");

/** What an account or a person is called. */
export const nameOf = ({ displayName, email, externalId = null }) =>
  displayName ?? email ?? (isErased({ externalId }) ? "An erased account" : externalId) ?? "Without a name";

/** A time relative to `now`, such as "3 minutes ago". */
export function ago(date, now) {
  let amount = Math.round((date - now) / SECOND);
  if (Math.abs(amount) < 10) return "just now";
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) return relative.format(Math.trunc(amount), unit);
    amount /= size;
  }
  return "";
}

/** The local time with its offset, and the same in UTC: "28 Nov 2026, 22:08:22 GMT+5:30 (16:38:22 UTC)". */
export function exactly(date) {
  const part = Object.fromEntries(local.formatToParts(date).map(({ type, value }) => [type, value]));
  const { day, month, year, hour, minute, second, timeZoneName } = part;
  return `${day} ${month} ${year}, ${hour}:${minute}:${second} ${timeZoneName} (${universal.format(date)} UTC)`;
}

/** "12 May", with the year if it is not the present one. */
export function day(date, now) {
  return (date.getFullYear() === new Date(now).getFullYear() ? days : daysOfYears).format(date);
}

/** "1 h 5 min", "3.2 s" */
export function duration(ms) {
  const seconds = ms / SECOND;
  if (seconds < 10) return `${Math.max(seconds, 0.1).toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest ? `${Math.floor(minutes / 60)} h ${rest} min` : `${minutes / 60} h`;
}

/** "Every 60 minutes", "Every day" */
export function every(minutes) {
  const day = DAY / SECOND / 60;
  if (minutes % day === 0) return minutes === day ? "Every day" : `Every ${count(minutes / day, "day")}`;
  if (minutes > 60 && minutes % 60 === 0) return `Every ${count(minutes / 60, "hour")}`;
  return plural(minutes, "Every minute", `Every ${count(minutes, "minute")}`);
}

const dates = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

/** `2027-03-31` as "31 Mar 2027" */
export const date = (text) => dates.format(new Date(text));
