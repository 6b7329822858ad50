// The window in which a list is delivered: a file, how it is read, and what its columns are.

import { useEffect, useRef, useState } from "../../vendor/hooks.js";
import { ask, authorization, call } from "../api.js";
import { USER_FIELDS } from "../fields.js";
import { count, number, plural } from "../format.js";
import { html } from "../lib.js";
import { address } from "../router.js";
import { LeaveButton, open, useAction, Window } from "../ui/dialog.js";
import { Field } from "../ui/fields.js";
import { Button, say } from "../ui/parts.js";

const LAST_DELIVERY = `query LastDelivery($id: ID!) {
  instance(id: $id) { id lastDelivery { format separator dateOrder columns { field columns } } }
}`;
/** So much of a file decides how it is read. */
const BEGINNING = 256 * 1024;
const FIELDS = [{ name: "externalId", heading: "ID" }, ...USER_FIELDS];
/** The fields whose value several columns may have. */
const SEVERAL = new Set(["displayName", ...USER_FIELDS.filter(({ kind }) => kind === "texts").map(({ name }) => name)]);
const ENCODINGS = [["utf-8", "UTF-8"], ["windows-1252", "Windows-1252"], ["utf-16le", "UTF-16 LE"], ["utf-16be", "UTF-16 BE"]];
const SEPARATORS = [[",", "Comma"], [";", "Semicolon"], ["\t", "Tab"], ["|", "Vertical bar"]];
const DATES = [["", "No dates with slashes"], ["dmy", "Day first: 31/12/2026"], ["mdy", "Month first: 12/31/2026"]];
const ORDERS = { DAY_FIRST: "dmy", MONTH_FIRST: "mdy" };

/** Opens the window. Resolves to true if a list was delivered. */
export const deliverList = (instance) => open(DeliverWindow, { instance });

const isJson = (file) => /\.(jsonl|ndjson)$/i.test(file.name);
const typeOf = (file) => (isJson(file) ? "application/x-ndjson" : "text/csv");
const pathOf = (instance) => `lists/${encodeURIComponent(instance.id)}`;

/** The query of a request. `chosen` are the fields of the columns, by their place. */
function queryOf(file, { encoding, separator, dates }, columns) {
  const query = new URLSearchParams();
  if (encoding) query.set("encoding", encoding);
  if (dates) query.set("dates", dates);
  if (!isJson(file)) {
    if (separator) query.set("separator", separator);
    for (const [field, name] of columns) query.append(field, name);
  }
  return query;
}

/** How the beginning of a file would be read. */
async function previewOf(instance, file, options, columns) {
  const response = await call(`${pathOf(instance)}/preview?${queryOf(file, options, columns)}`, {
    method: "POST",
    headers: { "content-type": typeOf(file), ...authorization() },
    body: file.slice(0, BEGINNING),
  });
  return response.json();
}

/** Sends a file. Resolves to `{ accepted }` or `{ errors }`. `told` hears which share of it is sent. */
const send = (instance, file, query, told, signal) =>
  new Promise((resolve, reject) => {
    // Unlike `fetch`, it says how much was sent.
    const request = new XMLHttpRequest();
    request.open("PUT", address(`${pathOf(instance)}?${query}`));
    request.setRequestHeader("content-type", typeOf(file));
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => told(total ? loaded / total : 1);
    request.onload = () => {
      let answer = null;
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // It is no answer of this server.
      }
      if (request.status === 202 && answer) resolve({ accepted: answer });
      else resolve({ errors: answer?.errors ?? [{ message: `The server answered with status ${request.status}.` }] });
    };
    request.onerror = () => reject(new Error("The server cannot be reached. Nothing was changed."));
    request.onabort = () => reject(new Error("The delivery was stopped. Nothing was changed."));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });

/** The columns of a preview as the fields of their places. */
function chosenOf({ names, columns }) {
  const chosen = names.map(() => "");
  for (const [field, used] of Object.entries(columns)) {
    for (const name of used) {
      const at = names.findIndex((other, index) => other === name && !chosen[index]);
      if (at >= 0) chosen[at] = field;
    }
  }
  return chosen;
}

