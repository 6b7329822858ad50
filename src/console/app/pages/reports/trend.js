// Trend: the answers to one question, day by day.

import { changesFigures, useQuery } from "../../data.js";
import { date, number } from "../../format.js";
import { html } from "../../lib.js";
import { search } from "../../router.js";
import { LineChart } from "../../ui/chart.js";
import { Choose } from "../../ui/choose.js";
import { instancesOfAddress, OneInstance, QUESTIONS } from "../../ui/finding.js";
import { Empty, Pending } from "../../ui/parts.js";

/** The questions by their names in the API: `adminMfa` is `ADMIN_MFA`. */
const ASKED = Object.fromEntries(Object.entries(QUESTIONS).map(([field, label]) => [field.replace(/[A-Z]/g, "_$&").toUpperCase(), label]));
const PERIODS = { 90: "90 days", 365: "A year" };
const [FIRST, USUAL] = ["MFA", 30];
const ANSWERS = [["yes", "Yes"], ["no", "No"], ["unknown", "Not known"]];
const TREND = `query Trend($question: PostureQuestion!, $from: Date!, $instanceIds: [ID!]) {
  trend(question: $question, from: $from, instanceIds: $instanceIds) { day yes no unknown isCarried }
}`;
const DAY_MS = 86_400_000;

const known = (name, all, usual) => (Object.hasOwn(all, search.value.get(name) ?? "") ? search.value.get(name) : usual);
const options = (all) => Object.entries(all);
const differs = (one, other) => ANSWERS.some(([field]) => one[field] !== other?.[field]);

/** "+3 since 1 Nov 2026" */
function Since({ from, to, field }) {
  const more = to[field] - from[field];
  return html`<span class="second">${more === 0 ? "As" : `${more > 0 ? "+" : "−"}${number(Math.abs(more))} since`} ${more === 0 && "on "}${date(from.day)}</span>`;
}

function Answer({ days, field, label }) {
  const points = days.map((day) => ({ at: Date.parse(day.day), value: day[field], title: `${date(day.day)}: ${number(day[field])}` }));
  return html`
    <section class="card" aria-label=${label}>
      <p class="second">${label}</p>
      <p class="total">${number(days.at(-1)[field])}</p>
      <${Since} from=${days[0]} to=${days.at(-1)} field=${field} />
      <${LineChart} points=${points} write=${number} />
    </section>
  `;
}

/** The days on which an answer changed, the newest first. */
function Changes({ days }) {
  const changed = days.filter((day, index) => index === 0 || differs(day, days[index - 1])).reverse();
  return html`
    <table class="cards flow figures">
      <caption class="unseen">Days with a change</caption>
      <thead>
        <tr>
          <th scope="col">Day</th>
          ${ANSWERS.map(([field, label]) => html`<th key=${field} scope="col" class="number">${label}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${changed.map(
          (day) => html`
            <tr key=${day.day}>
              <th scope="row">${date(day.day)}</th>
              ${ANSWERS.map(([field, label]) => html`<td key=${field} class="number" data-label=${label}>${number(day[field])}</td>`)}
            </tr>
          `,
        )}
      </tbody>
    </table>
  `;
}

function Days({ days }) {
  const carried = days.filter(({ isCarried }) => isCarried).length;
  return html`
    <div class="totals">${ANSWERS.map(([field, label]) => html`<${Answer} key=${field} days=${days} field=${field} label=${label} />`)}</div>
    <p class="second" role="status">
      ${number(days.length)} ${days.length === 1 ? "day" : "days"} (UTC) since ${date(days[0].day)}.
      ${carried > 0 && ` On ${number(carried)} of them no account was looked at; they have the answers of the day before.`}
    </p>
    <h3>Days with a change</h3>
    <${Changes} days=${days} />
  `;
}

export function TrendReport() {
  const question = known("question", ASKED, FIRST);
  const period = Number(known("days", PERIODS, USUAL));
  const from = new Date(Date.now() - (period - 1) * DAY_MS).toISOString().slice(0, 10);
  const query = useQuery(TREND, { question, from, instanceIds: instancesOfAddress() }, changesFigures);
  const days = query.data?.trend;
  const { [FIRST]: first, ...others } = ASKED;
  return html`
    <div class="filters bottom">
      <${Choose} label="Question" name="question" all=${first} options=${options(others)} />
      <${Choose} label="Period" name="days" all="${USUAL} days" options=${options(PERIODS)} />
      <${OneInstance} />
    </div>
    <${Pending} list=${{ ...query, nodes: days }} lines=${8} />
    ${days?.length === 0 && html`<${Empty} title="No day is recorded yet"><p>The trend begins when accounts are first looked at, after a sync.</p></${Empty}>`}
    ${days?.length > 0 && html`<h2>${ASKED[question]}</h2><${Days} days=${days} />`}
  `;
}