/** What is wrong with the choice of columns; empty if nothing is. */
function faultOf(names, chosen) {
  if (!chosen.includes("externalId") && !chosen.includes("email")) return "Choose the column with the e-mail addresses, or that with the ids.";
  const twice = FIELDS.find(({ name }) => !SEVERAL.has(name) && chosen.filter((field) => field === name).length > 1);
  if (twice) return `Only one column can be “${twice.heading}”.`;
  const same = names.find((name, at) => chosen[at] && names.indexOf(name) !== names.lastIndexOf(name));
  return same === undefined ? "" : `Several columns are called “${same}”. Rename one of them in the file.`;
}

const Select = ({ label, options, value, onChange }) => html`
  <${Field}
    label=${label}
    control=${(attributes) => html`
      <select ...${attributes} value=${value} onChange=${({ target }) => onChange(target.value)}>
        ${options.map(([key, name]) => html`<option key=${key} value=${key}>${name}</option>`)}
      </select>
    `}
  />
`;

/** The first rows, and above each column which field it is. */
function Columns({ preview, chosen, choose }) {
  const { names, rows } = preview;
  return html`
    <div class="scroll rows-of-file" role="region" aria-label="The first rows of the file" tabindex="0">
      <table>
        <thead>
          <tr>
            ${names.map(
              (name, at) => html`
                <th key=${at} scope="col">
                  ${name || html`<span class="unknown">No name</span>`}
                  ${chosen &&
                  html`
                    <select class="small" aria-label="Column ${name || at + 1} is" value=${chosen[at]} onChange=${({ target }) => choose(at, target.value)}>
                      <option value="">Not used</option>
                      ${FIELDS.map((field) => html`<option key=${field.name} value=${field.name}>${field.heading}</option>`)}
                    </select>
                  `}
                </th>
              `,
            )}
          </tr>
        </thead>
        <tbody>
          ${rows.map((row, index) => html`<tr key=${index}>${names.map((_, at) => html`<td key=${at}>${row[at] ?? ""}</td>`)}</tr>`)}
        </tbody>
      </table>
    </div>
  `;
}

/** What the server found wrong, line by line. */
const Faults = ({ errors }) => html`
  <div class="notice danger" role="alert">
    <p><strong>The list was refused, and nothing was changed.</strong></p>
    <ul class="faults">${errors.map(({ message }, index) => html`<li key=${index}>${message}</li>`)}</ul>
  </div>
`;

/** What was delivered last: the columns by field, as they are asked for again. */
async function lastOf(instance) {
  const { lastDelivery } = (await ask(LAST_DELIVERY, { id: instance.id })).instance ?? {};
  if (lastDelivery?.format !== "CSV") return { columns: [], dates: "" };
  const columns = lastDelivery.columns.flatMap(({ field, columns: names }) => names.map((name) => [field, name]));
  return { columns, dates: ORDERS[lastDelivery.dateOrder] ?? "" };
}

/** What is chosen in the window: a file, how it is read, and what its columns are. */
function useFile(instance) {
  const [file, setFile] = useState(null);
  const [options, setOptions] = useState({ encoding: "", separator: "", dates: "" });
  const [preview, setPreview] = useState(null);
  const [chosen, setChosen] = useState([]);
  const [busy, run, failure] = useAction();
  const latest = useRef(null);
  const look = (taken, wanted, columns) =>
    run(async () => {
      latest.current = taken;
      const found = await previewOf(instance, taken, wanted, columns);
      if (latest.current !== taken) return;
      setPreview(found);
      setChosen(chosenOf(found));
      setOptions({ ...wanted, encoding: found.encoding, separator: found.separator ?? "" });
    });
  return {
    file,
    options,
    preview,
    chosen,
    busy,
    failure,
    take: async (taken) => {
      setFile(taken);
      setPreview(null);
      if (!taken) return;
      const last = await lastOf(instance).catch(() => ({ columns: [], dates: "" }));
      look(taken, { encoding: "", separator: "", dates: last.dates }, last.columns);
    },
    set: (name) => (value) => {
      const wanted = { ...options, [name]: value };
      setOptions(wanted);
      if (name !== "dates") look(file, wanted, []);
    },
    choose: (at, field) => setChosen((known) => known.map((other, index) => (index === at ? field : other))),
    query: () => {
      const columns = preview.names.map((name, at) => [chosen[at], name]).filter(([field]) => field);
      return queryOf(file, options, columns);
    },
  };
}

function Reading({ given }) {
  const { file, options, preview, chosen, set, choose } = given;
  const separators = SEPARATORS.some(([key]) => key === options.separator) ? SEPARATORS : [...SEPARATORS, [options.separator, options.separator]];
  return html`
    <div class="fields-in-row">
      <${Select} label="Encoding" options=${ENCODINGS} value=${options.encoding} onChange=${set("encoding")} />
      ${!isJson(file) && html`<${Select} label="Separator" options=${separators} value=${options.separator} onChange=${set("separator")} />`}
      <${Select} label="Order of dates" options=${DATES} value=${options.dates} onChange=${set("dates")} />
    </div>
    ${preview.problem && html`<p class="error" role="alert">${preview.problem}</p>`}
    ${preview.names.length > 0 &&
    html`
      <p class="second">
        ${isJson(file) ? "The keys of the objects are the names of the fields." : "Say what each column is. Several columns can be “Name”: a first and a last name."}
      </p>
      <${Columns} preview=${preview} chosen=${isJson(file) ? null : chosen} choose=${choose} />
    `}
  `;
}

function DeliverWindow({ instance, close }) {
  const given = useFile(instance);
  const { file, preview, chosen } = given;
  const [sent, setSent] = useState(null);
  const [errors, setErrors] = useState([]);
  const [busy, run, failure] = useAction();
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);
  const fault = preview && !isJson(file) ? faultOf(preview.names, chosen) : "";
  const take = ({ target }) => {
    setErrors([]);
    given.take(target.files[0] ?? null);
  };
  const deliver = (event) => {
    event.preventDefault();
    if (!preview || fault) return;
    run(async () => {
      setErrors([]);
      setSent(0);
      try {
        const { accepted, errors: found } = await send(instance, file, given.query(), setSent, stop.current.signal);
        if (found) return setErrors(found);
        say(`${count(accepted.rows, "row")} ${plural(accepted.rows, "was", "were")} delivered to “${instance.name}”. A sync has been started.`);
        close(true);
      } finally {
        setSent(null);
      }
    });
  };
  return html`
    <${Window} title="Deliver a list" second=${instance.name} wide unsaved=${busy} onLeave=${() => close(false)}>
      <form onSubmit=${deliver} noValidate>
        <${Field}
          label="File"
          help="CSV with the names of the columns in its first row, or JSON Lines. It must have everybody: who is not in it counts as removed."
          control=${(attributes) => html`<input ...${attributes} type="file" accept=".csv,.txt,.tsv,.jsonl,.ndjson" onChange=${take} />`}
        />
        ${file && given.busy && !preview && html`<p class="second" role="status">Reading the beginning of the file…</p>`}
        ${preview && html`<${Reading} given=${given} />`}
        ${errors.length > 0 && html`<${Faults} errors=${errors} />`}
        ${sent !== null &&
        html`<p role="status"><progress max="1" value=${sent} aria-label="Sent"></progress> ${sent < 1 ? `${number(Math.floor(sent * 100))} % sent` : "The server checks the list…"}</p>`}
        <p class="error" role="alert">${failure || given.failure || fault}</p>
        <footer>
          <${LeaveButton}>Cancel</${LeaveButton}>
          <${Button} type="submit" look="primary" busy=${busy || given.busy} disabled=${!preview || preview.problem !== null || fault !== ""}>Deliver</${Button}>
        </footer>
      </form>
    </${Window}>
  `;
}
